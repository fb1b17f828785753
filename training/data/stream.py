"""Documents as the network sees them: one flat stream of tokens, whose words were looked up once.

T tokens of all sentences, end to end · U distinct words · S sentences · P documents · D width of a vector
N windows · W window width
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.config import ModelConfig
from fenestra.model.network.context import case_classes, case_evidence, topics
from fenestra.model.words.lexicon import Lexicon, number_words
from fenestra.training.network.rows import Lengths, Rows, Windows, look_up, only_words_of, windows_over
from fenestra.training.vectors.quantise import VectorTable

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
    """Class of each token in its document; empty for a model without this feature."""
    topic_PD: Tensor
    """Mean vector of each document; of width 0 for a model without this feature."""
    document_T: Tensor
    """The document of each token."""
    lengths: tuple[int, ...]
    """Tokens of each sentence."""

    @classmethod
    def read(cls, documents: Sequence[Sentences], lexicon: Lexicon, vectors: VectorTable, config: ModelConfig) -> Self:
        """Look up the words of documents, and compute the document features of their tokens."""
        words, places = number_words(chain.from_iterable(chain.from_iterable(documents)))
        word_T = torch.tensor(places, dtype=torch.int64)
        sentences = [list(map(len, document)) for document in documents]
        lengths = tuple(chain.from_iterable(sentences))
        empty = torch.zeros(0, dtype=torch.int64)
        rows = look_up(lexicon, words, with_characters=config.kind == "recurrent" and config.recurrent.character > 0)
        stream = cls(rows, tuple(words), word_T, empty, torch.zeros(0, 0), empty, lengths)
        return stream.split_into(list(map(len, sentences)), vectors, config)

    def split_into(self, documents: Sequence[int], vectors: VectorTable, config: ModelConfig) -> Self:
        """The same sentences as other documents, ``documents`` sentences each."""
        length_S = np.array(self.lengths, dtype=np.int64)
        document_S = np.repeat(np.arange(len(documents)), documents)
        document_T = np.repeat(document_S, length_S)
        sizes = np.bincount(document_S, weights=length_S, minlength=len(documents)).astype(np.int64)
        features = config.features
        return replace(
            self,
            elsewhere_T=self._elsewhere(document_T, length_S) if features.elsewhere else self.elsewhere_T,
            topic_PD=self._topics(vectors, sizes.tolist()) if features.topic else torch.zeros(len(documents), 0),
            document_T=torch.from_numpy(document_T),
        )

    def _topics(self, vectors: VectorTable, sizes: Sequence[int]) -> Tensor:
        return torch.as_tensor(topics(vectors.served(), self.rows.vector_U[self.word_T].numpy(), sizes))

    def _elsewhere(self, document_T: NDArray[np.int64], length_S: NDArray[np.int64]) -> Tensor:
        """The class of every token as :func:`fenestra.model.network.context.elsewhere` gives it, for all documents."""
        _, lowered = number_words(word.lower() for word in self.words)
        word_T = self.word_T.numpy()
        evidence_T = np.array([case_evidence(word) for word in self.words], dtype=np.uint8)[word_T]
        key_T = document_T * len(self.words) + np.array(lowered, dtype=np.int64)[word_T]
        _, number_T = np.unique(key_T, return_inverse=True)
        class_T = case_classes(evidence_T, number_T, np.repeat(np.arange(len(length_S)), length_S))
        return torch.from_numpy(class_T.astype(np.int64))

    def windows(self, context: int) -> Windows:
        """Every window of the stream; word u is u + 1 in them."""
        elsewhere_T = self.elsewhere_T
        return Windows(
            windows_over(self.word_T, self.lengths, context),
            windows_over(elsewhere_T, self.lengths, context) if elsewhere_T.numel() else elsewhere_T,
            self.topic_PD,
            self.document_T,
        )

    def bags(self, context: int, size: int) -> Iterator[tuple[Rows, Windows]]:
        """All windows in order, in bags of ``size``, each with the rows of the words that occur in it.

        A bag may end inside a sentence, so memory is bounded by the bag however long a text is.
        """
        windows = self.windows(context)
        for begin in range(0, len(self.word_T), size):
            yield only_words_of(self.rows, windows.part(slice(begin, begin + size)))

    def readings(self, full: int, size: int) -> Iterator[tuple[Rows, Windows, Lengths]]:
        """All sequences in order, as a recurrent network reads them, some at a time, each with the rows of its words.

        Args:
            full: tokens of a sequence, as of :func:`sequences`.
            size: sequences are gathered until they have this many tokens or more; one is never split.
        """
        windows, begin = self.windows(0), 0
        gathered: list[list[int]] = []
        tokens = 0
        read = list(sequences(self.lengths, self.document_S(), lambda: full, full))
        for number, sequence in enumerate(read, start=1):
            gathered.append([self.lengths[sentence] for sentence in sequence])
            tokens += sum(gathered[-1])
            if tokens >= size or number == len(read):
                rows, part = only_words_of(self.rows, windows.part(slice(begin, begin + tokens)))
                lengths = Lengths(
                    torch.tensor(list(chain.from_iterable(gathered))), torch.tensor(list(map(sum, gathered)))
                )
                yield rows, part, lengths
                begin, tokens, gathered = begin + tokens, 0, []

    def document_S(self) -> list[int]:
        """The document of each sentence."""
        document_T = self.document_T.tolist()
        return [document_T[start] for start in list(accumulate(self.lengths, initial=0))[:-1]]


def sequences(
    lengths: Sequence[int], documents: Sequence[int], first: Callable[[], int], full: int
) -> Iterator[list[int]]:
    """Sentences that a recurrent network reads in one go: neighbours of one document.

    Args:
        lengths: tokens of each sentence.
        documents: the document of each sentence.
        first: tokens with which the first sequence of a document is full.
        full: the same for each after it; 0 for one sentence at a time.

    Yields:
        The numbers of the sentences of a sequence.

    >>> list(sequences([4, 4, 4, 4, 2], [0, 0, 0, 0, 1], lambda: 3, 5))
    [[0], [1, 2], [3], [4]]
    """
    sequence: list[int] = []
    tokens, limit = 0, first()
    for sentence, (length, document) in enumerate(zip(lengths, documents, strict=True)):
        ends = bool(sequence) and document != documents[sequence[-1]]
        if sequence and (ends or tokens >= limit):
            yield sequence
            sequence, tokens, limit = [], 0, first() if ends else full
        sequence.append(sentence)
        tokens += length
    if sequence:
        yield sequence
