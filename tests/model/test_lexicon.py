"""From words to rows."""

import numpy as np
import pytest

from fenestra.model.config import FeatureConfig
from fenestra.model.words.lexicon import UNKNOWN
from fenestra.training.data.lexicon import build_lexicon

FEATURES = FeatureConfig(word=2, case=2, affix=2, prefixes=(2,), suffixes=(), ngram=2)


def test_a_word_is_looked_up_as_written_and_then_in_lower_case():
    lexicon = build_lexicon(FEATURES, ["bush", "Bush", "in"], [], 1)
    assert [lexicon.vector_row(word) for word in ("Bush", "bush", "IN", "nowhere")] == [2, 1, 3, UNKNOWN]


def test_the_rows_of_a_word_are_those_that_it_has_alone():
    """But for the zeros behind its n-grams, which fill up to those of the longest word."""
    lexicon = build_lexicon(FEATURES, ["b"], ["a", "b"], 1)
    together = lexicon.rows(["a", "b", "ccc"])
    for place, word in enumerate(["a", "b", "ccc"]):
        vector_U, field_UF, ngram_UG = lexicon.rows([word])
        assert (vector_U[0], field_UF[0].tolist()) == (together.vector_U[place], together.field_UF[place].tolist())
        grams = together.ngram_UG[place].tolist()
        assert grams[: ngram_UG.shape[1]] == ngram_UG[0].tolist()
        assert not any(grams[ngram_UG.shape[1] :])


def test_ngrams_that_are_known_are_not_hashed_again():
    lexicon = build_lexicon(FEATURES, ["b"], ["a", "b"], 1)
    assert lexicon.rows(["a"], np.array([[7, 8, 0]])).ngram_UG.tolist() == [[7, 8, 0]]


@pytest.mark.parametrize(("width", "expected"), [(2, [False, False, True]), (0, [False, False, False])])
def test_a_word_is_out_of_vocabulary_where_training_had_rows_for_words_and_none_for_it(width, expected):
    features = FeatureConfig(word=width, case=2)
    lexicon = build_lexicon(features, ["nowhere"], ["bush", "Bush", "in"], 1)
    assert [lexicon.is_oov(word) for word in ("BUSH", "in", "nowhere")] == expected


def test_no_word_gives_rows_of_no_length():
    rows = build_lexicon(FEATURES, ["b"], ["a"], 1).rows([])
    assert [part.shape[0] for part in rows] == [0, 0, 0]


def test_words_too_short_for_any_ngram_have_none():
    """And do not stop the lookup, whatever else is in the batch."""
    features = FeatureConfig(vectors=False, case=0, ngram=2, ngram_sizes=(5,))
    rows = build_lexicon(features, [], [], 1).rows(["a", "I"])
    assert rows.ngram_UG.tolist() == [[0], [0]]
