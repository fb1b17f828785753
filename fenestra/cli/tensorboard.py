"""The curves of a run for TensorBoard: ``tensorboard --logdir FOLDER``."""

from pathlib import Path
from types import TracebackType
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from fenestra.training.fit.epoch import Epoch

CURVES = {
    "loss/train": "train_loss",
    "loss/dev": "dev_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/dev": "dev_accuracy",
    "dev/precision": "dev_precision",
    "dev/recall": "dev_recall",
    "dev/f1": "dev_f1",
    "optimiser/learning_rate": "learning_rate",
    "optimiser/gradient_norm": "gradient_norm",
    "speed/seconds": "seconds",
    "speed/tokens_per_second": "tokens_per_second",
}
"""Name of each curve → field of :class:`fenestra.training.fit.epoch.Epoch`; losses in nats per token."""


class EventWriter:
    """Writes epochs as TensorBoard events; a context manager, and a function of an epoch.

    A run that goes on after ``done`` epochs hides what the interrupted one wrote beyond them, so no point is
    drawn twice.
    """

    def __init__(self, folder: Path, *, done: int = 0) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def __call__(self, epoch: Epoch) -> None:
        """Write an epoch, and put it on disk."""
        for curve, name in CURVES.items():
            self._writer.add_scalar(curve, getattr(epoch, name), epoch.number)
        self._writer.flush()
