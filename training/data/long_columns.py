"""Columns of numbers that may be longer than memory.

A column is in memory while it is short. A longer one is a file that is mapped into memory, of which the system keeps
what there is room for. The file has no name: it takes its place on the disk as long as the process lives, nobody can
damage it, and nothing is left of it after a kill.
"""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fenestra.model.storage import storage_error

LONG = 1 << 20
"""Numbers of a column that are written, and read, at once."""
_FOLDER: ContextVar[Path | None] = ContextVar("folder of long columns", default=None)


@contextmanager
def long_columns_in(folder: Path) -> Iterator[None]:
    """Put the files of long columns on the disk of a folder, not on that of the system's temporary files."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


class Column:
    """Numbers, one after the other."""

    def __init__(self, code: Literal["B", "i", "q", "f"]) -> None:
        """Begin an empty column of uint8, int32, int64 or float32."""
        self._file: IO[bytes] | None = None
        self._held: array[Any] = array(code)
        self._written = 0

    def __len__(self) -> int:
        return self._written + len(self._held)

    def append(self, number: int) -> None:
        """Add a number.

        Raises:
            StorageError: the disk refused, since it is full for example.
        """
        self._held.append(number)
        if len(self._held) >= LONG:
            self._write()

    def extend(self, numbers: Iterable[int]) -> None:
        """Add numbers; raises as :meth:`append`."""
        self._held.extend(numbers)
        if len(self._held) >= LONG:
            self._write()

    def extend_array(self, numbers: NDArray[Any]) -> None:
        """Add the numbers of an array, row by row; raises as :meth:`append`."""
        flat = numbers.reshape(-1)
        for begin in range(0, len(flat), LONG):
            self._held.frombytes(flat[begin : begin + LONG].astype(self._held.typecode, copy=False).tobytes())
            if len(self._held) >= LONG:
                self._write()

    def array(self) -> NDArray[Any]:
        """All numbers so far; what is written into the array never gets to the file."""
        if self._file is None:
            return np.array(self._held, dtype=self._held.typecode)
        self._write()
        return np.memmap(self._file, dtype=self._held.typecode, mode="c", shape=(self._written,))

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()  # what is mapped of it stays

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = TemporaryFile(dir=_FOLDER.get())  # noqa: SIM115 - it lives as long as the column
            self._held.tofile(self._file)
            self._file.flush()
        except OSError as error:
            if self._file is not None:
                with suppress(OSError):  # which is what is reported already
                    self._file.close()
            size = len(self) * self._held.itemsize
            raise storage_error(_FOLDER.get() or Path(gettempdir()), size, error) from error
        self._written += len(self._held)
        self._held = array(self._held.typecode)


class Numbers(dict[str, int]):
    """Distinct words, numbered from 0 in the order in which they are looked up first."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number
