"""A verdict on over- or underfitting from the training curves, with the thresholds that decide.

    too short to tell   fewer than 3 epochs
    overfitting         dev loss has risen by more than 10 % from its lowest while train loss went on falling,
                        or it is more than twice the train loss with the tags right 3 points less often than in training
    underfitting        training tokens themselves are right less than 95 % of the time,
                        or the last epoch still took more than 2 % off the dev loss
    good fit            none of these

Overfitting is checked first: a model that has memorised its training data needs no more epochs. Train loss
and accuracy are measured with dropout on, so dev may look better than train in a good fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fenestra.training.fit.epoch import Epoch

Kind = Literal["overfitting", "underfitting", "good fit", "too short to tell"]

FEWEST_EPOCHS = 3
RISE_OF_DEV_LOSS = 0.10
RATIO_OF_LOSSES = 2.0
GAP_OF_ACCURACY = 0.03
POOR_TRAIN_ACCURACY = 0.95
STILL_FALLING = 0.02

_AGAINST_OVERFITTING = (
    "Add sentences to train on; raise training.input_dropout, training.hidden_dropout or training.weight_decay; "
    "make model.hidden smaller; or stop earlier with training.patience."
)
_AGAINST_UNDERFITTING = (
    "Make model.hidden or model.context larger, switch on more features (model.features), "
    "lower the dropout, or try another training.learning_rate."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict, the figures behind it, and what to try."""

    kind: Kind
    why: str
    advice: str


def verdict(epochs: Sequence[Epoch]) -> Verdict:
    """Judge a run by its epochs; the rules are those at the top of this module, in that order."""
    if len(epochs) < FEWEST_EPOCHS:
        why = f"There were {len(epochs)} epochs; a curve has {FEWEST_EPOCHS} points at least."
        return Verdict("too short to tell", why, "Train for more epochs.")
    return _overfitting(epochs) or _underfitting(epochs) or _good_fit(epochs)


def _overfitting(epochs: Sequence[Epoch]) -> Verdict | None:
    last, lowest = epochs[-1], min(epochs, key=lambda epoch: epoch.dev_loss)
    rise = last.dev_loss / lowest.dev_loss - 1 if lowest.dev_loss > 0 else 0.0
    if rise > RISE_OF_DEV_LOSS and last.train_loss < lowest.train_loss:
        why = (
            f"Dev loss was lowest in epoch {lowest.number}, {lowest.dev_loss:.4f} nats/token, and rose by "
            f"{rise:.0%} since, while train loss fell from {lowest.train_loss:.4f} to {last.train_loss:.4f}. "
            + _f1(epochs)
        )
        return Verdict("overfitting", why, _AGAINST_OVERFITTING)
    gap = last.train_accuracy - last.dev_accuracy
    if gap > GAP_OF_ACCURACY and last.dev_loss > RATIO_OF_LOSSES * last.train_loss:
        why = (
            f"In the last epoch {last.train_accuracy:.1%} of the training tokens are right and "
            f"{last.dev_accuracy:.1%} of dev's; dev loss, {last.dev_loss:.4f} nats/token, "
            f"is {_times(last.dev_loss, last.train_loss)} train loss."
        )
        return Verdict("overfitting", why, _AGAINST_OVERFITTING)
    return None


def _underfitting(epochs: Sequence[Epoch]) -> Verdict | None:
    before, last = epochs[-2:]
    if last.train_accuracy < POOR_TRAIN_ACCURACY:
        why = (
            f"Even of the tokens that it learnt from, only {last.train_accuracy:.1%} are right in the last epoch "
            f"(dev: {last.dev_accuracy:.1%}), with a train loss of {last.train_loss:.4f} nats/token."
        )
        return Verdict("underfitting", why, _AGAINST_UNDERFITTING)
    fall = 1 - last.dev_loss / before.dev_loss if before.dev_loss > 0 else 0.0
    if fall > STILL_FALLING:
        why = (
            f"The last epoch still took {fall:.1%} off the dev loss, "
            f"from {before.dev_loss:.4f} to {last.dev_loss:.4f} nats/token."
        )
        return Verdict("underfitting", why, "Train for more epochs: raise training.epochs.")
    return None


def _good_fit(epochs: Sequence[Epoch]) -> Verdict:
    last = epochs[-1]
    why = (
        f"Train loss ({last.train_loss:.4f}) and dev loss ({last.dev_loss:.4f} nats/token) have settled; "
        f"{last.train_accuracy:.1%} and {last.dev_accuracy:.1%} of the tokens are right. {_f1(epochs)}"
    )
    return Verdict(
        "good fit", why, "The curves call for no change; more data like dev, or better vectors, could still help."
    )


def _f1(epochs: Sequence[Epoch]) -> str:
    best, last = max(epochs, key=lambda epoch: epoch.dev_f1), epochs[-1]
    if best.dev_f1 > last.dev_f1:
        return f"Dev F1 was best in epoch {best.number}, {best.dev_f1:.2%}, and {last.dev_f1:.2%} at the end."
    return f"Dev F1 was best at the end, {last.dev_f1:.2%}."


def _times(larger: float, smaller: float) -> str:
    return f"{larger / smaller:.1f} times the" if smaller > 0 else "far above the"
