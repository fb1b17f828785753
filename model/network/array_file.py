"""Reads ``weights.safetensors``: what its header promises first, and then array by array.

    8 bytes   length of the header, little-endian
    header    JSON: name → dtype, shape, data_offsets; and __metadata__, which is not looked at
    data      all arrays, end to end

The safetensors package reads a file whole before anyone can ask what is in it. Here the header is known before any
memory is taken for the arrays, and each array is read into its own memory, piece by piece.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fenestra.model.untrusted import RegularFile, parse_json

Shape = tuple[int, ...]
Layout = Mapping[str, tuple[np.dtype[Any], Shape]]
"""Number type and shape of arrays, by name."""

_NUMBERS = {"F32": np.float32, "F16": np.float16, "I8": np.int8, "U8": np.uint8}
"""The number types of a checkpoint, as safetensors calls them."""
_MOST_HEADER = 1 << 20
_MOST_DIMENSIONS = 8
_MOST_UNITS = 1 << 48


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """An open file whose header has been read and agrees with its size."""

    file: RegularFile
    head: bytes
    """The bytes of the header, with its length."""
    layout: Layout
    """In the order of the data."""

    @classmethod
    def begin(cls, file: RegularFile) -> "ArrayFile":
        """Read the header.

        Raises:
            OSError: the file cannot be read.
            ValueError: the header is malformed, or promises more or less than the file holds.
        """
        prefix = file.read(min(8, file.size))
        length = int.from_bytes(prefix, "little")
        if not len(prefix) + 2 <= 8 + length <= min(file.size, _MOST_HEADER):
            raise ValueError(f"a header of {length} bytes, in a file of {file.size}")
        header = file.read(length)
        values = parse_json(header)
        if not isinstance(values, dict):
            raise ValueError("the header is no object")
        values.pop("__metadata__", None)
        found = sorted((*_place(name, entry), name) for name, entry in values.items())
        position = 0
        for begin, end, number, shape, name in found:
            if begin != position or end - begin != math.prod(shape) * np.dtype(_NUMBERS[number]).itemsize:
                raise ValueError(f"{name} is not where its shape and the arrays before it say")
            position = end
        if 8 + length + position != file.size:
            raise ValueError(f"{file.size} bytes, of which header and arrays take {8 + length + position}")
        layout = {name: (np.dtype(_NUMBERS[number]), shape) for _, _, number, shape, name in found}
        return cls(file, prefix + header, layout)

    def fill(self, arrays: dict[str, NDArray[np.generic]]) -> Iterator[memoryview]:
        """Read the arrays into ``arrays``, by name; yields every piece of the data.

        Raises:
            OSError: the file cannot be read.
        """
        for name, (number, shape) in self.layout.items():
            arrays[name] = np.empty(shape, number)
            yield from self.file.fill(arrays[name].reshape(-1).view(np.uint8).data)


def _place(name: str, entry: Any) -> tuple[int, int, str, Shape]:  # noqa: ANN401 - JSON
    """Begin, end, number type and shape of an array.

    Raises:
        ValueError: the entry of the header is malformed.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"{name} is no array")
    number, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(number, str) or number not in _NUMBERS:
        raise ValueError(f"{name} holds numbers of {number!r}, expected one of {', '.join(_NUMBERS)}")
    if not (_sizes(shape) and len(shape) <= _MOST_DIMENSIONS and _sizes(offsets) and len(offsets) == 2):
        raise ValueError(f"{name} has no shape, or no place")
    return offsets[0], offsets[1], number, tuple(shape)


def _sizes(values: object) -> TypeGuard[list[int]]:
    """Whether something is a list of whole numbers that sizes can be."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= _MOST_UNITS for value in values)
