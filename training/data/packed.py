"""Sentences as numbers: eight bytes a token and 24 a sentence, and on the disk if they are many.

    words       New  York  is  big          each distinct one once, in the order of appearance
    tags        B-LOC  I-LOC  O
    word_T      0 1 2 3                     of all sentences, end to end
    tag_T       0 1 2 2
    end_S       4                           where each sentence ends

T tokens of all sentences, end to end · S sentences · U distinct words
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from fenestra.training.data.inspection import Sentence
from fenestra.training.data.long_columns import LONG, Column, Numbers

_READ = 4096
"""Sentences that are unpacked together."""


@dataclass(frozen=True, slots=True, eq=False)
class PackedSentences(Sequence[Sentence]):
    """Sentences that are made when they are asked for; equal to any sequence of equal ones."""

    words: tuple[str, ...]
    word_T: NDArray[np.int32]
    tags: tuple[str, ...]
    tag_T: NDArray[np.int32]
    end_S: NDArray[np.int64]
    document_S: NDArray[np.int64]
    line_S: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.end_S)

    def __iter__(self) -> Iterator[Sentence]:
        for first in range(0, len(self), _READ):
            yield from self._some(first, min(first + _READ, len(self)))

    @overload
    def __getitem__(self, place: int) -> Sentence: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Sentence, ...]: ...
    def __getitem__(self, place: int | slice) -> Sentence | tuple[Sentence, ...]:
        chosen = range(len(self))[place]
        if isinstance(chosen, int):
            return next(self._some(chosen, chosen + 1))
        return tuple(next(self._some(one, one + 1)) for one in chosen)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(ours == theirs for ours, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    @property
    def length_S(self) -> NDArray[np.int64]:
        """Tokens of each sentence."""
        return np.diff(self.end_S, prepend=0)

    def word_counts(self) -> Counter[str]:
        """How often each word comes, in the order of appearance."""
        count_U = np.zeros(len(self.words), dtype=np.int64)
        for begin in range(0, len(self.word_T), LONG):
            count_U += np.bincount(self.word_T[begin : begin + LONG], minlength=len(self.words))
        return Counter(dict(zip(self.words, count_U.tolist(), strict=True)))

    def in_words(self, change: Callable[[str], str]) -> "PackedSentences":
        """The same sentences in other words, each of which depends on the word that it stands for alone."""
        numbers = Numbers()
        changed_U = np.array([numbers[change(word)] for word in self.words], dtype=np.int32)
        if len(numbers) == len(self.words):
            return replace(self, words=tuple(numbers))
        word_T = Column("i")
        _renumber(self.word_T, changed_U, word_T)
        return replace(self, words=tuple(numbers), word_T=word_T.array())

    def _some(self, first: int, last: int) -> Iterator[Sentence]:
        """The sentences from one on, up to another."""
        begin = start = int(self.end_S[first - 1]) if first else 0
        ends = self.end_S[first:last].tolist()
        words = list(map(self.words.__getitem__, self.word_T[start : ends[-1]].tolist()))
        tags = list(map(self.tags.__getitem__, self.tag_T[start : ends[-1]].tolist()))
        documents, lines = self.document_S[first:last].tolist(), self.line_S[first:last].tolist()
        for end, document, line in zip(ends, documents, lines, strict=True):
            part = slice(begin - start, end - start)
            yield Sentence(tuple(words[part]), tuple(tags[part]), document, line)
            begin = end


class _Packing:
    """The columns of packed sentences, as they grow."""

    def __init__(self) -> None:
        self.words, self.tags = Numbers(), Numbers()
        self.word_T, self.tag_T = Column("i"), Column("i")
        self.end_S, self.document_S, self.line_S = Column("q"), Column("q"), Column("q")

    def done(self) -> PackedSentences:
        return PackedSentences(
            tuple(self.words), self.word_T.array(), tuple(self.tags), self.tag_T.array(),
            self.end_S.array(), self.document_S.array(), self.line_S.array(),
        )  # fmt: skip


def pack_sentences(sentences: Iterable[Sentence]) -> PackedSentences:
    """Pack sentences one by one; those that are packed already stay as they are.

    Raises:
        StorageError: the disk refused, since it is full for example.
    """
    if isinstance(sentences, PackedSentences):
        return sentences
    to, end = _Packing(), 0
    word, tag = to.words.__getitem__, to.tags.__getitem__
    for sentence in sentences:
        to.word_T.extend(map(word, sentence.words))
        to.tag_T.extend(map(tag, sentence.tags))
        end += len(sentence.words)
        to.end_S.append(end)
        to.document_S.append(sentence.document)
        to.line_S.append(sentence.line)
    return to.done()


def join_sentences(parts: Sequence[Iterable[Sentence]]) -> PackedSentences:
    """All sentences of some parts, one part after the other; raises as :func:`pack_sentences`."""
    packed = [part for part in map(pack_sentences, parts) if len(part)]
    if len(packed) < 2:
        return packed[0] if packed else pack_sentences(())
    to = _Packing()
    for part in packed:
        to.end_S.extend_array(part.end_S + len(to.word_T))
        _renumber(part.word_T, np.array([to.words[word] for word in part.words], dtype=np.int32), to.word_T)
        _renumber(part.tag_T, np.array([to.tags[tag] for tag in part.tags], dtype=np.int32), to.tag_T)
        to.document_S.extend_array(part.document_S)
        to.line_S.extend_array(part.line_S)
    return to.done()


def _renumber(number_T: NDArray[np.int32], new_U: NDArray[np.int32], target: Column) -> None:
    """Add the new numbers for old ones to a column."""
    for begin in range(0, len(number_T), LONG):
        target.extend_array(new_U[number_T[begin : begin + LONG]])
