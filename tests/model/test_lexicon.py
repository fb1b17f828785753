"""From words to rows."""

import torch

from fenestra.model.config import FeatureConfig
from fenestra.model.words.lexicon import UNKNOWN, Lexicon

FEATURES = FeatureConfig(word=2, case=2, affix=2, prefixes=(2,), suffixes=(), ngram=2)


def test_a_word_is_looked_up_as_written_and_then_in_lower_case():
    lexicon = Lexicon.build(FEATURES, ["bush", "Bush", "in"], [], 1)
    assert [lexicon.vector_row(word) for word in ("Bush", "bush", "IN", "nowhere")] == [2, 1, 3, UNKNOWN]


def test_values_below_the_least_count_share_the_unknown_row():
    lexicon = Lexicon.build(FEATURES, [], ["a", "a", "b"], 2)
    rows = lexicon.rows(["a", "b"])
    word = list(lexicon.field_rows).index("word")
    assert rows.field_UF[:, word].tolist() == [1, UNKNOWN]


def test_the_rows_of_chosen_words_are_the_rows_of_those_words():
    lexicon = Lexicon.build(FEATURES, ["b"], ["a", "b"], 1)
    chosen = lexicon.rows(["a", "b", "ccc"]).pick(torch.tensor([1, 2]))
    alone = lexicon.rows(["b", "ccc"])
    assert all(torch.equal(x, y) for x, y in zip(chosen, alone, strict=True))


def test_no_word_gives_rows_of_no_length():
    rows = Lexicon.build(FEATURES, ["b"], ["a"], 1).rows([])
    assert [part.shape[0] for part in rows] == [0, 0, 0]


def test_words_too_short_for_any_ngram_have_none():
    """And do not stop the lookup, whatever else is in the batch."""
    features = FeatureConfig(vectors=False, case=0, ngram=2, ngram_sizes=(5,))
    rows = Lexicon.build(features, [], [], 1).rows(["a", "I"])
    assert rows.ngram_UG.tolist() == [[0], [0]]
