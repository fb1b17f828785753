"""What windows start from: the bias, and what the mean vectors of their document and their sentence add.

What a document adds is worked out once and kept for the time of a batch. Sentences are too many for that: the rows of a
bag's passages (``model/network/context.py``) are worked out with the bag.

    T tokens · P documents · R passages · N windows of a bag · D width of a vector · H hidden units, filled up
"""

import ctypes
from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.engine.library import Array, Kernel, address, copied, empty, panels
from fenestra.model.engine.reader import PIECE, Batch
from fenestra.model.engine.weights import Weights
from fenestra.model.network.context import FEW, SENTENCE_FEW, parts, passage_sizes
from fenestra.model.network.network import WindowTagger

_ROW = 20.0  # times as long as looking a token up
_PASSAGES = 512  # that are worked on before giving way


class Sums(NamedTuple):
    """What means are made of: sums of vectors, and of how many."""

    sum_PD: NDArray[np.float32]
    known_P: NDArray[np.int64]

    @classmethod
    def zeros(cls, count: int, width: int) -> "Sums":
        """Of nothing yet."""
        return cls(np.zeros((count, width), np.float32), np.zeros(count, np.int64))

    def part(self, chosen: slice) -> "Sums":
        """Some of them."""
        return Sums(self.sum_PD[chosen], self.known_P[chosen])


class Starts(NamedTuple):
    """What the windows of a batch start from."""

    document_T: NDArray[np.int32]
    """The row of document_PH of every token."""
    document_PH: NDArray[np.float32]
    """The bias, and what the topic of a document adds."""
    end_R: NDArray[np.int64] | None
    """Where each passage ends, in tokens; None for a model that does not look at sentences."""
    sums: Sums | None
    """Of all passages, where they are few."""

    def passages(self, begin: int, end: int) -> tuple[int, NDArray[np.int64]]:
        """Of one or more tokens: their first passage; and where their passages begin, and the last one ends."""
        assert self.end_R is not None
        first, last = np.searchsorted(self.end_R, [begin, end - 1], side="right").tolist()
        return first, np.concatenate([self.end_R[first - 1 : first] if first else [0], self.end_R[first : last + 1]])


