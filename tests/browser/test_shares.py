"""The arithmetic of the page, run where it runs."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def shares(function):
    """Call a function of shares.js."""
    return lambda name, *given: function("shares.js", name)(*given)


parts = st.lists(st.floats(-50, 50), min_size=1, max_size=20)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=parts)
def test_rounded_parts_add_up_to_their_rounded_sum(shares, values):
    rounded = shares("hundredths", values)
    assert abs(sum(rounded) - 100 * sum(values)) <= 0.5 + 1e-6
    for whole, part in zip(rounded, values, strict=True):
        assert abs(whole - 100 * part) <= 1 + 1e-6


@pytest.mark.parametrize(("whole", "shown"), [(123, "+1.23"), (-40, "−0.40"), (0, "0.00"), (-1, "−0.01")])
def test_numbers_carry_a_true_sign(shares, whole, shown):
    assert shares("signed", whole) == shown


def test_a_bar_starts_or_ends_at_zero(shares):
    values = [-1, 3, 0]
    assert shares("bar", -1, values) == {"zero": 25, "from": 0, "length": 25}
    assert shares("bar", 3, values) == {"zero": 25, "from": 25, "length": 75}
    assert shares("bar", 0, [0, 0]) == {"zero": 0, "from": 0, "length": 0}


def test_levels_grow_with_the_share(shares):
    values = [-2, -1, -0.1, 0, 0.3, 1, 2]
    levels = [shares("level", value, values) for value in values]
    assert levels[0] == -4
    assert levels[-1] == 4
    assert all(one <= other for one, other in pairwise(levels))
    assert shares("level", 0, [0, 0]) == 0
