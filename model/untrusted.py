"""Reads what a stranger may have written: a file that may be no file, JSON that may be anything.

A name in a folder can stand for a pipe that nobody writes to, a device without an end, or a sparse file of any size. So
a file is opened without waiting, has to be a regular one of a size that was allowed, and no more is read than that.
"""

import errno
import io
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PIECE = 1 << 20
"""Bytes that are read at once."""
MOST_VALUES = 100_000


class RegularFile:
    """An open regular file; a context manager."""

    def __init__(self, path: Path, most: int) -> None:
        """Open a file of at most ``most`` bytes.

        Raises:
            OSError: it cannot be opened, is no regular file, or is larger; nothing was read.
        """
        _regular_size(path.stat(), most)  # before it is opened: that alone makes some devices do something
        self._file = io.FileIO(path, opener=_open_without_waiting)
        try:
            self.size = _regular_size(os.fstat(self._file.fileno()), most)  # it may be another one since
            """In bytes, when it was opened."""
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def fill(self, buffer: bytearray | memoryview) -> Iterator[memoryview]:
        """Read the next bytes, as many as the buffer holds; yields each piece of it, of at most :data:`PIECE` bytes.

        Raises:
            OSError: it cannot be read, or has become shorter since it was opened.
        """
        left = memoryview(buffer)
        while left:
            count = self._file.readinto(left[:PIECE])
            if not count:
                raise OSError(errno.EIO, "ends before its size")
            yield left[:count]
            left = left[count:]

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Raises:
            OSError: as :meth:`fill`.
        """
        buffer = bytearray(count)
        for _ in self.fill(buffer):
            pass
        return bytes(buffer)


def read_regular(path: Path, most: int) -> bytes:
    """Read all of a regular file of at most ``most`` bytes.

    Raises:
        OSError: as :class:`RegularFile`.
    """
    with RegularFile(path, most) as file:
        return file.read(file.size)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to is open at once, too."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _regular_size(found: os.stat_result, most: int) -> int:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"{found.st_size} bytes, expected {most} at most")
    return found.st_size


def parse_json(data: bytes | bytearray, most: int = MOST_VALUES) -> Any:  # noqa: ANN401 - JSON
    """Parse strict JSON: UTF-8, no key twice, every number finite. A string may still hold half a surrogate pair.

    Args:
        data: the document.
        most: values that it may have, so that a small file cannot take a large memory.

    Raises:
        ValueError: it is not; says why.
    """
    # Every value but the first stands behind one of these.
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) >= most:
        raise ValueError(f"more than {most} values")
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
