"""Vectors as text: a word and D numbers on each line, tabs or blanks between; with a first line "V D", or without.

The last D columns are the numbers, so a word may hold blanks, as some of ``glove.840B.300d`` do. gensim's own reader
takes the first column for the word, names no line, and accepts a vector of a single number.

V words · D width of a vector
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np
from gensim.models import KeyedVectors

from fenestra.model.errors import DataError
from fenestra.training.config import NotUtf8
from fenestra.training.vectors.table import Table, decode_word, shown

_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(rb"[-+]?\d*,\d+")
_LARGEST = float(np.finfo(np.float32).max)
_FIRST_LINES = 100  # that tell the width where no first line does
_LONGEST_LINE = 10_000_000  # bytes


def read_text(stream: IO[bytes], path: Path, *, header: bool, not_utf8: NotUtf8) -> KeyedVectors:
    """Read a text format.

    Args:
        stream: the file, decompressed, behind its mark of byte order if it has one.
        path: what messages call it.
        header: whether its first line tells how many words there are and how wide their vectors are.
        not_utf8: what is done with a word that is not UTF-8.

    Raises:
        DataError: names the first line that is not a word and as many finite numbers as the others have.
    """
    lines = _lines(stream, path)
    promised, said = 0, "the first line says"
    if header:
        _, first = next(lines)
        promised, width = map(int, first.split())
        if width < 1:
            raise DataError(f"{path}:1: vectors of {width} numbers, expected at least 1")
    else:
        begin = list(islice(lines, _FIRST_LINES))
        width, said = _find_width([line for _, line in begin])
        lines = chain(begin, lines)
    table, number, words = Table(path, width), int(header), 0
    for number, line in lines:
        try:
            _read_row(line, width, said, table, f"line {number}", not_utf8)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        words += 1
    if words < 1 or (header and words != promised):
        expected = f"{promised:,} as the first line says" if header else "at least 1"
        place = f"{path}:{number}" if number else str(path)
        raise DataError(f"{place}: the file ends after {words:,} words, expected {expected}")
    return table.keyed_vectors()


def _find_width(lines: Sequence[bytes]) -> tuple[int, str]:
    """D as most of the first lines have it, and how a message says so."""
    counts = [_trailing_numbers(line.split()[1:]) for line in lines]
    width = Counter(counts).most_common(1)[0][0] if counts else 0
    return width, "in line 1" if counts[:1] == [width] else "most lines have"


def _read_row(line: bytes, width: int, said: str, table: Table, place: str, not_utf8: NotUtf8) -> None:
    """Add the word of a line and its vector to the table.

    Raises:
        ValueError: the line is not UTF-8, has another count of numbers, or holds a value that is not a finite float32.
    """
    raw = line.rsplit(None, width) if width else line.split()
    if width and len(raw) == width and line[:1].isspace() and _NUMBER.fullmatch(raw[0]):
        table.count("are nothing but blanks, and were left out", "", place)
        return
    between = raw[0].split()[1:] if raw else []  # what stands between the first column and the numbers
    wide = bool(between) and _trailing_numbers(between) == len(between)
    if len(raw) != width + 1 or not width or wide:
        found = (width + len(between) if wide else len(raw[1:])) if width else 0
        expected = f"{width:,} as {said}" if width else "at least 1"
        hint = "; with decimal points, not commas" if any(map(_DECIMAL_COMMA.fullmatch, raw[1:])) else ""
        raise ValueError(f"a word with {found:,} numbers, expected {expected}{hint}")
    values = _numbers(raw)
    try:
        word = decode_word(raw[0].lstrip(), not_utf8, table, place)
    except UnicodeDecodeError as error:
        at = len(line) - len(line.lstrip()) + error.start
        raise ValueError(
            f"byte {at + 1} of the line is 0x{line[at]:02x}, expected UTF-8; "
            'vectors.not_utf8 = "skip" or "replace" reads on'
        ) from error
    if word is None:
        return
    if between:
        table.count("hold a blank", word, place)
    table.add(word, array("f", values).tobytes(), place)


def _numbers(raw: Sequence[bytes]) -> list[float]:
    """The values behind the word of a row.

    Raises:
        ValueError: one is no finite float32.
    """
    try:
        values = list(map(float, raw[1:]))
        sound = sum(map(abs, values)) <= _LARGEST and not any(b"_" in value for value in raw[1:])
    except ValueError:
        values, sound = [], False
    if sound:
        return values
    for place, value in enumerate(raw[1:], start=1):
        text = value[:40].decode("utf-8", "backslashreplace")
        if not _NUMBER.fullmatch(value):
            hint = "; expected a decimal point, not a comma" if _DECIMAL_COMMA.fullmatch(value) else ""
            raise ValueError(f"could not convert string to float: {text!r}{hint}")
        if not abs(float(value)) <= _LARGEST:
            word = shown(raw[0].decode("utf-8", "replace"))
            raise ValueError(f"number {place} of {word} is {text}, expected a finite float32")
    return values


def _trailing_numbers(fields: Sequence[bytes]) -> int:
    """How many of the last fields are numbers."""
    for count, field in enumerate(reversed(fields)):
        if not _NUMBER.fullmatch(field):
            return count
    return len(fields)


def _lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, counted from 1, without those at its end that are blank."""
    number, blank = 0, 0
    try:
        while line := stream.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
                raise DataError(f"{path}:{number}: a line of more than {_LONGEST_LINE:,} bytes")
            if line.isspace() and number > 1:
                blank = blank or number
                continue
            if blank:
                yield blank, b""
            yield number, line.rstrip()
    except OSError as error:
        raise DataError(f"{path}:{number + 1}: {error.strerror or error}") from error
