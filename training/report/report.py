"""What a run leaves for its readers: ``report.json``, a page that shows it, and the model card of the checkpoint.

The page (:mod:`fenestra.training.report.page`) and the card (:mod:`fenestra.training.report.model_card`) are functions
of the report alone, so the same report always gives the same bytes.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from fenestra.model.decode.calibration import Calibration
from fenestra.model.version import VERSION
from fenestra.training.config import RunConfig, publishable_config
from fenestra.training.data.corpus import Corpus
from fenestra.training.fit.epoch import Epoch, kept_epoch
from fenestra.training.fit.score import Scores
from fenestra.training.report.evaluation import Evaluation, Variant
from fenestra.training.report.model_card import render_card
from fenestra.training.report.overfitting import verdict
from fenestra.training.report.page import render_html
from fenestra.training.vectors.vectors import Coverage, WordVectors

__all__ = ["Report", "build_report", "render_card", "render_html"]

Report = dict[str, Any]


def build_report(
    *,
    config: RunConfig,
    device: str,
    corpora: Mapping[str, Corpus],
    vectors: WordVectors,
    reference: Sequence[str],
    coverage: Coverage,
    epochs: Sequence[Epoch],
    baselines: Mapping[str, Scores],
    evaluations: Mapping[str, Evaluation],
    by_corpus: Mapping[str, Mapping[str, Scores]],
    variants: Mapping[str, Mapping[str, Variant]],
    calibration: Calibration,
    seconds: float,
    created: datetime | None = None,
) -> Report:
    """Gather everything about a run as plain JSON values.

    Args:
        config: of the run.
        device: what it ran on, such as ``cpu`` or the name of a GPU.
        corpora: by split: train, dev and, where there is one, test.
        vectors: the pretrained vectors that the run started from.
        reference: title and licence of the clusters and name lists.
        coverage: how many words of the training corpus have a vector.
        epochs: of the run, from the first on; one or more.
        baselines: scores of the most-frequent-tag baseline by split.
        evaluations: of the finished tagger by split.
        by_corpus: scores of the finished tagger for each corpus of a split that has several.
        variants: scores of the finished tagger on perturbed copies of each split.
        calibration: of the finished tagger.
        seconds: wall clock of the whole run.
        created: moment of the report; now, when omitted.
    """
    best = kept_epoch(epochs)
    return {
        "name": config.name or "A Fenestra model",
        "created": (created or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        "fenestra": VERSION,
        "config": publishable_config(config),
        "environment": environment(config, device),
        "corpora": {split: describe_corpus(corpus) for split, corpus in corpora.items()},
        "vectors": _vectors(vectors, coverage),
        "reference": list(reference),
        "epochs": [asdict(epoch) for epoch in epochs],
        "best_epoch": best.number,
        "baseline": {split: asdict(scores) for split, scores in baselines.items()},
        "scores": {split: evaluation.as_dict() for split, evaluation in evaluations.items()},
        "scores_by_corpus": _named(by_corpus),
        "variants": _named(variants),
        "calibration": calibration.to_json(),
        "verdict": asdict(verdict(epochs)),
        "seconds": seconds,
    }


def _named(found: Mapping[str, Mapping[str, Scores | Variant]]) -> dict[str, dict[str, Any]]:
    """Scores of each split, by name, as plain values."""
    return {split: {name: asdict(values) for name, values in named.items()} for split, named in found.items()}


def environment(config: RunConfig, device: str) -> dict[str, Any]:
    """What the run's speed and last digits depend on; nothing that names the machine or its user."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": config.threads,
        "device": device,
    }


def describe_corpus(corpus: Corpus) -> dict[str, Any]:
    """What is in a corpus, in numbers."""
    return {
        "name": corpus.name,
        "sentences": len(corpus.sentences),
        "tokens": corpus.tokens,
        "entities": corpus.label_counts(),
        "sha256": corpus.sha256,
    }


def _vectors(vectors: WordVectors, coverage: Coverage) -> dict[str, Any]:
    return {
        "name": vectors.name,
        "words": len(vectors.words),
        "width": vectors.width,
        "licence": vectors.licence,
        "sha256": vectors.sha256,
        "coverage": coverage.as_dict(),
    }
