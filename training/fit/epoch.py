"""One pass over the training corpus, in numbers: what the loop yields and everything else reads."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What is known after a pass. Losses in nats per token; accuracy, precision, recall and F1 in [0, 1]."""

    number: int
    """Counted from 1."""
    train_loss: float
    """Mean over the batches of the pass, dropout on, with the weights as they were: an average over the epoch."""
    train_accuracy: float
    """Share of training tokens whose tag was right, on the same terms."""
    dev_loss: float
    """Mean over the development corpus at the end of the pass, dropout off."""
    dev_accuracy: float
    """Share of development tokens whose tag is right."""
    dev_precision: float
    """Share of the entities found in the development corpus that are right."""
    dev_recall: float
    """Share of the development corpus's entities that are found."""
    dev_f1: float
    """Harmonic mean of the two: what decides which epoch is kept, unless it is the last."""
    learning_rate: float
    """Step size of the last update."""
    gradient_norm: float
    """Mean over the updates of the L2 norm of all gradients together, before clipping."""
    seconds: float
    """Wall clock of the pass, with the look at the development corpus."""
    tokens_per_second: float
    """Training tokens read per second of training, the look at the development corpus left out."""
    is_best: bool
    """Whether its weights are the ones to keep so far: no earlier epoch had as good a development F1, or the last is
    kept whatever it has."""


def kept_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """The epoch of a run, one or more, whose weights are kept so far."""
    return next(epoch for epoch in reversed(epochs) if epoch.is_best)
