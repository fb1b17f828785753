"""Documents on their way through a trained network: numbered words, what their documents say of them, windows.

The same numbers as ``model/network/stream.py`` makes for training, in pieces of bounded work, and with little memory
for a token: a few integers, whatever the length of its word.

    T tokens of all sentences, end to end · U distinct words · P documents · R passages · N windows
    C words on each side
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.config import ModelConfig
from fenestra.model.errors import InputError
from fenestra.model.network.context import (
    case_evidence,
    class_tokens,
    parts,
    passage_means,
    passage_sizes,
    topics_in_steps,
)
from fenestra.model.network.windows import PAD, Windows
from fenestra.model.steps import Step, named
from fenestra.model.words.lexicon import UNKNOWN, Lexicon
from fenestra.model.words.vectors import VectorTable

Number = TypeVar("Number", np.int32, np.uint8)

PIECE = 2048
"""Tokens, about, that are worked on before giving way."""

Sentences = Sequence[Sequence[str]]


class Numbers:
    """Numbers words in order of appearance.

    >>> numbers = Numbers()
    >>> numbers.of(["to", "be", "or", "not", "to", "be"]).tolist(), numbers.words
    ([0, 1, 2, 3, 0, 1], ['to', 'be', 'or', 'not'])
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.words: list[str] = []
        """Word of each number."""

    def of(self, words: Sequence[str]) -> NDArray[np.int32]:
        """The number of every word."""
        fresh = [word for word in dict.fromkeys(words) if word not in self._numbers]
        self._numbers.update(zip(fresh, count(len(self.words)), strict=False))
        self.words += fresh
        return np.fromiter(map(self._numbers.__getitem__, words), np.int32, len(words))


class Batch:
    """Documents that are tagged together, while they are read and after."""

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._fresh: list[str] = []
        self._chunks = [np.zeros(0, dtype=np.int32)]
        self.lengths: list[int] = []
        """Tokens of each sentence."""
        self.sizes: list[int] = []
        """Tokens of each document."""
        self.tokens = 0
        """How many were read."""

    @classmethod
    def of(cls, documents: Iterable[Sentences]) -> "Batch":
        """Read documents that are at hand.

        Raises:
            InputError: a word is empty.
        """
        batch = cls()
        for document in documents:
            for sentence in document:
                if not all(sentence):
                    raise InputError("a sentence holds an empty word")
                batch.read(sentence)
            batch.end_document([len(sentence) for sentence in document])
        return batch

    @property
    def words(self) -> list[str]:
        """The distinct words, once :meth:`word_numbers` was asked."""
        return self._numbers.words

    def read(self, words: Sequence[str]) -> None:
        """Take the next words of a document."""
        self._fresh += words
        self.tokens += len(words)
        if len(self._fresh) >= PIECE:
            self._number()

    def end_document(self, lengths: Sequence[int]) -> None:
        """Say how the words since the last document part into sentences."""
        self.lengths += lengths
        self.sizes.append(sum(lengths))

    def sentence_of(self, token: int) -> tuple[int, int]:
        """Where the sentence of a token begins and ends."""
        ends = np.cumsum(self.lengths)
        place = int(np.searchsorted(ends, token, side="right"))
        return int(ends[place]) - self.lengths[place], int(ends[place])

    def word_numbers(self) -> NDArray[np.int32]:
        """Which distinct word each token is, from 0; shape (T,)."""
        self._number()
        self._chunks = [np.concatenate(self._chunks)]
        return self._chunks[0]

    def _number(self) -> None:
        """Put numbers in the place of the words that were read; their text is kept once only."""
        self._chunks.append(self._numbers.of(self._fresh))
        self._fresh = []


class _Facts(NamedTuple):
    """What there is to know of U distinct words without their neighbours, but for their rows."""

    vector_U: NDArray[np.int64]
    lowered_U: NDArray[np.int64]
    """A number that words share which differ in case only."""
    evidence_U: NDArray[np.uint8]


class Passages(NamedTuple):
    """The passages of a batch. Their means are worked out when they are needed, and not kept."""

    vectors: VectorTable
    vector_T: NDArray[np.int64]
    """Row of every token of the batch."""
    end_R: NDArray[np.int64]
    """Where each passage ends, in tokens."""

    def means(self, first: int, last: int) -> Tensor:
        """The mean vectors of passages ``first`` to ``last``, which is one of them."""
        edge_R = np.concatenate([self.end_R[first - 1 : first] if first else [0], self.end_R[first : last + 1]])
        return passage_means(self.vectors, torch.from_numpy(self.vector_T[edge_R[0] : edge_R[-1]]), np.diff(edge_R))


