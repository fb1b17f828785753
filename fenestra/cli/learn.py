"""The verb ``learn``. What it uses is imported when it runs."""

import argparse
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from fenestra.cli.arguments import model_folder, output_file, points, seed_number
from fenestra.cli.shell import Verbs, add_verb, complain, need, say

if TYPE_CHECKING:
    from fenestra.training.fit.score import LabelScore
    from fenestra.training.learn.figures import Figures


def add_learn(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "learn",
        _learn,
        "teach a model by a few corrected texts; it keeps what it knows, and a new checkpoint is written",
        extra="train",
        examples=(
            "  fenestra learn corrections.jsonl --from english --output runs/corrected\n"
            "  fenestra learn corrections.jsonl --from english --replay mail.txt --output runs/corrected\n"
            "  fenestra serve --model runs/corrected"
        ),
    )
    parser.add_argument(
        "corrections", metavar="FILE", type=Path, help="texts with all of their entities, in any format of corpora"
    )
    parser.add_argument(
        "--from", metavar="MODEL", dest="source", type=model_folder, required=True,
        help="the model to go on from: a checkpoint folder, or the name of a bundled model",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path,
        help="folder of the new checkpoint (default: MODEL-corrected in the current folder)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace a checkpoint that is in DIR when done")
    parser.add_argument(
        "--replay", metavar="FILE", type=Path,
        help="text of the kind that the model is used on, a text a line or a corpus, so that it does not forget: a few "
        "thousand sentences; none is added to what comes along",
    )  # fmt: skip
    parser.add_argument(
        "--bound", metavar="POINTS", type=points, default=0.5,
        help="F1 points that it may lose elsewhere, estimated; beyond, nothing is written (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="write it even if it lost more")
    parser.add_argument("--seed", metavar="NUMBER", type=seed_number, default=1, help="default: %(default)s")
    parser.add_argument("--json", metavar="OUT", type=output_file, help="also write the figures as JSON")
    parser.add_argument("--attached", action="store_true", help=argparse.SUPPRESS)  # the service starts it so


def _learn(options: argparse.Namespace) -> int:
    if options.attached:
        threading.Thread(target=_end_with_input, name="attached", daemon=True).start()
    need("torch", "seqeval")
    from fenestra.training.learn.learn import Forgot, learn

    output = options.output or Path(f"{options.source.name}-corrected")
    refused = None

    def tell(words: str) -> None:
        complain(words, code=0)

    def keep_quiet(_: str) -> None:
        """The service keeps what is written here; remarks quote texts."""

    try:
        figures = learn(
            options.corrections, options.source, output, replay_file=options.replay, seed=options.seed,
            force=options.force, bound=options.bound, overwrite=options.overwrite,
            tell=tell, remark=keep_quiet if options.attached else tell,
        )  # fmt: skip
    except Forgot as error:
        figures, refused = error.figures, error
    if options.json:
        options.json.write_text(json.dumps(figures.to_json(), indent=1) + "\n", encoding="utf-8")
    say(_shown(figures))
    if refused:
        return complain(f"{refused}; nothing is written: give --replay text of your own, or --force", code=2)
    say(f"checkpoint: {output}")
    return 0


def _end_with_input() -> None:
    """End the process when whoever started it has ended: standard input is a pipe that it holds open."""
    while os.read(0, 4096):  # not by sys.stdin, whose lock a thread that waits would keep at the end of the process
        pass
    os._exit(130)


def _shown(figures: "Figures") -> str:
    """The figures as a person reads them in a terminal."""
    rows = [("the corrections", figures.learned)]
    if figures.held_out:
        rows.append(("corrections that were held out", figures.held_out))
    lines = [f"{'F1':32}{'before':>8}{'after':>8}"]
    lines += [f"{name:32}{_percent(change.before)}{_percent(change.after)}" for name, change in rows]
    lost, texts = figures.elsewhere.lost, figures.elsewhere.texts
    unknown = "unknown: no text to ask; give --replay"
    known = unknown if lost is None else f"{lost:.2f} F1 points lost on {texts:,} other sentences, estimated"
    return "\n".join([*lines, f"elsewhere: {known}"])


def _percent(score: "LabelScore") -> str:
    return f"{score.f1:8.1%}"
