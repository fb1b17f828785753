"""How a long job shows itself on standard error: a bar on a terminal, a plain line an epoch anywhere else."""

import sys
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

from training.epoch import Epoch


class TrainingProgress:
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
        self._stream = stream or sys.stderr
        self._total = epochs
        self._bar = (
            tqdm(total=epochs, initial=done, unit="epoch", file=self._stream, dynamic_ncols=True)
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

    def __call__(self, epoch: Epoch) -> None:
        """Show an epoch."""
        if self._bar is None:
            print(line(epoch, self._total), file=self._stream, flush=True)
            return
        self._bar.set_postfix_str(
            f"loss {epoch.train_loss:.4f}, dev F1 {epoch.dev_f1:.2%}, {epoch.tokens_per_second:,.0f} tokens/s",
            refresh=False,
        )
        self._bar.update()


def line(epoch: Epoch, total: int) -> str:
    """An epoch in one line of plain text; ``*`` marks the best so far."""
    return (
        f"epoch {epoch.number}/{total}  train loss {epoch.train_loss:.4f} accuracy {epoch.train_accuracy:.2%}  "
        f"dev loss {epoch.dev_loss:.4f} accuracy {epoch.dev_accuracy:.2%} F1 {epoch.dev_f1:.2%}"
        f"{' *' if epoch.is_best else ''}  {epoch.seconds:.1f} s, {epoch.tokens_per_second:,.0f} tokens/s"
    )