class Inputs(NamedTuple):
    """A batch looked up. Sentences stand in one line with C times PAD before, between and after them."""

    words: list[str]
    word_Q: NDArray[np.int32]
    """The line: PAD, or the number of the word from 1."""
    class_Q: NDArray[np.uint8]
    """Beside it, PAD or the class of ``model/network/context.py`` from 1; empty for a model that does not look."""
    place_T: NDArray[np.int64]
    """Where in the line the window of each token begins."""
    document_T: NDArray[np.int64]
    topic_PD: Tensor
    passages: Passages | None
    """None for a model that does not look, which has no passage_T either."""
    passage_T: NDArray[np.int64]
    context: int

    def part(self, begin: int, end: int) -> "Inputs":
        """The windows of some of the tokens only."""
        return self._replace(
            place_T=self.place_T[begin:end],
            document_T=self.document_T[begin:end],
            passage_T=self.passage_T[begin:end],
        )

    def bags(self) -> Iterator[tuple[list[str], Windows]]:
        """All windows in order, a few thousand at a time, with the words that occur in them.

        A bag does not care where sentences end, so no text is too long.
        """
        for part in parts(len(self.place_T), PIECE):
            place_NW = self.place_T[part][:, None] + np.arange(2 * self.context + 1)
            word_NW, words = self.word_Q[place_NW].astype(np.int64), self.words
            if max(len(self.place_T), len(self.words)) > PIECE:
                here = self.word_Q[place_NW[0, 0] : place_NW[-1, -1] + 1]
                word_V = np.union1d(here, [PAD])
                words = [self.words[number - 1] for number in word_V[1:].tolist()]
                word_NW = np.searchsorted(word_V, word_NW)
            document_N = self.document_T[part]
            topic_PD = self.topic_PD[document_N[0] : document_N[-1] + 1]
            passage_N = self.passage_T[part]
            first = passage_N[0] if self.passages else 0
            yield (
                words,
                Windows(
                    torch.from_numpy(word_NW),
                    torch.from_numpy(self.class_Q[place_NW].astype(np.int64)) if len(self.class_Q) else torch.empty(0),
                    topic_PD,
                    torch.from_numpy(document_N - document_N[0]),
                    self.passages.means(first, passage_N[-1]) if self.passages else torch.empty(0),
                    torch.from_numpy(passage_N - first),
                ),
            )


def look_up(batch: Batch, lexicon: Lexicon, vectors: VectorTable, config: ModelConfig) -> Generator[Step, None, Inputs]:
    """Find out what the network wants to know of a batch, giving way after every few thousand tokens."""
    word_T = batch.word_numbers()
    length_S = np.array(batch.lengths, dtype=np.int64)
    sentence_T = np.repeat(np.arange(len(length_S)), length_S)
    document_T = np.repeat(np.arange(len(batch.sizes)), batch.sizes)
    facts = yield from named("rows", _facts(batch.words, lexicon))
    vector_T = facts.vector_U[word_T]
    topic_PD, class_T = torch.zeros(len(batch.sizes), 0), np.zeros(0, dtype=np.uint8)
    if config.features.topic:
        topic_PD = yield from named("rows", topics_in_steps(vectors, vector_T, batch.sizes))
    if config.features.elsewhere:
        lowered_T = facts.lowered_U[word_T] + document_T * len(batch.words)
        class_T = yield from named("rows", class_tokens(facts.evidence_U[word_T], lowered_T, sentence_T))
    passages, passage_T = None, np.zeros(0, dtype=np.int64)
    if config.features.sentence:
        size_R = passage_sizes(length_S)
        passages = Passages(vectors, vector_T, size_R.cumsum())
        passage_T = np.repeat(np.arange(len(size_R)), size_R)
    context = config.context
    place_T = np.arange(batch.tokens) + context * sentence_T
    line = batch.tokens + context * (len(length_S) + 1)
    unknown = int(np.count_nonzero(vector_T == UNKNOWN)) if config.features.vectors else 0
    inputs = Inputs(
        batch.words,
        _in_line(word_T, place_T + context, line),
        _in_line(class_T, place_T + context, line) if config.features.elsewhere else class_T,
        place_T,
        document_T,
        topic_PD,
        passages,
        passage_T,
        context,
    )
    yield Step("rows", batch.tokens, unknown)
    return inputs


def _in_line(value_T: NDArray[Number], place_T: NDArray[np.int64], line: int) -> NDArray[Number]:
    """Put values, counted from 1, at their places in a line of PAD."""
    value_Q = np.full(line, PAD, dtype=value_T.dtype)
    value_Q[place_T] = value_T + 1
    return value_Q


def _facts(words: Sequence[str], lexicon: Lexicon) -> Generator[None, None, _Facts]:
    """Look words up that were not met before in a batch."""
    lowered = Numbers()
    known = lexicon.vector_rows.get
    found = [_Facts(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))]
    for part in parts(len(words), PIECE):
        some = words[part]
        small = [word.lower() for word in some]
        found.append(
            _Facts(
                np.array([known(word) or known(lower, UNKNOWN) for word, lower in zip(some, small, strict=True)]),
                lowered.of(small).astype(np.int64),
                np.array([case_evidence(word) for word in some], dtype=np.uint8),
            )
        )
        yield
    return _Facts(*(np.concatenate(column) for column in zip(*found, strict=True)))


def grouped(documents: Iterable[Sentences]) -> Iterator[list[Sentences]]:
    """Group documents until a batch is full; a document is never cut."""
    group: list[Sentences] = []
    tokens = 0
    for document in documents:
        group.append(document)
        tokens += sum(map(len, document))
        if max(tokens, len(group)) >= PIECE:
            yield group
            group, tokens = [], 0
    if group:
        yield group
