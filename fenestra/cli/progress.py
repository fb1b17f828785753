"""How a long job shows itself on standard error: a bar on a terminal, a plain line an epoch anywhere else."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

from fenestra.training.fit.epoch import Epoch
from fenestra.training.tune.space import shown
from fenestra.training.tune.trial import Trial


class _Shown:
    """What counts up on a terminal as a bar, and says a line each time anywhere else."""

    def __init__(self, total: int, unit: str, *, done: int, stream: TextIO | None) -> None:
        self._stream = stream or sys.stderr
        self._total = total
        self._bar = (
            tqdm(total=total, initial=done, unit=unit, file=self._stream, dynamic_ncols=True)
            if self._stream.isatty()
            else None
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _print(self, text: str) -> None:
        """A line of its own; above the bar if there is one."""
        if self._bar is None:
            print(text, file=self._stream, flush=True)
        else:
            self._bar.write(text, file=self._stream)


class TrainingProgress(_Shown):
    """Shows the epochs of a run as they come; a context manager, and a function of an epoch.

    >>> with TrainingProgress(epochs=20) as progress:  # doctest: +SKIP
    ...     for epoch in fit(...):
    ...         progress(epoch)
    """

    def __init__(self, epochs: int, *, done: int = 0, stream: TextIO | None = None) -> None:
        """Prepare to show a run.

        Args:
            epochs: how many there will be at most.
            done: how many of them an earlier, interrupted run did.
            stream: where to; standard error when omitted.
        """
        super().__init__(epochs, "epoch", done=done, stream=stream)

    def __call__(self, epoch: Epoch) -> None:
        """Show an epoch."""
        if self._bar is None:
            self._print(line(epoch, self._total))
            return
        self._bar.set_postfix_str(
            f"loss {epoch.train_loss:.4f}, dev F1 {epoch.dev_f1:.2%}, {epoch.tokens_per_second:,.0f} tokens/s",
            refresh=False,
        )
        self._bar.update()


class SearchProgress(_Shown):
    """Shows the trials of a search as they end, a line each; on a terminal, the epochs of the one under way too."""

    def __init__(self, trials: int, *, done: int = 0, stream: TextIO | None = None) -> None:
        """Prepare to show a search.

        Args:
            trials: how many there will be at most.
            done: how many of them an earlier, interrupted search did.
            stream: where to; standard error when omitted.
        """
        super().__init__(trials, "trial", done=done, stream=stream)
        self._waits = False

    def epoch(self, trial: int, seed: int, epoch: Epoch) -> None:
        """Show an epoch."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"trial {trial}, seed {seed}, epoch {epoch.number}: dev F1 {epoch.dev_f1:.2%}")

    def trial(self, trial: Trial, *, is_best: bool, done: int) -> None:
        """Show a trial that is over; the bar counts those of all processes."""
        self._print(trial_line(trial, self._total, is_best=is_best))
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def lost(self, number: int) -> None:
        """Say that a trial was for nothing."""
        self._print(f"trial {number}/{self._total}  lost: other processes took this one for dead, and do it again")

    def waiting(self, numbers: Sequence[int]) -> None:
        """Say once which trials of other processes are waited for."""
        if numbers and not self._waits:
            self._print(f"waiting for trials of other processes: {', '.join(map(str, numbers))}")
        self._waits = bool(numbers)


def line(epoch: Epoch, total: int) -> str:
    """An epoch in one line of plain text; ``*`` marks the best so far."""
    return (
        f"epoch {epoch.number}/{total}  train loss {epoch.train_loss:.4f} accuracy {epoch.train_accuracy:.2%}  "
        f"dev loss {epoch.dev_loss:.4f} accuracy {epoch.dev_accuracy:.2%} F1 {epoch.dev_f1:.2%}"
        f"{' *' if epoch.is_best else ''}  {epoch.seconds:.1f} s, {epoch.tokens_per_second:,.0f} tokens/s"
    )


def trial_line(trial: Trial, total: int, *, is_best: bool) -> str:
    """A trial in one line of plain text; ``*`` marks the best so far."""
    score = "" if trial.dev_f1 is None else f"  dev F1 {trial.dev_f1:.2%}{' *' if is_best else ''}"
    why = f"repeats trial {trial.repeats}" if trial.repeats else trial.why
    state = "" if trial.state == "complete" and not why else f"  {trial.state}{': ' if why else ''}{why}"
    values = ", ".join(f"{name} {shown(value)}" for name, value in trial.values.items())
    return f"trial {trial.number}/{total}{score}{state}  {values}  {trial.seconds:.1f} s"
