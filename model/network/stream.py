"""Documents as the network sees them: one flat stream of tokens, whose words were looked up once.

T tokens of all sentences, end to end · U distinct words · P documents · R passages · N windows · W window width
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.config import ModelConfig
from fenestra.model.network.context import case_evidence, class_tokens, passage_means, passage_sizes, topics
from fenestra.model.network.windows import PAD, Windows, sentence_bounds, window_ids
from fenestra.model.steps import run
from fenestra.model.words.lexicon import Lexicon, Rows, number_words
from fenestra.model.words.vectors import VectorTable

Sentences = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Stream:
    """Sentences of some documents, as numbers."""

    rows: Rows
    """Features of the distinct words."""
    words: tuple[str, ...]
    """The distinct words."""
    word_T: Tensor
    """Which distinct word each token is, from 0."""
    elsewhere_T: Tensor
    """Class of each token in its document; empty for a model that does not look."""
    topic_PD: Tensor
    """Mean vector of each document; of width 0 for a model that does not look."""
    document_T: Tensor
    """The document of each token."""
    sentence_RD: Tensor
    """Mean vector of each passage; empty for a model that does not look, as is what follows."""
    passage_T: Tensor
    """The passage of each token."""
    lengths: tuple[int, ...]
    """Tokens of each sentence."""

    @classmethod
    def read(cls, documents: Sequence[Sentences], lexicon: Lexicon, vectors: VectorTable, config: ModelConfig) -> Self:
        """Look up the words of documents, and what each document says of its words."""
        words, places = number_words(chain.from_iterable(chain.from_iterable(documents)))
        rows = lexicon.rows(words)
        word_T = torch.tensor(places, dtype=torch.int64)
        sentences = [list(map(len, document)) for document in documents]
        lengths = tuple(chain.from_iterable(sentences))
        nothing, none = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 0)
        sentence_RD, passage_T = none, nothing
        if config.features.sentence:
            size_R = passage_sizes(lengths)
            sentence_RD = passage_means(vectors, rows.vector_U[word_T], size_R)
            passage_T = torch.from_numpy(np.repeat(np.arange(len(size_R)), size_R))
        stream = cls(rows, tuple(words), word_T, nothing, none, nothing, sentence_RD, passage_T, lengths)
        return stream.parted(list(map(len, sentences)), vectors, config)

    def parted(self, documents: Sequence[int], vectors: VectorTable, config: ModelConfig) -> Self:
        """The same sentences as other documents, ``documents`` sentences each."""
        length_S = np.array(self.lengths, dtype=np.int64)
        document_S = np.repeat(np.arange(len(documents)), documents)
        document_T = np.repeat(document_S, length_S)
        sizes = np.bincount(document_S, weights=length_S, minlength=len(documents)).astype(np.int64)
        vector_T = self.rows.vector_U[self.word_T]
        features = config.features
        return replace(
            self,
            elsewhere_T=self._elsewhere(document_T, length_S) if features.elsewhere else self.elsewhere_T,
            topic_PD=topics(vectors, vector_T, sizes.tolist()) if features.topic else torch.zeros(len(documents), 0),
            document_T=torch.from_numpy(document_T),
        )

    def _elsewhere(self, document_T: NDArray[np.int64], length_S: NDArray[np.int64]) -> Tensor:
        """Class every token as :func:`fenestra.model.network.context.elsewhere` does its document's, all documents at once."""  # noqa: E501
        _, lowered = number_words(word.lower() for word in self.words)
        word_T = self.word_T.numpy()
        evidence_T = np.array([case_evidence(word) for word in self.words], dtype=np.uint8)[word_T]
        key_T = document_T * len(self.words) + np.array(lowered, dtype=np.int64)[word_T]
        _, number_T = np.unique(key_T, return_inverse=True)
        class_T = run(class_tokens(evidence_T, number_T, np.repeat(np.arange(len(length_S)), length_S)))
        return torch.from_numpy(class_T.astype(np.int64))

    def windows(self, context: int) -> Windows:
        """Every window of the stream; word u is u + 1 in them."""
        bounds_2T = sentence_bounds(self.lengths)
        return Windows(
            window_ids(self.word_T + 1, bounds_2T, context),
            window_ids(self.elsewhere_T + 1, bounds_2T, context) if self.elsewhere_T.numel() else self.elsewhere_T,
            self.topic_PD,
            self.document_T,
            self.sentence_RD,
            self.passage_T,
        )

    def bags(self, context: int, size: int) -> Iterator[tuple[Rows, Windows]]:
        """All windows in order, in bags of ``size``, each with the rows of the words that occur in it.

        A bag does not care where sentences end, so no text is too long: memory is bounded by the bag.
        """
        windows = self.windows(context)
        for begin in range(0, len(self.word_T), size):
            yield only_words_of(self.rows, windows.part(slice(begin, begin + size)).own_passages())


def only_words_of(rows: Rows, windows: Windows) -> tuple[Rows, Windows]:
    """Keep the rows of the words that occur in some windows, and renumber the windows to fit."""
    word_V, place_NW = torch.unique(windows.word_NW, return_inverse=True)
    if not len(word_V) or word_V[0] != PAD:
        place_NW = place_NW + 1
    return rows.pick(word_V[word_V != PAD] - 1), windows._replace(word_NW=place_NW)
