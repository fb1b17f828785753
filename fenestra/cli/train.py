"""The verb ``train``. What it uses is imported when it runs."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenestra.cli.shell import Verbs, add_verb, complain, need, say
from fenestra.cli.waiting import Wait, waiting

if TYPE_CHECKING:
    from fenestra.training.fit.epoch import Epoch


def add_train(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "train",
        _train,
        "run one training job; the folder it writes is a checkpoint",
        collect="overrides",
        extra="train",
        examples=(
            "  fenestra train training/configs/sample.toml --output runs/sample\n"
            "  fenestra train job.toml training.epochs=5 model.context=3 --output runs/five\n"
            "  fenestra train job.toml --output runs/five --resume"
        ),
    )
    parser.add_argument("config", metavar="CONFIG.toml", type=Path, help="the job")
    parser.add_argument("overrides", metavar="section.key=value", nargs="*", help="fields of the job to change")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="where the checkpoint will be")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped, if there is one")
    parser.add_argument("--overwrite", action="store_true", help="replace a checkpoint that is in DIR when done")


def _train(options: argparse.Namespace) -> None:
    need("torch", "seqeval", "gensim")
    with waiting("loading torch"):
        from fenestra.training.config import load_config
        from fenestra.training.job import train

    config = load_config(options.config, options.overrides)
    try:
        with waiting("reading corpora and vectors") as wait:
            folder = train(
                config,
                options.output,
                resume=options.resume,
                overwrite=options.overwrite,
                observe=_observer(config.training.epochs, wait),
                remark=partial(complain, code=0),
            )
    except KeyboardInterrupt:
        complain(f"complete epochs are kept; go on with --output {options.output} --resume", code=130)
        raise
    say(_summary(json.loads((folder / "report.json").read_text(encoding="utf-8"))))
    say(f"checkpoint: {folder}\nreport: {folder / 'report.html'}")


def _observer(epochs: int, wait: Wait) -> "Callable[[Path, int], Any]":
    """Show epochs on standard error, and write them for TensorBoard; what is before and behind them is a wait."""
    from fenestra.cli.progress import TrainingProgress
    from fenestra.cli.tensorboard import EventWriter
    from fenestra.training.output import EVENTS

    @contextmanager
    def observe(work: Path, done: int) -> "Iterator[Callable[[Epoch], None]]":
        wait.end()
        with TrainingProgress(epochs, done=done) as show, EventWriter(work / EVENTS, done=done) as write:

            def watch(epoch: "Epoch") -> None:
                write(epoch)
                show(epoch)

            yield watch
        wait.begin("calibrating, measuring and writing the checkpoint")

    return observe


def _summary(report: dict[str, Any]) -> str:
    figures = [
        f"{split} F1 {evaluation['scores']['micro']['f1']:.2%} "
        f"(most frequent tag alone {report['baseline'][split]['micro']['f1']:.2%})"
        for split, evaluation in report["scores"].items()
    ]
    return f"{', '.join(figures)}; {report['verdict']['kind']}, epoch {report['best_epoch']} of {len(report['epochs'])}"
