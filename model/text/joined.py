"""Many texts, or many sentences of words, end to end in one array of code points: no Python string for each of them.

P texts, or documents · S sentences · T words, of sentences of words · Z code points · B bytes
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_LEAD, _CONTINUES = 0xC0, 0x80  # the bits that tell where in a character a byte stands; what they are behind its first


class BadText(ValueError):
    """A text or a word cannot be read."""

    def __init__(self, place: int, what: str) -> None:
        super().__init__(what)
        self.place = place
        """Which of them, from 0."""


class Texts:
    """Raw texts."""

    __slots__ = ("code_Z", "end_P")

    def __init__(self, code_Z: NDArray[np.uint32], end_P: NDArray[np.int64]) -> None:
        """Keep the code points, and one past the last of each text."""
        self.code_Z, self.end_P = code_Z, end_P

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Those of some strings."""
        return cls(*_join(texts))

    @classmethod
    def of_utf8(cls, data: NDArray[np.uint8], end_P: NDArray[np.int64]) -> Self:
        """Those of texts in UTF-8, ``end_P`` in bytes.

        Raises:
            BadText: one is no UTF-8.
        """
        return cls(*_decode(data, end_P))

    def __len__(self) -> int:
        return len(self.end_P)

    def begin(self, place: int) -> int:
        """Where a text begins in ``code_Z``."""
        return int(self.end_P[place - 1]) if place else 0

    def text(self, place: int) -> str:
        """One of the texts, as a string."""
        return string(self.code_Z[self.begin(place) : int(self.end_P[place])])

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(len(self)))


class Words:
    """Documents whose sentences are words already."""

    __slots__ = ("code_Z", "end_T", "length_S", "sentences_P")

    def __init__(
        self,
        code_Z: NDArray[np.uint32],
        end_T: NDArray[np.int64],
        length_S: NDArray[np.int64],
        sentences_P: NDArray[np.int64],
    ) -> None:
        """Keep code points, one past the last of each word, words of sentences, and sentences of documents."""
        self.code_Z, self.end_T, self.length_S, self.sentences_P = code_Z, end_T, length_S, sentences_P

    @classmethod
    def of(cls, documents: Sequence[Sequence[Sequence[str]]]) -> Self:
        """Those of sentences of strings."""
        sentences = list(chain.from_iterable(documents))
        code_Z, end_T = _join(list(chain.from_iterable(sentences)))
        return cls(code_Z, end_T, lengths(sentences), lengths(documents))

    @classmethod
    def of_utf8(cls, data: NDArray[np.uint8], end_T: NDArray[np.int64], length_S: NDArray[np.int64]) -> Self:
        """Those of words in UTF-8, ``end_T`` in bytes; each sentence is a document of its own.

        Raises:
            BadText: a word is empty, or no UTF-8.
        """
        empty_T = np.diff(end_T, prepend=0) == 0
        if empty_T.any():
            raise BadText(int(empty_T.argmax()), "a sentence holds an empty word")
        return cls(*_decode(data, end_T), length_S, np.ones(len(length_S), np.int64))

    def __len__(self) -> int:
        return len(self.sentences_P)

    def part(self, first: int, end: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Code points of the words from ``first`` to before ``end``, and one past the last of each."""
        begin = int(self.end_T[first - 1]) if first else 0
        stop = int(self.end_T[end - 1]) if end else 0
        return self.code_Z[begin:stop], self.end_T[first:end] - begin

    def strings(self) -> list[str]:
        """All words, as strings."""
        whole, ends = string(self.code_Z), self.end_T.tolist()
        return [whole[begin:end] for begin, end in pairwise([0, *ends])]

    def __iter__(self) -> Iterator[list[list[str]]]:
        words, length_S = iter(self.strings()), iter(self.length_S.tolist())
        for sentences in self.sentences_P.tolist():
            yield [list(islice(words, length)) for length in islice(length_S, sentences)]


Joined = Texts | Words


def cut(ends: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """First and one past the last of neighbours that together have ``most`` or less, or are one that has more.

    >>> list(cut(np.array([2, 4, 9, 10]), 4))
    [(0, 2), (2, 3), (3, 4)]
    """
    begin = before = 0
    while begin < len(ends):
        end = max(int(ends.searchsorted(before + most, side="right")), begin + 1)
        yield begin, end
        begin, before = end, int(ends[end - 1])


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a string, lone surrogates included; shape (Z,)."""
    letters = bytearray(text.encode("utf-32-le", "surrogatepass"))  # the kernel takes it faster than bytes
    return np.frombuffer(letters, np.uint32)


def _join(strings: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    return code_points("".join(strings)), lengths(strings).cumsum()


def lengths(of: Sequence[Any]) -> NDArray[np.int64]:
    """The length of each."""
    return np.fromiter(map(len, of), np.int64, len(of))


def string(code_Z: NDArray[np.uint32]) -> str:
    """What code points spell."""
    return code_Z.tobytes().decode("utf-32-le", "surrogatepass")


def _decode(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Bytes of UTF-8 as code points, and ends counted in them."""
    raw = data.tobytes()
    if raw.isascii():
        return data.astype(np.uint32), ends
    starts_B = (data & _LEAD) != _CONTINUES  # whether a character starts at each byte
    begins = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    torn = begins[(begins < ends) & ~starts_B[np.minimum(begins, len(data) - 1)]]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        torn = np.array([error.start])
    if len(torn):
        raise BadText(int(ends.searchsorted(torn[0], side="right")), "not UTF-8")
    return code_points(text), np.concatenate([np.zeros(1, np.int64), starts_B.cumsum()])[ends]
