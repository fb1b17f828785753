"""The verb ``tune``. What it uses is imported when it runs."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from fenestra.cli.arguments import whole_number
from fenestra.cli.shell import Verbs, add_verb, complain, need, say
from fenestra.cli.waiting import waiting


def add_tune(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "tune",
        _tune,
        "search a space of configurations for the best F1 on the development corpus",
        collect="overrides",
        extra="train",
        examples=(
            "  fenestra tune job.toml space.toml --output runs/search\n"
            "  fenestra tune job.toml space.toml training.epochs=8 --output runs/search --trials 20\n"
            "  fenestra tune job.toml space.toml --output runs/search --trials 100 --resume\n"
            "  fenestra tune job.toml space.toml --output runs/search --storage sqlite:///search.db --resume\n"
            "  fenestra train runs/search/best.toml --output runs/best"
        ),
    )
    parser.add_argument("config", metavar="CONFIG.toml", type=Path, help="the job")
    parser.add_argument("space", metavar="SPACE.toml", type=Path, help="fields of the job, and what each may be")
    parser.add_argument("overrides", metavar="section.key=value", nargs="*", help="fields of the job to change")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="where the best configuration and the report will be"
    )
    parser.add_argument(
        "--trials", metavar="N", type=whole_number, help="how many in all, instead of what SPACE.toml says"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the search in DIR or the database, if there is one; several processes may, at the same time",
    )
    parser.add_argument(
        "--storage", metavar="URL",
        help="record the search in a database, which processes of several machines can share: sqlite:///FILE, "
        "postgresql+psycopg://USER@HOST/DATABASE (default: a file in DIR, which they can share, too)",
    )  # fmt: skip
    parser.add_argument(
        "--study", metavar="NAME", help="name of the search in the database (default: search); needs --storage"
    )


def _tune(options: argparse.Namespace) -> None:
    need("torch", "seqeval", "gensim", "optuna", "tomli_w")
    with waiting("loading torch"):
        from fenestra.cli.progress import SearchProgress
    from fenestra.training.config import load_config
    from fenestra.training.tune.record import SEARCH
    from fenestra.training.tune.space import load_space
    from fenestra.training.tune.tune import BEST, PAGE, tune

    config = load_config(options.config, options.overrides)
    space = load_space(options.space, config, options.trials)
    if options.study and not options.storage:
        options.parser.error("--study names a search in a database; say which with --storage")

    def observe(done: int) -> SearchProgress:
        wait.end()
        return SearchProgress(space.study.trials, done=done)

    try:
        with waiting("reading corpora and vectors") as wait:
            report = tune(
                config,
                space,
                options.output,
                command=_tune_command(options),
                resume=options.resume,
                storage=options.storage,
                search=options.study or SEARCH,
                observe=observe,
            )
    except KeyboardInterrupt:
        complain(f"complete trials are kept; go on with --output {options.output} --resume", code=130)
        raise
    say(_best_found(report))
    say(f"configuration: {options.output / BEST}\nreport: {options.output / PAGE}")


def _tune_command(options: argparse.Namespace) -> str:
    """The command that asks for a search, whether or not it was begun before; without a password for the database."""
    from fenestra.training.tune.record import shown_url

    given = {
        "--trials": options.trials,
        "--storage": options.storage and shown_url(options.storage),
        "--study": options.study,
    }
    more = [word for name, value in given.items() if value for word in (name, value)]
    words = [options.config, options.space, *options.overrides, "--output", options.output, *more]
    return shlex.join(["fenestra", "tune", *map(str, words)])


def _best_found(report: dict[str, Any]) -> str:
    from fenestra.training.tune.space import shown

    best = report["best"]
    seeds = ", ".join(str(score["seed"]) for score in best["by_seed"])
    lines = [f"{name} = {shown(value)}" for name, value in best["values"].items()]
    heading = f"dev F1 {best['dev_f1']:.2%}, mean of seeds {seeds}: trial {best['number']} of {len(report['trials'])}"
    return "\n".join([heading, *lines])
