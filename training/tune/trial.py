"""One configuration of a search, in numbers: what the search notes and everything else reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fenestra.training.tune.space import Values

State = Literal["complete", "pruned", "failed"]

FEWEST_FOR_IMPORTANCE = 8
"""Complete trials from which it is said what mattered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedScore:
    """What a trial reached with one seed."""

    seed: int
    dev_f1: float
    """Of the epoch that is kept, in [0, 1]."""
    epoch: int
    """That one, counted from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A configuration that was tried, and what came of it."""

    number: int
    """Counted from 1."""
    values: Values
    """Of the searched fields, by dotted name."""
    state: State
    dev_f1: float | None
    """Mean over the seeds; of a pruned trial that of the epoch it would have kept by then; None of a failed one."""
    by_seed: tuple[SeedScore, ...]
    """Of the seeds that were trained to the end."""
    epochs: int
    """Passes over the training corpus, of all seeds together."""
    seconds: float
    """Wall clock of the trial."""
    why: str = ""
    """What went wrong, or when it was given up."""
    repeats: int | None = None
    """The earlier trial with the same values, whose outcome this one has."""


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the best dev F1; of equals, the earliest."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return max(complete, key=lambda trial: (trial.dev_f1, -trial.number), default=None)
