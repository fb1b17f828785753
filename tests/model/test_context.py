"""What the rest of the document says."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.network.context import PASSAGE, elsewhere, passage_means, passage_sizes, topics
from fenestra.model.words.vectors import VectorTable


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
    table = VectorTable.pack(torch.tensor([[2.0, 4.0], [6.0, 0.0]]), "float32")
    found = topics(table, torch.tensor([1, 2, 0, 1]), [3, 0, 1])
    assert found[0].tolist() == pytest.approx([8 / 22, 4 / 22])
    assert found[1].tolist() == [0, 0]
    assert found[2].tolist() == pytest.approx([2 / 21, 4 / 21])


@given(st.lists(st.integers(0, 5 * PASSAGE) | st.sampled_from([PASSAGE - 1, PASSAGE, PASSAGE + 1]), max_size=8))
def test_a_long_sentence_is_parted_from_its_start(lengths):
    """Oracle: one sentence after another."""
    expected = [len(range(at, min(at + PASSAGE, n))) for n in lengths for at in range(0, n, PASSAGE)]
    assert passage_sizes(lengths).tolist() == expected


def test_a_sentence_says_more_than_a_document_as_short():
    """Σ v(w) / (n + 5) over the n words that have a vector; nothing where none has."""
    table = VectorTable.pack(torch.tensor([[2.0, 4.0], [6.0, 0.0]]), "float32")
    found = passage_means(table, torch.tensor([1, 2, 0, 1, 0]), np.array([3, 1, 1]))
    assert found.tolist() == [pytest.approx([8 / 7, 4 / 7]), pytest.approx([2 / 6, 4 / 6]), [0, 0]]