class Surroundings:
    """Works out what the text around a window adds. Threads may share it."""

    def __init__(self, kernel: Kernel, weights: Weights, network: WindowTagger) -> None:
        """Copy the weights.

        Args:
            kernel: the compiled library.
            weights: of the network, as the kernel reads them.
            network: the same network.
        """
        self._kernel, self._weights, self._width = kernel, weights, network.vectors.width
        self._topic = self._sentence = None
        if network.topic.numel():
            self._topic = _Matrix(kernel, network.topic, network.topic_mean, network.topic_scale, weights.hidden, FEW)
        if (found := network.sentence) is not None:
            self._sentence = _Matrix(kernel, found.weight, found.mean, found.scale, weights.hidden, SENTENCE_FEW)

    def starts(self, batch: Batch) -> Generator[None, None, Starts]:
        """What the documents of a batch add, giving way after every few thousand tokens."""
        size_P, bias_H = np.array(batch.sizes, np.int64), self._weights.bias
        document_T = (
            np.repeat(np.arange(len(size_P), dtype=np.int32), size_P)
            if self._topic
            else np.zeros(batch.tokens, np.int32)
        )
        document_PH, end_R, sums = bias_H[None], None, None
        if self._sentence:
            end_R = passage_sizes(batch.lengths).cumsum()
            topic, sums = yield from self._sum_by_passages(batch, document_T, end_R)
        elif self._topic:
            topic = yield from self._sum_by_tokens(batch, size_P)
        if self._topic:
            document_PH = empty((len(size_P), self._weights.hidden), np.float32)
            self._topic.write_rows(topic, document_PH, bias=bias_H)
        return Starts(document_T, document_PH, end_R, sums)

    def rows(
        self, batch: Batch, starts: Starts, begin: int, end: int
    ) -> Generator[None, None, tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """What the windows of some tokens, one or more, start from: the row of each, and the rows. Gives way."""
        if not self._sentence:
            return starts.document_T[begin:end], starts.document_PH
        first, edge_R = starts.passages(begin, end)
        size_R, document_R = np.diff(edge_R), starts.document_T[edge_R[:-1]]
        row_RH = empty((len(size_R), self._weights.hidden), np.float32)
        for piece in parts(len(size_R), _PASSAGES):
            if piece.start:
                yield
            if starts.sums is None:
                sums = self._sum(batch, int(edge_R[piece.start]), size_R[piece])
            else:
                sums = starts.sums.part(slice(first + piece.start, first + piece.stop))
            self._sentence.write_rows(sums, row_RH[piece], more=starts.document_PH, more_of=document_R[piece])
        row_T = np.repeat(np.arange(len(size_R), dtype=np.int32), size_R)
        return row_T[begin - edge_R[0] : end - edge_R[0]], row_RH

    def _sum_by_passages(
        self, batch: Batch, document_T: NDArray[np.int32], end_R: NDArray[np.int64]
    ) -> Generator[None, None, tuple[Sums, Sums | None]]:
        """The sums of documents from those of their passages; and the latter, where they are few."""
        totals, begin_R, sums = Sums.zeros(len(batch.sizes), self._width), np.concatenate([[0], end_R]), None
        few = batch.tokens <= 2 * PIECE
        if not len(end_R) or not (few or self._topic):
            return totals, None
        for piece in [slice(0, len(end_R))] if few else _pieces(end_R):
            edge_R = begin_R[piece.start : piece.stop + 1]
            sums = self._sum(batch, int(edge_R[0]), np.diff(edge_R))
            if self._topic:
                document_R = document_T[edge_R[:-1]]
                passages_of = np.bincount(document_R - document_R[0])
                total = totals.part(slice(document_R[0], None))
                self._kernel.short.add_sums(
                    address(sums.sum_PD), address(sums.known_P), address(passages_of), len(passages_of), self._width,
                    address(total.sum_PD), address(total.known_P),
                )  # fmt: skip
            if not few:
                yield
        return totals, sums if few else None

    def _sum_by_tokens(self, batch: Batch, size_P: NDArray[np.int64]) -> Generator[None, None, Sums]:
        """The sums of documents."""
        long = batch.tokens > 2 * PIECE  # then it is a document by itself, or nearly
        if not long:
            return self._sum(batch, 0, size_P)
        totals, begin = Sums.zeros(len(size_P), self._width), 0
        for document, size in enumerate(size_P.tolist()):
            for piece in parts(size, PIECE):
                total = totals.part(slice(document, None))
                self._add(batch, begin + piece.start, np.array([piece.stop - piece.start]), total)
                yield
            begin += size
        return totals

    def _sum(self, batch: Batch, begin: int, size_P: NDArray[np.int64]) -> Sums:
        """The sums of neighbouring stretches of words, the first of which begins at a token."""
        sums = Sums.zeros(len(size_P), self._width)
        self._add(batch, begin, size_P, sums)
        return sums

    def _add(self, batch: Batch, begin: int, size_P: NDArray[np.int64], sums: Sums) -> None:
        word_N = batch.word_T[begin : begin + int(size_P.sum())]
        vector = batch.vocabulary.vector  # which may make room for a longer one while the kernel reads
        self._kernel.call(len(word_N)).add_vectors(
            ctypes.byref(self._weights.features), address(word_N), address(size_P), len(size_P), address(vector),
            address(sums.sum_PD), address(sums.known_P),
        )  # fmt: skip


def _pieces(end_R: NDArray[np.int64]) -> Iterator[slice]:
    """Neighbouring passages of a few thousand tokens together, by where each ends."""
    edges = [0, *(np.flatnonzero(np.diff((end_R - 1) // PIECE)) + 1).tolist(), len(end_R)]
    yield from (slice(begin, end) for begin, end in pairwise(edges))


class _Matrix:
    """T of one kind of mean vector, and how these are standardised."""

    def __init__(
        self, kernel: Kernel, weight_HD: Tensor, mean_D: Tensor, spread_D: Tensor, hidden: int, few: int
    ) -> None:
        self._kernel, self._hidden, self._few = kernel, hidden, few
        self._weight = panels(copied(weight_HD), hidden, weight_HD.shape[1])
        self._mean, self._spread = copied(mean_D), copied(spread_D)

    def write_rows(
        self,
        sums: Sums,
        row_PH: NDArray[np.float32],
        *,
        bias: Array | None = None,
        more: Array | None = None,
        more_of: NDArray[np.int32] | None = None,
    ) -> None:
        """Write what means add, and the bias, and of another table the row that is said for each.

        Raises:
            MemoryError: there was not enough.
        """
        if self._kernel.call(len(row_PH), _ROW).document_rows(
            address(sums.sum_PD), address(sums.known_P), len(row_PH), len(self._mean), self._few, address(self._mean),
            address(self._spread), address(self._weight), address(bias), address(more), address(more_of), self._hidden,
            address(row_PH),
        ):  # fmt: skip
            raise MemoryError
