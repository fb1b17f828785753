"""What reading knows of a language, as data."""

import json

import pytest

from fenestra.model.errors import ConfigError
from fenestra.model.text.language import Language, codes, language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import tokenize


@pytest.mark.parametrize("code", codes())
def test_a_language_that_comes_along_is_read_back_as_it_was_written(code):
    found = language(code)
    assert found.code == code
    assert Language.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert all((found.openers, found.titles, found.abbreviations))
    assert not set(found.titles) & set(found.openers)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "text: expected an object"),
        ({}, "text.code: expected"),
        ({"code": 1}, "text.code: expected"),
        ({"code": "e\n"}, "text.code: expected"),
        ({"code": "en", "odd": 1}, "text.odd: unknown"),
        ({"code": "en", "keep_stops": 1}, "text.keep_stops: expected true or false"),
        ({"code": "en", "titles": "Mr"}, "text.titles: expected a list of words"),
        ({"code": "en", "openers": [1]}, "text.openers: expected a list of words"),
        ({"code": "en", "clitics": [""]}, "text.clitics: expected a list of words"),
        ({"code": "en", "abbreviations": ["a b"]}, "text.abbreviations: expected a list of words"),
        ({"code": "en", "abbreviations": ["a\n"]}, "text.abbreviations: expected a list of words"),
        ({"code": "en", "abbreviations": ["a" * 65]}, "text.abbreviations: expected a list of words"),
        ({"code": "en", "abbreviations": ["a"] * 10_001}, "text.abbreviations: expected a list of words"),
        ({"code": "en", "clocks": [None]}, "text.clocks: expected a list of words"),
    ],
)
def test_what_a_file_may_hold_is_checked(values, message):
    with pytest.raises(ConfigError, match=message):
        Language.from_json(values)


def test_an_unknown_language_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="'xx' is none of de, en, es, nl, ru"):
        language("xx")


def test_words_with_a_meaning_in_expressions_are_only_words():
    odd = Language(
        code="xx", titles=("a+", "(", "[b"), abbreviations=("x|y", "."), clitics=("'s+", "$"), openers=("^",)
    )
    text = "met a+. ( [b. x|y. ^ it's ."
    tokens = tokenize(text, odd)
    assert [token.text for token in tokens] == "met a+. ( [b. x|y. ^ it's .".split()
    assert sum(sentence_lengths(text, tokens, odd)) == len(tokens)


def test_a_language_without_words_reads_every_text():
    bare = Language(code="xx")
    assert [token.text for token in tokenize("Mr. Ito's dog.", bare)] == ["Mr", ".", "Ito's", "dog", "."]
