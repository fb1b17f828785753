"""Documents as the network sees them: one flat stream of tokens, whose words were looked up once.

T tokens of all sentences, end to end · U distinct words · S sentences · P documents · D width of a vector
N windows · W window width
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.config import ModelConfig
from fenestra.model.network.context import case_classes, case_evidence, topics
from fenestra.model.words.lexicon import Lexicon, number_words
from fenestra.training.data.long_columns import LONG, Column
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
    """Which distinct word each token is, from 0; int32."""
    elsewhere_T: Tensor
    """Class of each token in its document, uint8; empty for a model without this feature."""
    topic_PD: Tensor
    """Mean vector of each document; of width 0 for a model without this feature."""
    document_S: Tensor
    """The document of each sentence."""
    lengths: tuple[int, ...]
    """Tokens of each sentence."""

    @classmethod
    def read(cls, documents: Sequence[Sentences], lexicon: Lexicon, vectors: VectorTable, config: ModelConfig) -> Self:
        """Look up the words of documents, and compute the document features of their tokens."""
        words, places = number_words(chain.from_iterable(chain.from_iterable(documents)))
        lengths = tuple(map(len, chain.from_iterable(documents)))
        word_T = torch.tensor(places, dtype=torch.int32)
        return cls.of(words, word_T, lengths, list(map(len, documents)), lexicon, vectors, config)

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        word_T: Tensor,
        lengths: tuple[int, ...],
        documents: Sequence[int],
        lexicon: Lexicon,
        vectors: VectorTable,
        config: ModelConfig,
    ) -> Self:
        """The stream of sentences whose words are numbered already, in the order of appearance.

        Args:
            words: the distinct words.
            word_T: which of them each token is.
            lengths: tokens of each sentence.
            documents: sentences of each document.
            lexicon: knows the features of words.
            vectors: for the means of documents.
            config: of the model.
        """
        rows = look_up(lexicon, words, with_characters=config.kind == "recurrent" and config.recurrent.character > 0)
        empty = torch.zeros(0, dtype=torch.uint8)
        stream = cls(rows, tuple(words), word_T, empty, torch.zeros(0, 0), torch.zeros(0, dtype=torch.int64), lengths)
        return stream.split_into(documents, vectors, config)

    def split_into(self, documents: Sequence[int], vectors: VectorTable, config: ModelConfig) -> Self:
        """The same sentences as other documents, ``documents`` sentences each."""
        features = config.features
        blocks = list(self._blocks(np.asarray(documents, dtype=np.int64)))
        return replace(
            self,
            elsewhere_T=self._elsewhere(blocks) if features.elsewhere else self.elsewhere_T,
            topic_PD=self._topics(vectors, blocks).view(len(documents), vectors.width)
            if features.topic
            else torch.zeros(len(documents), 0),
            document_S=torch.arange(len(documents)).repeat_interleave(torch.as_tensor(documents, dtype=torch.int64)),
        )

    @property
    def document_T(self) -> Tensor:
        """The document of each token."""
        return self.document_S.repeat_interleave(torch.tensor(self.lengths, dtype=torch.int64))

    def _blocks(self, sentences_P: NDArray[np.int64]) -> Iterator["_Block"]:
        """Cut the stream between documents into blocks of about a million tokens, so that memory is bounded."""
        length_S = np.array(self.lengths, dtype=np.int64)
        end_P = sentences_P.cumsum()
        tokens_P = np.concatenate([[0], length_S.cumsum()])[end_P]
        first = sentence = token = 0
        while first < len(sentences_P):
            last = max(first + 1, int(np.searchsorted(tokens_P, token + LONG)))
            yield _Block(
                slice(token, int(tokens_P[last - 1])), length_S[sentence : end_P[last - 1]], sentences_P[first:last]
            )
            first, sentence, token = last, int(end_P[last - 1]), int(tokens_P[last - 1])

    def _topics(self, vectors: VectorTable, blocks: Iterable["_Block"]) -> Tensor:
        served, vector_U = vectors.served(), self.rows.vector_U.numpy()
        topic_PD = Column("f")
        for block in blocks:
            topic_PD.extend_array(topics(served, vector_U[self.word_T[block.tokens].numpy()], block.tokens_P))
        return torch.from_numpy(topic_PD.array())

    def _elsewhere(self, blocks: Iterable["_Block"]) -> Tensor:
        """The class of every token as :func:`fenestra.model.network.context.elsewhere` gives it, for all documents."""
        _, numbers = number_words(word.lower() for word in self.words)
        lowered_U = np.array(numbers, dtype=np.int64)
        evidence_U = np.array([case_evidence(word) for word in self.words], dtype=np.uint8)
        class_T = Column("B")
        for block in blocks:
            word_T = self.word_T[block.tokens].numpy()
            document_S = np.arange(len(block.sentences_P)).repeat(block.sentences_P)
            key_T = document_S.repeat(block.length_S) * len(self.words) + lowered_U[word_T]
            _, number_T = np.unique(key_T, return_inverse=True)
            sentence_T = np.arange(len(block.length_S)).repeat(block.length_S)
            class_T.extend_array(case_classes(evidence_U[word_T], number_T, sentence_T))
        return torch.from_numpy(class_T.array())

    def windows(self, context: int) -> Windows:
        """Every window of the stream; word u is u + 1 in them."""
        elsewhere_T = self.elsewhere_T
        return Windows(
            windows_over(self.word_T.long(), self.lengths, context),
            windows_over(elsewhere_T.long(), self.lengths, context) if elsewhere_T.numel() else elsewhere_T,
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
        read = list(sequences(self.lengths, self.document_S.tolist(), lambda: full, full))
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


class _Block(NamedTuple):
    """Some documents of a stream."""

    tokens: slice
    length_S: NDArray[np.int64]
    sentences_P: NDArray[np.int64]

    @property
    def tokens_P(self) -> NDArray[np.int64]:
        """Tokens of each document."""
        end_P = self.sentences_P.cumsum()
        before = np.concatenate([[0], self.length_S.cumsum()])
        tokens_P: NDArray[np.int64] = before[end_P] - before[end_P - self.sentences_P]
        return tokens_P


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
