"""Words and their vectors while a file is read: the first vector of a word counts, and what was odd is told.

D width of a vector
"""

import logging
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors
from numpy.typing import NDArray

from fenestra.training.config import NotUtf8

_log = logging.getLogger("fenestra.vectors")
_SHOWN = 40  # characters of a word in a message


def shown(word: str) -> str:
    """A word as it stands in a message."""
    return repr(word[:_SHOWN])


class Table:
    """Collects words and vectors, and counts what is remarked on."""

    def __init__(self, path: Path, width: int) -> None:
        """Start a table of vectors of ``width`` numbers; ``path`` is what remarks call the file."""
        self._path, self._width = path, width
        self._rows: dict[str, None] = {}
        self._numbers = array("f")
        self._counts: dict[str, int] = {}
        self._firsts: dict[str, str] = {}

    def add(self, word: str, numbers: bytes, place: str) -> None:
        """Add a word with the bytes of its float32 numbers, unless it has some; ``place`` says where it stands."""
        if word in self._rows:
            self.count("occur again; the first vector of each counts", word, place)
            return
        self._rows[word] = None
        self._numbers.frombytes(numbers)

    def count(self, what: str, word: str, place: str) -> None:
        """Count a word that is remarked on."""
        self._counts[what] = self._counts.get(what, 0) + 1
        self._firsts.setdefault(what, f"{shown(word)}, {place}")

    def keyed_vectors(self) -> KeyedVectors:
        """The table as gensim's; tells the remarks."""
        for what, count in self._counts.items():
            _log.warning("%s: words that %s: %s (%s)", self._path, what, f"{count:,}", self._firsts[what])
        table_VD = np.frombuffer(self._numbers, np.float32).reshape(-1, self._width)
        return keyed_vectors(list(self._rows), table_VD)


def decode_word(raw: bytes, not_utf8: NotUtf8, table: Table, place: str) -> str | None:
    """Decode a word, or skip it, or replace its bytes that are not UTF-8, as ``not_utf8`` says.

    Raises:
        UnicodeDecodeError: it is not UTF-8, and such words are refused.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        if not_utf8 == "refuse":
            raise
    replaced = raw.decode("utf-8", "replace")
    table.count("are not UTF-8, and were left out" if not_utf8 == "skip" else "are not UTF-8", replaced, place)
    return None if not_utf8 == "skip" else replaced


def remark(path: Path, message: str) -> None:
    """Tell something odd about a file that is read all the same."""
    _log.warning("%s: %s", path, message)


def keyed_vectors(words: Sequence[str], vectors_VD: NDArray[np.float32]) -> KeyedVectors:
    """Make gensim's table of words and vectors without copying the numbers.

    Raises:
        ValueError: not one vector a word, or a word occurs twice.
    """
    rows = {word: row for row, word in enumerate(words)}
    if vectors_VD.ndim != 2 or not len(rows) == len(words) == len(vectors_VD):
        raise ValueError(f"{len(words)} words, {len(rows)} of them different, for a table of shape {vectors_VD.shape}")
    made = KeyedVectors(vectors_VD.shape[1])
    made.index_to_key, made.key_to_index, made.vectors = list(words), rows, vectors_VD
    return made
