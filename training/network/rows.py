"""What the network takes, as tensors: the rows of distinct words, and windows over them.

Words are looked up and windows are built by the functions that serve (``fenestra.model``); here their answers become
tensors.

    T tokens, end to end · U distinct words · N windows · W window width · P documents · S sentences
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fenestra.model.network.windows import PAD, sentence_bounds, window_ids
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.data.long_columns import Column

CHARACTERS = 2048
"""Rows of the table of characters: padding, the marks of the two ends of a word, and the characters."""
_BEGIN, _END, _BESIDES = 1, 2, 3
_MOST_CHARACTERS = 32
_LOOKED_UP = 1 << 16  # words at a time; bounds the memory of their features as Python objects


class Rows(NamedTuple):
    """The features of U distinct words as indices; what the network turns into e(w).

    Int64; int32, and on the disk, of all words of a large corpus, of which :meth:`pick` takes some.
    """

    vector_U: Tensor
    """Row of the vector table."""
    field_UF: Tensor
    """Row of the table of each of F one-valued fields."""
    ngram_UG: Tensor
    """Rows of the n-gram table, filled up with 0 to the G n-grams of the longest word."""
    character_UC: Tensor
    """Rows of the table of characters, filled up with 0 to the C of the longest word; none for a window network."""

    def pick(self, chosen: Tensor) -> "Rows":
        """The rows of some of the words."""
        return Rows(*(part[chosen].long() for part in self))

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


class Lengths(NamedTuple):
    """Where tokens that lie end to end begin anew; both on the CPU."""

    sentence_S: Tensor
    """Tokens of each sentence: tags are a path through each. Joined sentences count as one."""
    sequence_R: Tensor
    """Tokens of each of R sequences of sentences, which a recurrent network reads in one go."""


def look_up(lexicon: Lexicon, words: Sequence[str], *, with_characters: bool = False) -> Rows:
    """Look up every feature of some distinct words; their characters only if they are asked for."""
    if len(words) <= _LOOKED_UP:
        return _look_up(lexicon, words, with_characters)
    pieces = (words[at : at + _LOOKED_UP] for at in range(0, len(words), _LOOKED_UP))
    parts = deque([part.int() for part in _look_up(lexicon, piece, with_characters)] for piece in pieces)
    shapes = [(len(words), *np.max([part.shape[1:] for part in same], axis=0)) for same in zip(*parts, strict=True)]
    columns = [Column("i") for _ in shapes]
    while parts:  # one after the other, so that memory never holds all of them twice
        for column, part, shape in zip(columns, parts.popleft(), shapes, strict=True):
            filled = functional.pad(part, (0, shape[1] - part.shape[1])) if len(shape) > 1 else part
            column.extend_array(filled.numpy())
    return Rows(*(torch.from_numpy(column.array()).view(shape) for column, shape in zip(columns, shapes, strict=True)))


def _look_up(lexicon: Lexicon, words: Sequence[str], with_characters: bool) -> Rows:
    character_UC = characters(words) if with_characters else torch.zeros(len(words), 0, dtype=torch.int64)
    vector_U, field_UF, ngram_UG = map(torch.as_tensor, lexicon.rows(words))
    return Rows(vector_U, field_UF, ngram_UG, character_UC)


def characters(words: Sequence[str]) -> Tensor:
    """Number the characters of words, between a mark at either end.

    Of a long word the first and the last characters count. The number follows from the code point, so no list of
    characters has to be kept; letters of the scripts in use in Europe get different numbers.

    Returns:
        character_UC, int64, in [1, CHARACTERS), filled up with 0.
    """
    half = _MOST_CHARACTERS // 2
    short = [word if len(word) <= 2 * half else word[:half] + word[-half:] for word in words]
    longest = max(map(len, short), default=0) + 2
    spare = CHARACTERS - _BESIDES
    numbers = [[_BEGIN, *(_BESIDES + ord(character) % spare for character in word), _END] for word in short]
    filled = [row + [0] * (longest - len(row)) for row in numbers]
    return torch.tensor(filled, dtype=torch.int64).view(len(words), longest)


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
