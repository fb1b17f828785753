"""The sentences of a file as the file has them: tags in its own scheme, and the line of every word."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

from fenestra.training.data.long_columns import Column, Numbers

_READ = 4096
"""Sentences that are unpacked together."""


@dataclass(slots=True)
class RawSentence:
    """A sentence as the file has it: tags in the file's scheme."""

    document: int
    line: int
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    damaged: bool = False
    """Whether a line of it could not be read, so that the order of its tags cannot be checked."""
    lines: list[int] = field(default_factory=list)
    """The line of each word; empty where all of them are in ``line``."""
    spaces: list[bool] = field(default_factory=list)
    """Whether a space follows each word; empty where the file does not say, and one does."""

    def line_of(self, position: int) -> int:
        """The line of a word."""
        return self.lines[position] if self.lines else self.line


class RawSentences:
    """Sentences that are packed as they come, and unpacked when they are read."""

    def __init__(self) -> None:
        self._words, self._tags = Numbers(), Numbers()
        self._word_T, self._tag_T, self._line_T, self._space_T = Column("i"), Column("i"), Column("i"), Column("B")
        self._length_S, self._document_S, self._line_S = Column("q"), Column("q"), Column("q")
        self._damaged_S = Column("B")

    def __len__(self) -> int:
        return len(self._length_S)

    def append(self, sentence: RawSentence) -> None:
        """Take a sentence that is complete.

        Raises:
            StorageError: the disk refused, since it is full for example.
        """
        length = len(sentence.words)
        self._word_T.extend(map(self._words.__getitem__, sentence.words))
        self._tag_T.extend(map(self._tags.__getitem__, sentence.tags))
        self._line_T.extend(sentence.lines or repeat(sentence.line, length))
        self._space_T.extend(sentence.spaces or repeat(True, length))
        self._length_S.append(length)
        self._document_S.append(sentence.document)
        self._line_S.append(sentence.line)
        self._damaged_S.append(sentence.damaged)

    def __iter__(self) -> Iterator[RawSentence]:
        words, tags = tuple(self._words), tuple(self._tags)
        word_T, tag_T, line_T, space_T = (
            column.array() for column in (self._word_T, self._tag_T, self._line_T, self._space_T)
        )
        length_S, document_S, line_S, damaged_S = (
            column.array() for column in (self._length_S, self._document_S, self._line_S, self._damaged_S)
        )
        start = 0
        for first in range(0, len(length_S), _READ):
            part = slice(first, first + _READ)
            lengths = length_S[part].tolist()
            here = slice(start, start + sum(lengths))
            start = here.stop
            found = list(map(words.__getitem__, word_T[here].tolist()))
            tagged = list(map(tags.__getitem__, tag_T[here].tolist()))
            lines, spaces = line_T[here].tolist(), space_T[here].astype(bool).tolist()
            begin = 0
            for length, document, line, damaged in zip(
                lengths, document_S[part].tolist(), line_S[part].tolist(), damaged_S[part].tolist(), strict=True
            ):
                of = slice(begin, begin + length)
                begin = of.stop
                yield RawSentence(document, line, found[of], tagged[of], bool(damaged), lines[of], spaces[of])
