"""What a search leaves for people to read, as plain JSON values; :mod:`fenestra.training.tune.search_page` shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fenestra.model.version import VERSION
from fenestra.training.config import RunConfig, publishable_config, publishable_source
from fenestra.training.data.corpus import Corpus
from fenestra.training.device import resolve_device
from fenestra.training.report.report import describe_corpus, environment
from fenestra.training.tune.space import SOURCE, Space, Values
from fenestra.training.tune.trial import Trial
from fenestra.training.vectors.vectors import WordVectors

SearchReport = dict[str, Any]


def build_search_report(
    *,
    config: RunConfig,
    space: Space,
    corpora: Mapping[str, Corpus],
    vectors: Sequence[WordVectors],
    trials: Sequence[Trial],
    best: Trial | None,
    first: Values,
    importances: Mapping[str, float],
    command: str,
    created: datetime | None = None,
) -> SearchReport:
    """Gather everything about a search.

    Args:
        config: the job whose fields were searched.
        space: which fields, and how.
        corpora: by split: train and dev.
        vectors: every set that trials started from.
        trials: in order.
        best: one of them; None if none is complete.
        first: the values that the searched fields have in the job as it stands.
        importances: share of each field, the largest first; empty if there are none.
        command: that asked for the search.
        created: moment of the report; now, when omitted.
    """
    return {
        "name": config.name or "A Fenestra model",
        "created": (created or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        "fenestra": VERSION,
        "command": command,
        "config": publishable_config(config),
        "space": space.describe(),
        "study": asdict(space.study) | {"seeds": list(space.study.seeds)},
        "environment": environment(config, str(resolve_device(config.device))),
        "corpora": {split: describe_corpus(corpus) for split, corpus in corpora.items()},
        "vectors": [
            {"name": v.name, "words": len(v.words), "width": v.width, "licence": v.licence, "sha256": v.sha256}
            for v in vectors
        ],
        "as_it_stands": _publishable(first),
        "trials": [_trial(trial) for trial in trials],
        "best": _trial(best) if best else None,
        "importances": dict(importances),
        "seconds": sum(trial.seconds for trial in trials),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    values = asdict(trial)
    return values | {"values": _publishable(trial.values), "by_seed": list(values["by_seed"])}


def _publishable(values: Values) -> Values:
    """Values without the folder that vectors lie in."""
    return values | ({SOURCE: publishable_source(values[SOURCE])} if SOURCE in values else {})
