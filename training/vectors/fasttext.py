r"""Check a fastText model before gensim reads it: with a truncated list of words gensim would never return.

    magic, version, twelve settings      of its training
    words, of them not labels, labels    how many
    word \\0 count kind                   one entry each
    quantised, rows, width, numbers      a row for each word and each bucket of character n-grams

The layout is that of ``Dictionary::save`` and ``Matrix::save`` in fastText's sources.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from fenestra.model.errors import DataError

_MAGIC_NUMBER = 793712314
MAGIC = struct.pack("<i", _MAGIC_NUMBER)
_SETTINGS = struct.Struct("<2i12id")  # magic and version, twelve integers, one double
_COUNTS = struct.Struct("<3i2q")  # entries, words, labels, tokens, pruned entries
_MATRIX = struct.Struct("<?2q")  # quantised, rows, width
_ENTRY = 9  # bytes after a word's terminator: an int64 and an int8
_PRUNED = 8  # bytes of an entry of the list that pruning leaves
_BUCKET = 10  # position of the number of buckets in the settings
_LONGEST_WORD = 1_000_000  # bytes
_BLOCK = 1 << 20  # bytes


def check_fasttext(path: Path) -> None:
    """Refuse a fastText model whose parts do not match its size.

    Raises:
        DataError: it is truncated or damaged, supervised, or quantised.
    """
    try:
        with path.open("rb") as file:
            settings = _SETTINGS.unpack(file.read(_SETTINGS.size))
            entries, words, labels, _, pruned = _COUNTS.unpack(file.read(_COUNTS.size))
            if labels:
                raise DataError(f"{path}: a supervised fastText model, expected word vectors")
            _skip_words(file, entries)
            file.seek(max(0, pruned) * _PRUNED, 1)
            quantised, rows, width = _MATRIX.unpack(file.read(_MATRIX.size))
            held = (path.stat().st_size - file.tell()) // 4
    except (struct.error, EOFError, OSError, OverflowError, ValueError) as error:
        raise DataError(f"{path}: truncated or damaged fastText model ({error})") from error
    if settings[0] != _MAGIC_NUMBER:
        raise DataError(f"{path}: expected a fastText model")
    if quantised:
        raise DataError(f"{path}: a quantised fastText model, expected plain float32 vectors")
    if not (0 < words == entries and 0 < width == settings[2] and rows == words + settings[_BUCKET]):
        raise DataError(f"{path}: damaged fastText model, the numbers of words, buckets and vectors do not agree")
    if rows * width > held:
        raise DataError(f"{path}: truncated fastText model, {rows:,} vectors of {width:,} numbers do not fit into it")


def _skip_words(file: BinaryIO, entries: int) -> None:
    """Skip the list of words."""
    block, place = b"", 0
    for _ in range(entries):
        end = block.find(b"\0", place)
        while end < 0 or end + 1 + _ENTRY > len(block):
            more = file.read(_BLOCK)
            block, place = block[place:] + more, 0
            if not more or (end < 0 and len(block) > _LONGEST_WORD + _BLOCK):
                raise EOFError("the list of words does not end")
            end = block.find(b"\0", place)
        place = end + 1 + _ENTRY
    file.seek(place - len(block), 1)
