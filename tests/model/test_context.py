"""What the rest of the document says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.network.context import topics
from tests.model.conftest import elsewhere, pack


def test_a_word_whose_case_is_forced_learns_from_where_it_is_free():
    sentences = [["TURKEY", "SOUP"], ["Turkey", "is", "dear"], ["A", "turkey", "in", "Turkey"]]
    # seen small (1) and capitalised (2); in a headline or at the head of a sentence case means nothing (8)
    assert elsewhere(sentences) == [1 + 2 + 8, 8, 1 + 2 + 8, 1, 1, 8, 1 + 2, 1, 1 + 2]


def test_capitals_are_told_from_a_capital():
    assert elsewhere([["the", "EU", "and", "Eu", "x", "I"]]) == [1, 2 + 4, 1, 2 + 4, 1, 2]


def test_headlines_are_no_evidence():
    assert elsewhere([["EU", "BANS", "BEEF"]]) == [8, 8, 8]


def test_no_word_has_no_class():
    assert elsewhere([]) == elsewhere([[]]) == []


def test_a_topic_is_the_mean_of_known_words_drawn_to_zero_where_they_are_few():
    table = pack(np.array([[2.0, 4.0], [6.0, 0.0]]), "float32")
    found = topics(table, np.array([1, 2, 0, 1]), [3, 0, 1])
    assert found[0].tolist() == pytest.approx([8 / 22, 4 / 22])
    assert found[1].tolist() == [0, 0]
    assert found[2].tolist() == pytest.approx([2 / 21, 4 / 21])


def test_a_long_document_has_the_topic_of_all_its_words():
    """More tokens than are added up at once, in the middle of other documents."""
    rng = np.random.default_rng(2)
    table, vector_T = pack(rng.normal(size=(9, 4)), "float32"), rng.integers(0, 10, size=9000)
    (_, found, _) = topics(table, vector_T, [10, 8983, 7])
    middle = vector_T[10:8993].tolist()
    expected = sum(table.codes_VD[row].astype(float) for row in middle) / (sum(row > 0 for row in middle) + 20)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@given(st.lists(st.lists(st.lists(st.sampled_from("Rose rose ROSE Ito ito I 1996 . iPhone".split()), max_size=5),
                         max_size=4), max_size=3))  # fmt: skip
def test_classes_are_those_of_a_reading_word_by_word(documents):
    """Oracle: the definition, one token after another."""
    for sentences in documents:
        seen = {}
        free = {
            (s, t)
            for s, words in enumerate(sentences)
            for t, word in enumerate(words)
            if word.islower() or (t > 0 and any(map(str.islower, words)))
        }
        for s, t in free:
            seen.setdefault(sentences[s][t].lower(), set()).add(kind(sentences[s][t]))
        expected = [
            sum(seen.get(word.lower(), {0})) + (8 if (s, t) not in free and kind(word) > 1 else 0)
            for s, words in enumerate(sentences)
            for t, word in enumerate(words)
        ]
        assert elsewhere(sentences) == expected


def kind(word):
    """1 in small letters, 2 with a capital first, 4 in more capitals than one, 0 for anything else."""
    if word == word.lower() != word.upper():
        return 1
    if word[0] == word[0].lower():
        return 0
    return 4 if len(word) > 1 and word == word.upper() else 2
