"""Where sentences end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.sentences import sentence_lengths
from model.tokens import tokenize


def sentences(text):
    tokens, found, begin = tokenize(text), [], 0
    for length in sentence_lengths(text, tokens):
        found.append(" ".join(token.text for token in tokens[begin : begin + length]))
        begin += length
    return found


@given(st.text(alphabet="aB.!?\"'()\n 1’”", max_size=80))
def test_every_token_belongs_to_one_sentence_and_none_is_empty(text):
    tokens = tokenize(text)
    lengths = sentence_lengths(text, tokens)
    assert sum(lengths) == len(tokens)
    assert all(length > 0 for length in lengths)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He met Mr. Ito. They left.", ["He met Mr. Ito .", "They left ."]),
        ("She works for Siemens AG in the U.S. The pay is good.",
         ["She works for Siemens AG in the U.S.", "The pay is good ."]),
        ("“Go!” He went.", ["“ Go ! ”", "He went ."]),
        ('He said "Go." Then "Why?" was heard.', ['He said " Go . "', 'Then " Why ? " was heard .']),
        ('It fell . " We lost . " It rose .', ["It fell .", '" We lost . "', "It rose ."]),
        ("Leeds 3 1 Hull 2 0", ["Leeds 3 1", "Hull 2 0"]),
        ("NEW YORK 1996-08-30 Stocks fell.", ["NEW YORK 1996-08-30", "Stocks fell ."]),
        ("it fell. then it rose.", ["it fell . then it rose ."]),
        ("STORM HITS COAST\nWinds rose in Kiel.", ["STORM HITS COAST", "Winds rose in Kiel ."]),
        ("a line that was broken because the page was full of letters in\nMunich and went on",
         ["a line that was broken because the page was full of letters in Munich and went on"]),
        ("One\n\ntwo", ["One", "two"]),
        ("", []),
    ],
)  # fmt: skip
def test_breaks_fall_where_a_reader_puts_them(text, expected):
    assert sentences(text) == expected
