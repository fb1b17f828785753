r"""word2vec's binary format: a line "V D", then for each word its bytes, a blank, and D float32.

    3 2\n  the \x00\x00\x80\x3f…  cat …      as gensim writes it
    3 2\n  the \x00\x00\x80\x3f…\n  cat …    as word2vec.c does

Nothing in it says where a word ends but the blank. A word that holds one, or a first line of another file, puts
every reader out of step: it takes letters for numbers, as "York" for 2.9e26. Here such a file is refused.

V words · D width of a vector
"""

import math
import re
from pathlib import Path
from typing import IO

import numpy as np
from gensim.models import KeyedVectors
from numpy.typing import NDArray

from fenestra.model.errors import DataError
from fenestra.training.config import NotUtf8
from fenestra.training.vectors.table import Table, decode_word, shown

_HEADER = re.compile(rb"[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*\n")
_LONGEST_WORD = 4096  # bytes
_BLOCK = 1 << 20  # bytes
_WIDEST = 1_000_000  # numbers
_NUMBER_SIZE = 4
_LARGEST = 1e10  # of a number that is read
_TRAINED = (1e-12, 1e6)  # what trained numbers other than 0 lie between, if there is any doubt
_SECOND_PART = re.compile(rb"[^\0-\x20\x7f]{0,64}[ ]")  # of a word with a blank, where numbers are expected
_CAUSES = "a word with a blank inside, another width than the first line says, or a damaged file"


def read_word2vec(stream: IO[bytes], path: Path, *, size: int | None, not_utf8: NotUtf8) -> KeyedVectors:
    """Read word2vec's binary format.

    Args:
        stream: the file, decompressed, behind its mark of byte order if it has one.
        path: what messages call it.
        size: of the file in bytes; None if it is compressed, and nobody knows.
        not_utf8: what is done with a word that is not UTF-8.

    Raises:
        DataError: it does not hold the words that its first line announces, and nothing else; names the word.
    """
    reader = _Reader(stream, path)
    words, width = reader.header()
    if width > _WIDEST or (size is not None and words * (_NUMBER_SIZE * width + 1) > size):
        raise DataError(f"{path}: truncated, the first line promises {words:,} words with {width:,} numbers each")
    table = Table(path, width)
    ends_lines = False  # as word2vec.c does, after every word but the last
    for number in range(1, words + 1):
        place = f"word {number:,} of {words:,}"
        raw = reader.word(place)
        if number == 2:
            ends_lines = raw.startswith(b"\n")
        if number > 1 and raw.startswith(b"\n") != ends_lines:
            raise DataError(f"{path}: {place} does not begin as those before it do; {_CAUSES}")
        raw = raw.removeprefix(b"\n")
        data = reader.take(_NUMBER_SIZE * width, place)
        _check_step(raw, data, path, place)
        try:
            word = decode_word(raw, not_utf8, table, place)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}: {place}, {shown(raw.decode('utf-8', 'replace'))}: byte {error.start + 1} is "
                f"0x{raw[error.start]:02x}, expected UTF-8; it is {_CAUSES}, or if the file is sound, "
                'vectors.not_utf8 = "skip" or "replace" reads on'
            ) from error
        if word is not None:
            table.add(word, np.frombuffer(data, "<f4").astype(np.float32).tobytes(), place)
    reader.check_end(words)
    return table.keyed_vectors()


def _check_step(raw: bytes, data: bytes, path: Path, place: str) -> None:
    """Refuse a word and a vector that were not written as such.

    Raises:
        DataError: a number is not finite or beyond all training, or the word has a NUL or goes on behind a blank.
    """
    numbers_D = np.frombuffer(data, "<f4")
    largest = float(np.abs(numbers_D).max())
    if not largest < math.inf:
        fault = "holds a number that is not finite"
    elif largest > _LARGEST:
        fault = f"holds {largest:.3g}"
    elif b"\0" in raw:
        fault = "stands behind a NUL"
    elif _goes_on(data, numbers_D):
        fault = "begins with letters and a blank"
    else:
        return
    raise DataError(f"{path}: the vector of {shown(raw.decode('utf-8', 'replace'))} {fault} ({place}); {_CAUSES}")


def _goes_on(data: bytes, numbers_D: NDArray[np.float32]) -> bool:
    """Whether a vector looks as if its word went on behind the first blank, and its numbers began behind the next."""
    second = _SECOND_PART.match(data)
    if not second or _plausible(numbers_D):
        return False
    rest = data[second.end() :]
    return _plausible(np.frombuffer(rest[: len(rest) // _NUMBER_SIZE * _NUMBER_SIZE], "<f4"))


def _plausible(numbers: NDArray[np.float32]) -> bool:
    """Whether numbers could be trained: letters read as numbers are mostly far larger or smaller."""
    size = np.abs(numbers)
    return bool(np.all((size == 0) | ((size > _TRAINED[0]) & (size < _TRAINED[1]))))


class _Reader:
    """Takes words and vectors from a stream in large blocks."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path
        self._block, self._place = b"", 0

    def header(self) -> tuple[int, int]:
        """V and D.

        Raises:
            DataError: the first line does not tell them, or they are 0.
        """
        self._read_on()
        header = _HEADER.match(self._block)
        if not header or int(header[2]) < 1:
            raise DataError(
                f"{self._path}: expected a first line with the number of words and the width of their vectors"
            )
        if int(header[1]) < 1:
            raise DataError(f"{self._path}: the first line says 0 words, expected at least 1")
        self._place = header.end()
        return int(header[1]), int(header[2])

    def word(self, place: str) -> bytes:
        """The bytes up to the next blank, which is skipped."""
        while (end := self._block.find(b" ", self._place)) < 0 or end - self._place > _LONGEST_WORD:
            if end >= 0 or len(self._block) - self._place > _LONGEST_WORD:
                raise DataError(f"{self._path}: {place} does not end; {_CAUSES}")
            if not self._read_on():
                raise self._truncated(place)
        raw = self._block[self._place : end]
        self._place = end + 1
        return raw

    def take(self, count: int, place: str) -> bytes:
        """The next bytes."""
        while len(self._block) - self._place < count:
            if not self._read_on():
                raise self._truncated(place)
        self._place += count
        return self._block[self._place - count : self._place]

    def check_end(self, words: int) -> None:
        """Refuse a file that goes on."""
        while not (rest := self._block[self._place :]).strip():
            self._place = len(self._block)
            if not self._read_on():
                return
        raise DataError(
            f"{self._path}: goes on after {words:,} words, as many as the first line says ({rest[:20]!r}); {_CAUSES}"
        )

    def _read_on(self) -> bool:
        """Read a block, and say whether there was any."""
        try:
            more = self._stream.read(_BLOCK)
        except OSError as error:
            raise DataError(f"{self._path}: {error.strerror or error}") from error
        self._block, self._place = self._block[self._place :] + more, 0
        return bool(more)

    def _truncated(self, place: str) -> DataError:
        return DataError(f"{self._path}: truncated in {place} that the first line says; {_CAUSES}")
