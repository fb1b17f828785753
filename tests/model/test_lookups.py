"""What the kernel finds out of words by itself is what Python says of them."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fenestra.model.bundled import find_model
from fenestra.model.checkpoint import load
from fenestra.model.engine import library
from fenestra.model.engine.lookups import lookups_of
from fenestra.model.engine.reader import Reader
from fenestra.model.engine.vocabulary import PLAIN_WORD, Vocabulary
from fenestra.model.engine.weights import Weights
from fenestra.model.network.context import case_evidence
from fenestra.model.text.canonical import canonical
from fenestra.model.text.language import Language, language
from fenestra.model.text.plain import ODD, PLAIN, characters
from fenestra.model.text.sentences import roles
from fenestra.model.text.tokens import tokenize

pytestmark = pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")

BUILDS = list(library.builds())
MODELS = {name: load(find_model(name)) for name in ("english", "russian")}
LOOKUPS = {name: lookups_of(BUILDS[0], model.lexicon) for name, model in MODELS.items()} if BUILDS else {}
WEIGHTS = {name: Weights(BUILDS[0], model, "float32") for name, model in MODELS.items()} if BUILDS else {}
COMMON = st.sampled_from(
    [*list(MODELS["english"].lexicon.vector_rows)[::97], *MODELS["russian"].lexicon.gazetteers.lists]
)
CASED = COMMON.map(str.title) | COMMON.map(str.upper) | COMMON
SIGNS = st.text(
    "aBcДж019.,'\u2019-\u2010&_@#$%;:/\u2018!?\u2026\u2014ßŉǅΣςİıſ\u212a²ªґ\u0301\u00ad", min_size=1, max_size=12
)
PLAIN_TEXT = st.text(st.characters(max_codepoint=PLAIN - 1), min_size=1, max_size=50)
WORDS = st.lists(CASED | SIGNS | PLAIN_TEXT | st.text(min_size=1, max_size=80), min_size=1, max_size=20)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=300)
@given(WORDS)
@example(["SIEMENS", "Siemens", "siemens", "O\u2019Brien", "AT&T", "a&b;", "&amp;", "ǅ", "ΑΣ", "İstanbul", "x\ny", " "])
def test_words_are_looked_up_as_in_python(name, words):
    lexicon = MODELS[name].lexicon
    found = Vocabulary(library.load(), lexicon, LOOKUPS[name], most_words=256)
    found.now = found.table.now = 1
    number_N = found.numbers(words, {})
    for number, word in zip(number_N.tolist(), words, strict=True):
        form = canonical(word)
        assert found.text(number) == (form if len(word.encode("utf-8", "surrogatepass")) <= 64 else None)
        assert found.vector[number] == lexicon.vector_row(form)
        assert found.oov[number] == lexicon.is_oov(form)
        assert found.evidence[number] == case_evidence(form)
        assert found.role[number] == roles(lexicon.language)(word)
        assert found.size[number] == len(word)
    lowered = [canonical(word).lower() for word in words]
    for number, small in zip(number_N.tolist(), lowered, strict=True):
        same = {other for other, text in zip(number_N.tolist(), lowered, strict=True) if text == small}
        others = set(number_N.tolist()) - same
        assert {found.lowered[other] for other in same} == {found.lowered[number]}
        assert found.lowered[number] not in {found.lowered[other] for other in others}


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=300)
@given(WORDS)
def test_words_are_encoded_as_in_python(name, words):
    weights, found = WEIGHTS[name], Vocabulary(library.load(), MODELS[name].lexicon, LOOKUPS[name], most_words=256)
    found.now = found.table.now = 1
    words = list(dict.fromkeys(words))
    number_N = found.numbers(words, {}).astype(np.int64)
    text = dict(zip(number_N.tolist(), map(canonical, words), strict=True))
    entry_UE = weights.encode_numbers(number_N, found, text.__getitem__)
    np.testing.assert_array_equal(entry_UE, weights.encode(list(text.values())))


def test_nearly_all_words_of_alphabetic_scripts_are_plain():
    for name, model in MODELS.items():
        found = Vocabulary(library.load(), model.lexicon, LOOKUPS[name])
        found.now = found.table.now = 1
        words = [word for word in list(model.lexicon.vector_rows)[:20_000] if word]
        plain = found.known[found.numbers(words, {})] == PLAIN_WORD
        assert plain.mean() > 0.99


def test_a_stressed_word_is_plain_where_the_accent_makes_no_other_letter():
    found = Vocabulary(library.load(), MODELS["russian"].lexicon, LOOKUPS["russian"])
    found.now = found.table.now = 1
    plain = ["Сучжо\u0301у", "пра\u0301вда", "за\u0301"]
    odd = ["г\u0301а", "cafe\u0301", "\u0301а", "а\u0301\u0301", "а\u0301'б"]
    assert (found.known[found.numbers(plain, {})] == PLAIN_WORD).all()
    assert (found.known[found.numbers(odd, {})] != PLAIN_WORD).all()


@pytest.mark.parametrize("name", MODELS)
def test_every_plain_character_is_by_itself_what_it_is_in_a_word(name):
    bits, form, lower, title = characters(MODELS[name].lexicon.language)
    for code in np.flatnonzero(bits & ODD == 0).tolist():
        character = chr(code)
        assert canonical(character) == chr(form[code])
        assert canonical(f"x{character}") == f"x{chr(form[code])}"
        assert character.lower() == chr(lower[code])
        assert len(character.title()) != 1 or character.title() == chr(title[code])


def test_a_value_with_a_line_break_is_one_like_any_other():
    model = MODELS["english"]
    values = {"a\nb": 1, "met": 2, "ada": 3}
    lexicon = replace(model.lexicon, field_rows={**model.lexicon.field_rows, "word": values})
    found = Vocabulary(library.load(), lexicon, most_words=64)
    found.now = found.table.now = 1
    number_N = found.numbers(["met", "Ada", "b", "a\nb"], {})
    assert found.oov[number_N].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("name", MODELS)
def test_a_lexicon_in_a_table_is_the_same_lexicon(name):
    lexicon, small = MODELS[name].lexicon, LOOKUPS[name].lexicon
    assert small.vector_rows == lexicon.vector_rows
    assert list(small.vector_rows) == list(lexicon.vector_rows)
    assert small.field_rows == lexicon.field_rows
    assert list(small.field_rows) == list(lexicon.field_rows)
    assert small.gazetteers.clusters == lexicon.gazetteers.clusters
    assert small.gazetteers.lists == lexicon.gazetteers.lists
    assert "no such word\ud800" not in small.vector_rows
    assert small.vector_rows.get("x" * (1 << 24)) is None


def test_a_lexicon_that_is_in_a_table_stays_there():
    known = LOOKUPS["english"]
    assert lookups_of(library.load(), replace(known.lexicon)) is known
    other = replace(known.lexicon, field_rows={**known.lexicon.field_rows, "word": {"met": 1}})
    assert lookups_of(library.load(), other).lexicon.field_rows["word"] == {"met": 1}


def test_what_a_language_lists_twice_is_there_once():
    doubled = {
        name: (*entries, *entries) if isinstance(entries, tuple) else entries
        for name, entries in asdict(language()).items()
    }
    lexicon = replace(MODELS["english"].lexicon, language=Language(**doubled))
    reader = Reader(library.load(), Vocabulary(library.load(), lexicon, most_words=256))
    text = "Mr. Moss 's 'em Inc. didn't at 5 PM , Fig. A."
    list(reader.read([text]))
    batch = reader.batch
    found = [batch.text(number) for number in batch.word_T.tolist()]
    assert found == [token.text for token in tokenize(text, lexicon.language)]
