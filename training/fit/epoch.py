"""The figures of one pass over the training corpus: what the loop yields."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The figures of a pass. Losses in nats per token; accuracy, precision, recall and F1 in [0, 1]."""

    number: int
    """Counted from 1."""
    train_loss: float
    """Mean over the windows of the pass, each with dropout and with the weights at that moment."""
    train_accuracy: float
    """Share of training tokens whose tag was right, likewise."""
    dev_loss: float
    """Mean over the development corpus at the end of the pass, dropout off."""
    dev_accuracy: float
    """Share of development tokens whose tag is right."""
    dev_precision: float
    """Share of the entities found in the development corpus that are right."""
    dev_recall: float
    """Share of the development corpus's entities that are found."""
    dev_f1: float
    """Harmonic mean of the two: it decides which epoch is kept, unless that is the last."""
    learning_rate: float
    """Learning rate of the last update."""
    gradient_norm: float
    """L2 norm of all gradients together, before clipping; mean over the windows of the pass."""
    seconds: float
    """Wall clock of the pass, evaluation on the development corpus included."""
    tokens_per_second: float
    """Training tokens per second of training, evaluation on the development corpus excluded."""
    is_best: bool
    """Whether its weights are kept so far: it has the best development F1 (the earliest, if several are equal), or
    the job keeps the last epoch."""


def kept_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """The epoch of a run, one or more, whose weights are kept so far."""
    return next(epoch for epoch in reversed(epochs) if epoch.is_best)
