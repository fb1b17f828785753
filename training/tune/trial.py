"""One trial of a search: a configuration and its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fenestra.training.tune.space import Values

State = Literal["complete", "pruned", "failed"]

FEWEST_FOR_IMPORTANCE = 8
"""Complete trials from which importances are computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedScore:
    """The score of a trial with one seed."""

    seed: int
    dev_f1: float
    """Of the epoch that is kept, in [0, 1]."""
    epoch: int
    """The epoch that is kept, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A configuration that was trained, and its outcome."""

    number: int
    """Counted from 1."""
    values: Values
    """Of the searched fields, by dotted name."""
    state: State
    dev_f1: float | None
    """Mean over the seeds; of a pruned trial the best so far; None for a failed one."""
    by_seed: tuple[SeedScore, ...]
    """Of the seeds that were trained to the end."""
    epochs: int
    """Passes over the training corpus, of all seeds together."""
    seconds: float
    """Wall clock of the trial."""
    why: str = ""
    """The error, or when it was pruned."""
    repeats: int | None = None
    """The earlier trial with the same values, whose outcome is reused."""


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the best dev F1; of equals, the earliest."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: (trial.dev_f1, -trial.number), default=None)
