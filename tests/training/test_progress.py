"""What a run shows while it runs: lines, a bar, TensorBoard events."""

import io

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.epoch import Epoch
from training.events import CURVES, EventWriter
from training.progress import TrainingProgress


def epoch(number, f1=0.5, *, best=False):
    return Epoch(
        number=number, train_loss=0.25, train_accuracy=0.9, dev_loss=0.5, dev_accuracy=0.8, dev_precision=0.4,
        dev_recall=0.6, dev_f1=f1, learning_rate=1e-3, gradient_norm=1.5, seconds=2.0, tokens_per_second=12345.6,
        is_best=best,
    )  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_away_from_a_terminal_every_epoch_is_a_line():
    stream = io.StringIO()
    with TrainingProgress(20, stream=stream) as show:
        show(epoch(1, best=True))
        show(epoch(2))
    first, second = stream.getvalue().splitlines()
    assert first.startswith("epoch 1/20  train loss 0.2500 accuracy 90.00%")
    assert "F1 50.00% *" in first
    assert "*" not in second
    assert first.endswith("2.0 s, 12,346 tokens/s")


def test_on_a_terminal_there_is_a_bar_with_loss_f1_speed_and_time_left():
    stream = Terminal()
    with TrainingProgress(4, done=1, stream=stream) as show:
        show(epoch(2))
    shown = stream.getvalue().split("\r")[-1]
    assert "2/4" in shown
    for part in ("loss 0.2500", "dev F1 50.00%", "12,346 tokens/s", "<"):
        assert part in shown


def test_standard_error_is_where_it_goes(capsys):
    with TrainingProgress(1) as show:
        show(epoch(1))
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("epoch 1/1")


def curve(folder, name):
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(name)]


def test_every_curve_is_written_for_tensorboard(tmp_path):
    with EventWriter(tmp_path) as write:
        write(epoch(1, 0.25))
        write(epoch(2, 0.75))
    assert curve(tmp_path, "dev/f1") == [(1, 0.25), (2, 0.75)]
    assert set(EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"]) == set(CURVES)


def test_a_resumed_run_draws_no_point_twice(tmp_path):
    """What the interrupted run wrote beyond its last saved epoch is hidden."""
    with EventWriter(tmp_path) as write:
        for number, f1 in ((1, 0.1), (2, 0.2), (3, 0.3)):
            write(epoch(number, f1))
    with EventWriter(tmp_path, done=2) as write:
        write(epoch(3, 0.33))
    assert curve(tmp_path, "dev/f1") == [(1, 0.1), (2, 0.2), (3, 0.33)]
