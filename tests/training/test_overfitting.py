"""The verdict on over- and underfitting, on curves drawn by hand."""

import pytest

from fenestra.training.fit.epoch import Epoch
from fenestra.training.report.overfitting import verdict


def epochs(train_loss, dev_loss, train_accuracy, dev_accuracy, dev_f1):
    """Epochs of the given curves; where a curve is a single number, it is flat."""
    count = max(len(c) for c in (train_loss, dev_loss) if isinstance(c, list))
    curves = [
        c if isinstance(c, list) else [c] * count for c in (train_loss, dev_loss, train_accuracy, dev_accuracy, dev_f1)
    ]
    return [
        Epoch(
            number=number, train_loss=tl, dev_loss=dl, train_accuracy=ta, dev_accuracy=da, dev_f1=f1,
            dev_precision=f1, dev_recall=f1, learning_rate=1e-3, gradient_norm=1, seconds=1,
            tokens_per_second=1000, is_best=False,
        )
        for number, (tl, dl, ta, da, f1) in enumerate(zip(*curves, strict=True), start=1)
    ]  # fmt: skip


def test_dev_loss_that_rises_while_train_loss_falls_is_overfitting():
    found = verdict(epochs([0.5, 0.2, 0.1, 0.05], [0.3, 0.2, 0.22, 0.26], 0.99, 0.98, [0.6, 0.8, 0.79, 0.78]))
    assert found.kind == "overfitting"
    assert "lowest in epoch 2, 0.2000 nats/token, and rose by 30 %" in found.why.replace("30%", "30 %")
    assert "Dev F1 was best in epoch 2, 80.00%, and 78.00% at the end." in found.why
    assert "training.hidden_dropout" in found.advice


def test_a_wide_gap_is_overfitting_even_where_dev_loss_is_flat():
    found = verdict(epochs([0.5, 0.05, 0.01], [0.3, 0.3, 0.3], [0.9, 0.99, 1.0], 0.92, 0.5))
    assert found.kind == "overfitting"
    assert "30.0 times the train loss" in found.why


def test_a_rise_together_with_train_loss_is_not_overfitting():
    """Both getting worse is a learning rate too high, not learning by heart."""
    found = verdict(epochs([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], 0.96, 0.96, 0.8))
    assert found.kind != "overfitting"


def test_a_rise_while_train_loss_stands_still_is_not_overfitting():
    """Nothing was learned meanwhile, so nothing by heart."""
    assert verdict(epochs(0.2, [0.1, 0.2, 0.3], 0.96, 0.96, 0.8)).kind != "overfitting"


def test_poor_accuracy_in_training_itself_is_underfitting():
    found = verdict(epochs([0.6, 0.5, 0.5], [0.5, 0.5, 0.5], 0.88, 0.88, 0.1))
    assert found.kind == "underfitting"
    assert "88.0%" in found.why
    assert "model.hidden" in found.advice


def test_a_run_that_stopped_while_getting_better_is_underfitting():
    found = verdict(epochs([0.3, 0.2, 0.15], [0.3, 0.2, 0.15], 0.97, 0.97, [0.5, 0.6, 0.7]))
    assert found.kind == "underfitting"
    assert "training.epochs" in found.advice


def test_curves_that_settle_together_are_a_good_fit():
    found = verdict(epochs([0.3, 0.1, 0.06, 0.055], [0.3, 0.1, 0.07, 0.0695], 0.98, 0.98, [0.8, 0.9, 0.92, 0.92]))
    assert found.kind == "good fit"
    assert "Dev F1 was best at the end, 92.00%." in found.why


@pytest.mark.parametrize("count", [0, 1, 2])
def test_two_points_are_no_curve(count):
    found = verdict(epochs([0.3] * 3, [0.3] * 3, 0.9, 0.9, 0.5)[:count])
    assert found.kind == "too short to tell"
    assert f"{count} epoch" in found.why


def test_losses_of_zero_divide_nothing():
    assert verdict(epochs([0.0] * 3, [0.0] * 3, 1.0, 1.0, 1.0)).kind == "good fit"
    assert verdict(epochs([0.0] * 3, [0.5] * 3, 1.0, 0.5, 0.1)).kind == "overfitting"
