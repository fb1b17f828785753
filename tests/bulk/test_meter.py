"""How far a bulk job is: a bar with the time left on a terminal, plain lines elsewhere, nothing over results."""

import io
import re
import sys
import threading

import pytest

from fenestra.cli.bulk import meter as module
from fenestra.cli.bulk.meter import Meter


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_a_line_now_and_then_tells_rate_and_time_left(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Meter(10_000) as meter:
        meter.skip(2_000)  # by an earlier run
        clock[0] += 6
        meter.count(1_000, 10, 500)
        clock[0] += 6
        meter.count(1_000, 10, 700)
        clock[0] += 1
        meter.count(6_000, 60, 3_000)
    assert sys.stderr.getvalue().splitlines() == [
        "tagged 20 texts, 1,200 tokens in 12.0 s, 100 tokens/s, 40% done, 0:00:36 left",
        "tagged 80 texts, 4,200 tokens in 13.0 s, 323 tokens/s, beside what an earlier run did",
    ]


def test_of_a_stream_no_end_is_known(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Meter(0) as meter:
        clock[0] += 20
        meter.count(0, 1, 40)
    assert sys.stderr.getvalue().splitlines() == ["tagged 1 texts, 40 tokens in 20.0 s, 2 tokens/s"] * 2


def test_a_terminal_has_a_bar_with_the_time_left_and_no_thread_for_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    before = threading.active_count()
    with Meter(10_000_000) as meter:
        meter.skip(1_000_000)
        for _ in range(4):
            meter._bar.last_print_t -= 1  # time for another look
            meter.count(1_000_000, 10, 5_000)
        assert threading.active_count() == before
    shown = sys.stderr.getvalue()
    assert re.search(r"50%.*5\.00M/10\.0M \[\d\d:\d\d<\d\d:\d\d, .*B/s, [\d,]+ tokens/s\]", shown)
    assert "tagged" not in shown


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_where_results_run_over_the_terminal_nothing_is_shown(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    with Meter(10, quiet=True) as meter:
        meter.skip(1)
        meter.count(1, 1, 1)
    assert sys.stderr.getvalue() == ""


def test_a_job_that_failed_boasts_of_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    meter = Meter(10)
    meter.count(1, 1, 1)
    meter.__exit__(ValueError, None, None)
    assert sys.stderr.getvalue() == ""
