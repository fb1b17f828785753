"""A training job in a process of its own, and whether what it made may serve.

Without a job of the operator's, the weights start as those of the model (`training.start`) and learn for four short
epochs. With one, its corpora and settings count, and the annotated texts come on top.
"""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from fenestra.app.learning.process import Limits, Stopped, run_bounded
from fenestra.integrations.label_studio.examples import Examples
from fenestra.model.errors import FenestraError
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config
from fenestra.training.data.alignment import Output
from fenestra.training.data.formats.offsets import write_jsonl
from fenestra.training.data.inspection import Text
from fenestra.training.learn.job import loss_of, with_new_labels

LEAST_KEPT = 0.6
"""F1 that a new model must have on held-out texts, measured against the entities of the old one."""
MOST_SECONDS = 3600.0
"""After which a training is ended."""
_FINE_TUNING: dict[str, Any] = {
    "epochs": 4,
    "keep": "last",
    "learning_rate": 5e-4,
    "schedule": "constant",
    "warmup_steps": 0,
    "average": 0.0,
    "weight_decay": 0.0,
    "batch_tokens": 300,
    "input_dropout": 0.2,
    "field_dropout": 0.2,
    "hidden_dropout": 0.3,
}
_TAUGHT, _REHEARSED, _HELD_OUT = "annotated.jsonl", "rehearsed.jsonl", "held-out.jsonl"


class NotRetrained(Exception):
    """A training made no model that may serve; the message says why and quotes no text."""


def write_job(folder: Path, base: Tagger, examples: Examples, job: Path | None) -> Path:
    """Write corpora and job of a training; returns the job.

    Raises:
        NotRetrained: no text has an entity.
        InputError: the operator's job cannot be read.
    """
    if not examples.labels:
        raise NotRetrained("no annotated text has an entity yet")
    for name, texts in (
        (_TAUGHT, examples.annotated), (_REHEARSED, examples.rehearsed), (_HELD_OUT, examples.held_out),
    ):  # fmt: skip
        (folder / name).write_bytes(write_jsonl(Output(texts)))
    values = _extended(folder, examples, job) if job else _fine_tuning(folder, base, examples)
    path = folder / "job.toml"
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return path


def _fine_tuning(folder: Path, base: Tagger, examples: Examples) -> dict[str, Any]:
    """The job that goes on from the weights of a model."""
    assert base.folder is not None
    model = base.config.to_json() | {"labels": with_new_labels(base.labels, examples.labels)}
    taught, rehearsed = examples.copies
    train = [_TAUGHT] * taught + [_REHEARSED] * (rehearsed if examples.rehearsed else 0)
    dev = _HELD_OUT if any(text.annotations for text in examples.held_out) else _TAUGHT
    start = f"checkpoint:{base.folder.absolute()}"
    return {
        "name": "Retrained in Label Studio",
        "description": f"Begun from {base.folder.name} {base.version}, whose card names its sources and licences.",
        "threads": 1,
        "data": {"root": str(folder), "train": train, "dev": [dev], "language": base.language.code},
        "model": model,
        "training": {"start": start, **_FINE_TUNING, "loss": loss_of(base.config)},
    }


def _extended(folder: Path, examples: Examples, job: Path) -> dict[str, Any]:
    """The operator's job, with the annotated texts and their labels besides."""
    config = load_config(job)
    taught = [str(folder / _TAUGHT)] * examples.copies[0]
    return {
        "extends": str(job.absolute()),
        "data": {"train": [*config.data.train, *taught]},
        "model": {"labels": with_new_labels(config.model.labels, examples.labels)},
    }


def run(job: Path, output: Path, log: Path, stop: threading.Event) -> None:
    """Train in a process of its own, and wait for it.

    Args:
        job: to be run.
        output: folder of the model.
        log: file for what the process writes. It may quote texts, as remarks on a corpus do.
        stop: ends the training when it is set.

    Raises:
        NotRetrained: it failed, took too long, or was stopped.
    """
    command = [sys.executable, "-m", "fenestra", "train", str(job), "--output", str(output), "--overwrite"]
    try:
        code = run_bounded(command, log, stop.is_set, Limits(MOST_SECONDS))
    except Stopped as error:
        raise NotRetrained("the training was stopped") from error
    if code:
        raise NotRetrained(f"the training ended with code {code}; {log} says why")


def checked(folder: Path, old: Tagger, examples: Examples, **options: Any) -> Tagger:  # noqa: ANN401 - of Tagger.load
    """Open what a training made, if it may take the place of the model that serves.

    It has to load, pass the self-test, be no worse on the annotated texts than the old model, and still see most
    entities that the old one sees in texts that nobody annotated and it was not trained on.

    Raises:
        NotRetrained: it may not.
    """
    try:
        new = Tagger.load(folder, **options)
        new.self_test()
    except FenestraError as error:
        raise NotRetrained(f"the model cannot be used: {type(error).__name__}") from error
    before, after = (agreement(tagger, examples.annotated) for tagger in (old, new))
    if after < before:
        raise NotRetrained(f"F1 on the annotated texts fell from {before:.2f} to {after:.2f}")
    kept = agreement(new, examples.held_out, old.labels)
    if kept < LEAST_KEPT:
        raise NotRetrained(f"it forgot too much: F1 {kept:.2f} on held-out texts, expected {LEAST_KEPT} at least")
    return new


def agreement(tagger: Tagger, texts: Sequence[Text], labels: Sequence[str] = ()) -> float:
    """F1 of the entities of a model against those of texts, of all labels or of some; 1 if neither has any."""
    hits = expected = found = 0
    for text, result in zip(texts, tagger.tag([text.text for text in texts]), strict=True):
        gold = {tuple(span) for span in text.annotations}
        seen = {(entity.start, entity.end, entity.label) for entity in result if not labels or entity.label in labels}
        hits, expected, found = hits + len(gold & seen), expected + len(gold), found + len(seen)
    return 2 * hits / (expected + found) if expected + found else 1.0
