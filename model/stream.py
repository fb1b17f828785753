"""Documents as the network sees them: one flat stream of tokens, whose words were looked up once.

T tokens of all sentences, end to end · U distinct words · P documents · N windows · W window width
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import torch
from torch import Tensor

from model.config import ModelConfig
from model.document import elsewhere, topics
from model.lexicon import Lexicon, Rows, number_words
from model.vectors import VectorTable
from model.window import PAD, Windows, sentence_bounds, window_ids

Sentences = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Stream:
    """Sentences of some documents, as numbers."""

    rows: Rows
    """Features of the distinct words."""
    word_T: Tensor
    """Which distinct word each token is, from 0."""
    elsewhere_T: Tensor
    """Class of each token in its document; empty for a model that does not look."""
    topic_PD: Tensor
    """Mean vector of each document; of width 0 for a model that does not look."""
    document_T: Tensor
    """The document of each token."""
    lengths: tuple[int, ...]
    """Tokens of each sentence."""

    @classmethod
    def read(cls, documents: Sequence[Sentences], lexicon: Lexicon, vectors: VectorTable, config: ModelConfig) -> Self:
        """Look up the words of documents, and what each document says of its words."""
        sentences = list(chain.from_iterable(documents))
        words, places = number_words(chain.from_iterable(sentences))
        rows = lexicon.rows(words)
        word_T = torch.tensor(places, dtype=torch.int64)
        sizes = [sum(map(len, document)) for document in documents]
        classes = [kind for document in documents for kind in elsewhere(document)] if config.features.elsewhere else []
        none = torch.zeros(len(documents), 0)
        return cls(
            rows,
            word_T,
            torch.tensor(classes, dtype=torch.int64),
            topics(vectors, rows.vector_U[word_T], sizes) if config.features.topic else none,
            torch.arange(len(documents)).repeat_interleave(torch.tensor(sizes, dtype=torch.int64)),
            tuple(map(len, sentences)),
        )

    def windows(self, context: int) -> Windows:
        """Every window of the stream; word u is u + 1 in them."""
        bounds_2T = sentence_bounds(self.lengths)
        return Windows(
            window_ids(self.word_T + 1, bounds_2T, context),
            window_ids(self.elsewhere_T + 1, bounds_2T, context) if self.elsewhere_T.numel() else self.elsewhere_T,
            self.topic_PD,
            self.document_T,
        )

    def bags(self, context: int, size: int) -> Iterator[tuple[Rows, Windows]]:
        """All windows in order, in bags of ``size``, each with the rows of the words that occur in it.

        A bag does not care where sentences end, so no text is too long: memory is bounded by the bag.
        """
        windows = self.windows(context)
        for begin in range(0, len(self.word_T), size):
            yield only_words_of(self.rows, windows.part(slice(begin, begin + size)))


def only_words_of(rows: Rows, windows: Windows) -> tuple[Rows, Windows]:
    """Keep the rows of the words that occur in some windows, and renumber the windows to fit."""
    word_V, place_NW = torch.unique(windows.word_NW, return_inverse=True)
    if not len(word_V) or word_V[0] != PAD:
        place_NW = place_NW + 1
    return rows.pick(word_V[word_V != PAD] - 1), windows._replace(word_NW=place_NW)
