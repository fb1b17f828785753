"""Tokens: where they are, and that they are split as the corpora are."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.text.canonical import canonicalise
from fenestra.model.text.tokens import tokenize


def words(text):
    return [token.text for token in tokenize(text)]


@given(st.text(max_size=300))
def test_tokens_lie_in_order_where_they_say_and_leave_only_what_cannot_be_seen(text):
    end, rest = 0, []
    for token in tokenize(text):
        assert token.text == text[token.start : token.end] != ""
        assert token.start >= end
        rest.append(text[end : token.start])
        end = token.end
    assert not [some for some in (*rest, text[end:]) if canonicalise(some).text.strip()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada's dog didn't bark.", "Ada 's dog did n't bark ."),
        ("It’s John’s, don’t you think?", "It ’s John ’s , do n’t you think ?"),
        ("Mr. O'Brien of AT&T Inc. left the U.S. today.", "Mr. O'Brien of AT&T Inc. left the U.S. today ."),
        ("J. K. Moss met J.R. Ewing.", "J. K. Moss met J.R. Ewing ."),
        ("at 10:30 a.m. on 1996-08-22, 6-3 and 1,200.50", "at 10:30 a.m. on 1996-08-22 , 6-3 and 1,200.50"),
        ("Anglo-French U.N.-led talks", "Anglo-French U.N.-led talks"),
        ("won .556 of 9; C$1.15, A$ 100 and US$ 5.", "won .556 of 9 ; C$ 1.15 , A$ 100 and US$ 5 ."),
        ("ping .192.168.1.1 now", "ping . 192.168.1.1 now"),
        ("ST. LOUIS", "ST. LOUIS"),
        ("He left--Anna stayed---in Oslo____Bergen.", "He left -- Anna stayed --- in Oslo ____ Bergen ."),
        ("$5.20 is 50% (half)", "$ 5.20 is 50 % ( half )"),
        ("mail me@x.org or see https://x.org/a_b, @ada #nlp", "mail me@x.org or see https://x.org/a_b , @ada #nlp"),
        ("“Quoted” — dash... and --more", "“ Quoted ” — dash ... and -- more"),
        ("Иван Петров живёт в Санкт-Петербурге.", "Иван Петров живёт в Санкт-Петербурге ."),
        ("हिन्दी में", "हिन्दी में"),
        ("👩‍👩‍👧 ok 🇩🇪🇫🇷 👍🏽", "👩‍👩‍👧 ok 🇩🇪 🇫🇷 👍🏽"),
        ("", ""),
        (" \n\t ", ""),
    ],
)
def test_text_is_split_as_annotators_split_it(text, expected):
    assert " ".join(words(text)) == expected


def test_a_decomposed_accent_stays_on_its_letter():
    text = unicodedata.normalize("NFD", "Zoë Müller")
    assert words(text) == text.split()


def test_a_token_of_a_hundred_thousand_letters_is_one_token():
    assert words("a" * 100_000) == ["a" * 100_000]


@pytest.mark.parametrize(
    "text",
    ["\u1161\U0001d7cf\u05b0&#0;", "安\u0301\u00adx", "か\u3099\u0301abc", "&acE;b", "&nGt;", "ﬁ's", "&fjlig;'s"],
)
def test_tokens_do_not_overlap_where_one_place_stands_for_several_characters(text):
    tokens = tokenize(text)
    assert all(one.start + len(one.text) <= other.start for one, other in pairwise(tokens))
    assert all(token.text for token in tokens)
