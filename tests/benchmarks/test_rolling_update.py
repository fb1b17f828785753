"""A rolling update loses no request, in short; and what counts as lost."""

import asyncio
import shutil

import pytest

from benchmarks.load import runner
from benchmarks.rolling_update import MANIFEST, Report, Timing, roll


def test_the_waits_are_those_of_the_manifest():
    whole, tenth = Timing.of(MANIFEST), Timing.of(MANIFEST, 0.1)
    assert whole == (15, 10, 5, 30, 3, 10)
    assert tenth == pytest.approx([wait / 10 for wait in whole])


def test_whatever_is_not_a_whole_answer_of_status_200_is_lost():
    report = Report()
    report.statuses.update({200: 5, 503: 2, 0: 1, -1: 1})
    assert report.lost == 4


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
@pytest.mark.load
def test_two_updates_lose_no_request():
    with runner() as run:
        report = run.run(
            asyncio.wait_for(roll(2, Timing(2, 5, min_ready=0.1, termination=20, removal=1, pause=1)), 120)
        )
    assert report.lost == 0, report.statuses
    assert report.statuses[200] > 100
    assert report.going > 0  # or nothing came after SIGTERM that could have been lost
    assert len(report.unready_after) == 2
    assert report.exits == {0: 2}
