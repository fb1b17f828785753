"""What the network takes, as tensors: the rows of distinct words, and windows over them.

Words are looked up and windows are built by the functions that serve (``fenestra.model``); here their answers become
tensors.

    T tokens, end to end · U distinct words · N windows · W window width · P documents
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fenestra.model.network.windows import PAD, sentence_bounds, window_ids
from fenestra.model.words.lexicon import Lexicon


class Rows(NamedTuple):
    """The features of U distinct words as indices, int64; what the network turns into e(w)."""

    vector_U: Tensor
    """Row of the vector table."""
    field_UF: Tensor
    """Row of the table of each of F one-valued fields."""
    ngram_UG: Tensor
    """Rows of the n-gram table, filled up with 0 to the G n-grams of the longest word."""

    def pick(self, chosen: Tensor) -> "Rows":
        """The rows of some of the words."""
        return Rows(*(part[chosen] for part in self))

    def to(self, device: torch.device) -> "Rows":
        """The same rows on another device."""
        return Rows(*(part.to(device) for part in self))


class Windows(NamedTuple):
    """N windows of W words, and what is known of their documents.

    A feature that the model does not use holds an empty tensor.
    """

    word_NW: Tensor
    """Words of the batch, counted from 1; 0 is PAD."""
    elsewhere_NW: Tensor
    """Classes of ``model/network/context.py``, counted from 1; 0 is PAD."""
    topic_PD: Tensor
    """Mean vector of each document."""
    document_N: Tensor
    """Row of ``topic_PD`` that belongs to each window."""

    def part(self, chosen: slice) -> "Windows":
        """Some of the windows."""
        return self._replace(
            word_NW=self.word_NW[chosen], elsewhere_NW=self.elsewhere_NW[chosen], document_N=self.document_N[chosen]
        )

    def to(self, device: torch.device) -> "Windows":
        """The same windows on another device."""
        return Windows(*(part.to(device) for part in self))


def look_up(lexicon: Lexicon, words: Sequence[str]) -> Rows:
    """Look up every feature of some distinct words."""
    return Rows(*map(torch.as_tensor, lexicon.rows(words)))


def windows_over(id_T: Tensor, lengths: Sequence[int], context: int) -> Tensor:
    """Centre a window on every token of sentences that lie end to end.

    Args:
        id_T: number of every token from 0; it becomes ``id + 1``, because 0 is PAD.
        lengths: tokens of each sentence.
        context: C, the tokens on each side.

    Returns:
        id_TW, int64, W = 2C + 1.
    """
    return torch.from_numpy(window_ids(id_T.numpy() + 1, sentence_bounds(lengths), context))


def only_words_of(rows: Rows, windows: Windows) -> tuple[Rows, Windows]:
    """Keep the rows of the words that occur in some windows, and renumber the windows to fit."""
    word_V, place_NW = torch.unique(windows.word_NW, return_inverse=True)
    if not len(word_V) or word_V[0] != PAD:
        place_NW = place_NW + 1
    return rows.pick(word_V[word_V != PAD] - 1), windows._replace(word_NW=place_NW)
