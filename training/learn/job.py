"""The training job that goes on from a model: few corrections, again and again, between text that is replayed.

The weights move towards the corrections, and where that would change what the model says of other text, they are
pulled back: the network before the first update is the teacher of what is replayed
(:mod:`fenestra.training.fit.distillation`). Its targets are met by the weights to begin with, so there is no dropout,
which would disturb them. A model with a CRF has no such teacher; it learns its own best tags of that text.

    FOLDER/corrections.conll   what is to be learnt
           replay.conll        what is replayed
           elsewhere.conll     some more of that, with the tags of the model before: what did it forget?
           names.tsv           names for copies of the corrections in which names are others
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import ModelConfig
from fenestra.model.tags import OUTSIDE
from fenestra.training.config import RunConfig, parse_config
from fenestra.training.data.conll import DOCSTART, write_conll
from fenestra.training.data.inspection import Sentence
from fenestra.training.learn.replay import name_lists

CORRECTIONS, REPLAY, ELSEWHERE, _NAMES = "corrections.conll", "replay.conll", "elsewhere.conll", "names.tsv"
UPDATES = 120
"""About, of a learning."""
_ALONE = 20  # updates where nothing is replayed, and each further one only forgets
_BATCH_TOKENS = 1_800
_SHARE = 0.12  # of the tokens of a batch are corrections
_RATE = 5e-4
_GENTLE_SHARE, _GENTLE_RATE = 0.04, 2e-4  # where made-up text alone holds the weights back
_MOST_REPEATS = 1_000
_MOST_COPIES = 20  # of the corrections of a model with a CRF
_RENAMED = 3.0
_TRAINING: Mapping[str, Any] = {
    "keep": "last", "schedule": "cosine", "warmup_steps": 0, "weight_decay": 0.0, "average": 0.0,
    "batch_tokens": _BATCH_TOKENS, "input_dropout": 0.0, "field_dropout": 0.0, "hidden_dropout": 0.0,
    "unlabelled_sentences": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a model is to learn, and what it is to keep."""

    corrections: Sequence[Sentence]
    replay: Sequence[Sentence]
    """With the tags of the model before."""
    elsewhere: Sequence[Sentence]
    """Likewise."""
    written: bool = True
    """Whether people wrote some of what is replayed."""


def loss_of(model: ModelConfig) -> str:
    """The loss of a model, which follows from its decoder."""
    return "sentence" if model.decoder == "transitions" else "cross_entropy"


def with_new_labels(labels: Sequence[str], given: Sequence[str]) -> list[str]:
    """The labels of a model, and those that were given besides."""
    return [*labels, *(label for label in dict.fromkeys(given) if label not in labels)]


def _token_count(sentences: Sequence[Sentence]) -> int:
    return sum(len(sentence.words) for sentence in sentences)


def write_job(
    folder: Path, start: Checkpoint, source: Path, labels: Sequence[str], lesson: Lesson, seed: int
) -> RunConfig:
    """Write the corpora of a lesson, and describe the job.

    Args:
        folder: for the corpora.
        start: the model to go on from.
        source: its folder.
        labels: of the new model.
        lesson: what to learn, and what to keep.
        seed: of the job.
    """
    lists = name_lists(start)
    dev = lesson.elsewhere or lesson.corrections
    for name, sentences in ((CORRECTIONS, lesson.corrections), (REPLAY, lesson.replay), (ELSEWHERE, dev)):
        _write_documents(folder / name, sentences)
    names = folder / _NAMES
    names.write_text("".join(f"{kind}\t{name}\n" for kind, found in lists.items() for name in found), encoding="utf-8")
    model = start.config.to_json() | {"labels": list(labels)}
    taught = start.config.decoder != "transitions" and bool(lesson.replay)
    plan = _plan(lesson, taught=taught)
    return parse_config({
        "threads": 1,
        "device": "cpu",
        "seed": seed,
        "data": {
            "root": str(folder), "train": plan.train, "dev": [ELSEWHERE], "unlabelled": [REPLAY] if taught else [],
            "format": "conll", "scheme": "IOB2", "comments": "none", "language": start.lexicon.language.code,
        },
        "model": model,
        "reference": {"lists": str(names) if lists else "none"},
        "augmentation": {"renamed": _RENAMED},
        "training": {
            **_TRAINING, "learning_rate": _RATE if lesson.written else _GENTLE_RATE,
            "start": f"checkpoint:{source.absolute()}", "loss": loss_of(start.config),
            "epochs": plan.epochs, "repeats": plan.repeats,
        },
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Plan:
    train: list[str]
    repeats: int
    """How often an epoch uses each correction, and each of its copies."""
    epochs: int


def _plan(lesson: Lesson, *, taught: bool) -> _Plan:
    """How often what is learnt from, so that corrections have their share of every batch."""
    replayed = _token_count(lesson.replay)
    gold = max(int(_token_count(lesson.corrections) * (1 + _RENAMED)), 1)
    share = _SHARE if lesson.written else _GENTLE_SHARE
    wanted = max(round(replayed * share / (1 - share) / gold), 1)
    if taught:
        repeats, train = min(wanted, _MOST_REPEATS), [CORRECTIONS]
        size = replayed + repeats * gold
    else:
        copies = min(wanted, _MOST_COPIES) if replayed else 1
        repeats, train = 1, [CORRECTIONS] * copies + [REPLAY] * bool(replayed)
        size = replayed + copies * gold
    updates = UPDATES if replayed else _ALONE
    return _Plan(train, repeats, max(round(updates / max(size / _BATCH_TOKENS, 1)), 1))


def _write_documents(path: Path, sentences: Sequence[Sentence]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for _, document in groupby(sentences, key=lambda sentence: sentence.document):
            words, tags = zip(*((sentence.words, sentence.tags) for sentence in document), strict=True)
            write_conll(file, ([DOCSTART], *words), ([OUTSIDE], *tags))
