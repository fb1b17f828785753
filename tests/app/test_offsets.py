"""Offsets in three units, against slices of encoded text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.app.api.offsets import convert

# Plain characters alone would hardly ever meet an astral one.
TEXTS = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("a é́я👩‍🚀🇮🇸𝔞𐍈\U0010ffff\uffff")))


@given(TEXTS, st.data())
def test_utf16_offsets_slice_as_in_javascript(text, data):
    points = data.draw(st.lists(st.integers(0, len(text))))
    units = text.encode("utf-16-le")
    converted = convert(text, points, "utf16")
    assert set(converted) == set(points)
    for point, unit in converted.items():
        assert units[: 2 * unit].decode("utf-16-le") == text[:point]


@given(TEXTS, st.data())
def test_utf8_offsets_slice_as_in_go(text, data):
    points = data.draw(st.lists(st.integers(0, len(text))))
    for point, unit in convert(text, points, "utf8").items():
        assert text.encode()[:unit].decode() == text[:point]


@given(TEXTS)
def test_code_point_offsets_are_unchanged(text):
    everywhere = range(len(text) + 1)
    assert convert(text, everywhere, "codepoint") == {point: point for point in everywhere}


@pytest.mark.parametrize("unit", ["utf16", "utf8"])
def test_conversion_takes_linear_time(unit):
    text = "🙂a" * 200_000
    began = time.perf_counter()
    convert(text, range(len(text)), unit)
    assert time.perf_counter() - began < 5  # a second where it is linear; minutes where every offset starts anew
