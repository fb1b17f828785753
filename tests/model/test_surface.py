"""What a word's letters say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.words.surface import case, clip, fields, ngrams, shape


@pytest.mark.parametrize(
    ("word", "expected"),
    [("Ada", "title"), ("USA", "upper"), ("U.S.", "upper"), ("met", "lower"), ("iPhone", "mixed"),
     ("McCain", "mixed"), ("1996", "digits"), ("3-1", "digits"), ("3rd", "alphanumeric"), ("A", "capital"),
     (",", "sign"), ("東京", "uncased"), ("Москва", "title"), ("", "sign")],
)  # fmt: skip
def test_case_has_one_class_for_each_kind_of_word(word, expected):
    assert case(word) == expected


@pytest.mark.parametrize(
    ("word", "expected"), [("Lovelace", "Xxx"), ("U.S.", "X.X."), ("1996-08-22", "dd-dd-dd"), ("McDonald", "XxXxx")]
)
def test_shape_keeps_the_outline(word, expected):
    assert shape(word) == expected


@given(st.text(max_size=80) | st.text("aB1-.dX\n", max_size=80))
def test_the_shape_of_a_word_is_that_of_its_letters_with_long_runs_cut_to_two(word):
    kinds = [
        "d" if c.isdigit() else c if not c.isalpha() else "X" if c.isupper() else "x" for c in clip(word)
    ]  # fmt: skip
    assert shape(word) == "".join(kind for at, kind in enumerate(kinds) if kinds[at - 2 : at] != [kind] * 2 or at < 2)


@given(st.text(max_size=200), st.integers(1, 1000))
def test_ngrams_are_stable_and_in_range(word, buckets):
    found = ngrams(word, (3, 4), buckets)
    assert found == ngrams(word, (3, 4), buckets)
    assert all(1 <= row <= buckets for row in found)


def test_ngrams_tell_capital_from_small_letters():
    assert set(ngrams("Us", (3,), 10_000)) != set(ngrams("us", (3,), 10_000))


def test_a_word_of_any_length_costs_no_more_than_a_long_one():
    assert len(ngrams("x" * 100_000, (3, 4, 5), 1000)) < 200
    assert clip("short") == "short"


def test_affixes_are_lower_cased_and_as_long_as_asked():
    assert fields("Munich", prefixes=(2,), suffixes=(3,)) == {
        "word": "munich", "case": "title", "shape": "Xxx", "prefix2": "mu", "suffix3": "ich"
    }  # fmt: skip
