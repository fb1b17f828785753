"""What a run shows while it runs: lines, a bar, TensorBoard events."""

import io
from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fenestra.cli.progress import SearchProgress, TrainingProgress
from fenestra.cli.tensorboard import CURVES, EventWriter
from fenestra.training.fit.epoch import Epoch
from fenestra.training.tune.trial import Trial


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


def trial(number, **changes):
    plain = Trial(
        number=number, values={"training.learning_rate": 0.00312345678, "model.hidden": [16, 8]}, state="complete",
        dev_f1=0.5, by_seed=(), epochs=8, seconds=12.345,
    )  # fmt: skip
    return replace(plain, **changes)


def test_every_trial_of_a_search_is_a_line():
    stream = io.StringIO()
    with SearchProgress(20, stream=stream) as show:
        show.epoch(1, 3, epoch(1))
        show.trial(trial(1), is_best=True, done=2)
        show.trial(trial(2, state="pruned", why="below the median after epoch 3"), is_best=False, done=2)
        show.trial(trial(3, state="failed", dev_f1=None, why="loss nan"), is_best=False, done=2)
        show.trial(trial(4, repeats=1), is_best=False, done=2)
    values = "training.learning_rate 0.00312346, model.hidden [16, 8]  12.3 s"
    assert stream.getvalue().splitlines() == [
        f"trial 1/20  dev F1 50.00% *  {values}",
        f"trial 2/20  dev F1 50.00%  pruned: below the median after epoch 3  {values}",
        f"trial 3/20  failed: loss nan  {values}",
        f"trial 4/20  dev F1 50.00%  complete: repeats trial 1  {values}",
    ]


def test_on_a_terminal_the_trial_under_way_shows_its_epochs():
    stream = Terminal()
    with SearchProgress(4, done=1, stream=stream) as show:
        show.epoch(2, 3, epoch(7))
        show.trial(trial(2), is_best=True, done=2)
    assert "trial 2, seed 3, epoch 7: dev F1 50.00%" in stream.getvalue()
    assert "trial 2/4  dev F1 50.00% *" in stream.getvalue()
    assert "2/4 [" in stream.getvalue().split("\r")[-1]


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
