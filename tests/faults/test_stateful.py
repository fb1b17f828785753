"""Random sequences of clients, reloads and signals; `make stateful` runs thousands of them."""

import pytest

from benchmarks.stateful.run import run

pytestmark = pytest.mark.load


def test_no_sequence_loses_an_answer_or_leaves_anything_open():
    found = run(sequences=10, steps=40, number=7)
    assert found.violation == ""
    assert found.sequences >= 10


def test_the_absence_of_a_safeguard_is_noticed():
    found = run(sequences=200, steps=50, number=1, without="half-pairs")
    assert "invalid_unicode" in found.violation
