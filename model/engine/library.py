"""The compiled library: which build of it fits this processor, and its functions, typed by their C prototypes.

``kernel.h`` is the only place that says what a function takes. :class:`Declarations` reads its constants, structures
and prototypes, and a call checks every array against them: number type and memory layout, in the order of the
arguments. How many numbers an array holds, and whether it may be NULL, the caller answers for.

Plain C11 behind ``ctypes``: no header of Python's is needed to build it, one library serves every version of Python,
and other threads run while a long call computes.
"""

import ctypes
import math
import re
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.sources import BUILDS, ROOM, digest, library_name

Array = NDArray[Any]

FOLDER = Path(__file__).parent
_MANY = 4096  # tokens; looking up fewer takes less than half a millisecond
_LINE = 64  # bytes of a line of the cache
_addressof, _by_reference, _first_byte = ctypes.addressof, ctypes.byref, ctypes.c_char.from_buffer
_SCALARS: dict[str, Any] = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "uint32_t": ctypes.c_uint32,
                            "uint64_t": ctypes.c_uint64,
                            "float": ctypes.c_float, "void": None}  # fmt: skip
_FLOATS = {"float": "float32", "double": "float64"}
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ENUM = re.compile(r"enum \{(.*?)\};", re.DOTALL)
_STRUCT = re.compile(r"typedef struct \{(.*?)\} (\w+);", re.DOTALL)
_PROTOTYPE = re.compile(r"^API (?:const )?(\w+) (\*?)(\w+)\(([^)]*)\);", re.MULTILINE)
_VARIABLE = re.compile(r"(?:const )?(\w+) (\**)(\w+)$")


class Structure(ctypes.Structure):
    """A C structure that is filled with arrays and keeps them alive."""

    declared: dict[str, "Parameter"]
    """Its fields by name."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - numbers and arrays
        """Fill all fields; TypeError if one is missing or unknown, or an array of another number type than in C."""
        if values.keys() != self.declared.keys():
            raise TypeError(f"{type(self).__name__}: expected {', '.join(self.declared)}, got {', '.join(values)}")
        super().__init__(**{name: self.declared[name].field(value) for name, value in values.items()})
        self._kept: list[Any] = list(values.values())

    @classmethod
    def zeros(cls) -> Self:
        """One with 0 in all fields."""
        return cls.__new__(cls)

    def keep(self, *arrays: Any) -> None:  # noqa: ANN401
        """Keep alive what arrays of addresses point to."""
        self._kept += arrays


class Parameter:
    """A parameter of a function or a field of a structure."""

    def __init__(self, declaration: str, structures: dict[str, type[Structure]]) -> None:
        match = _VARIABLE.match(" ".join(declaration.split()))
        if match is None:
            raise ValueError(f"kernel.h: cannot read {declaration!r}")
        kind, stars, self.name = match.groups()
        self._is_array = bool(stars) and kind not in structures
        self.type: Any = ctypes.c_void_p
        """Of a field."""
        self.argument: Any = self
        """What ctypes converts an argument with: a type of its own, or this with :meth:`from_param`."""
        if self._is_array:
            # A pointer to pointers takes an array of addresses, and a pointer to void an array of any numbers.
            number = "uint64" if stars == "**" else _FLOATS.get(kind, kind.removesuffix("_t"))
            self._number = None if kind == "void" else np.dtype(number)
        else:
            self.type = self.argument = ctypes.POINTER(structures[kind]) if stars else _SCALARS[kind]

    def field(self, value: Any) -> Any:  # noqa: ANN401
        """The value of a field: of an array, where its numbers begin.

        Raises:
            TypeError: they are of another type, or do not lie end to end.
        """
        if not self._is_array or value is None:
            return value
        self._check(value)
        return address(value)

    def from_param(self, array: Array | None) -> Any:  # noqa: ANN401
        """As :meth:`field`, of an argument; ctypes calls it. Some hundred arrays pass here for each text."""
        if array is None:
            return None
        if array.dtype is not self._number:
            self._check(array)
        try:
            return _by_reference(_first_byte(array))  # type: ignore[arg-type]
        except (TypeError, ValueError):  # as in `address`
            return ctypes.c_void_p(address(array))

    def _check(self, array: Array) -> None:
        if self._number is not None and array.dtype != self._number:
            raise TypeError(f"{self.name}: expected an array of {self._number}, got {array.dtype}")


class Function:
    """A C function that takes numbers, arrays and structures."""

    def __init__(self, name: str, function: Any, parameters: list[Parameter], result: str | None) -> None:  # noqa: ANN401
        function.restype = ctypes.c_char_p if result is None else _SCALARS[result]
        function.argtypes = [parameter.argument for parameter in parameters]
        self._name, self._function, self._count = name, function, len(parameters)

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        """Call it; the arrays are read and written where they lie.

        Raises:
            TypeError: an argument is not what the prototype says, or there are too few or too many.
        """
        if len(arguments) != self._count:  # ctypes lets more than these pass
            raise TypeError(f"{self._name}: expected {self._count} arguments, got {len(arguments)}")
        try:
            return self._function(*arguments)
        except ctypes.ArgumentError as error:
            if "KeyboardInterrupt" in str(error):  # what Python is asked for an array's address was interrupted
                raise KeyboardInterrupt from None
            raise TypeError(f"{self._name}: {error}") from error


class Declarations:
    """What ``kernel.h`` declares."""

    def __init__(self, header: str) -> None:
        text = _COMMENT.sub("", header)
        self.constants: dict[str, int] = {}
        for body in _ENUM.findall(text):
            number = 0
            for entry in filter(str.strip, body.split(",")):
                name, _, value = entry.partition("=")
                number = int(value) if value else number
                self.constants[name.strip()] = number
                number += 1
        self.structures: dict[str, type[Structure]] = {}
        for body, name in _STRUCT.findall(text):
            fields = [Parameter(line, self.structures) for line in filter(str.strip, body.split(";"))]
            members = {"_fields_": [(f.name, f.type) for f in fields], "declared": {f.name: f for f in fields}}
            self.structures[name] = type(name, (Structure,), members)
        self.functions = {
            name: ([] if taken == "void" else [Parameter(p, self.structures) for p in taken.split(",")],
                   None if star else result)
            for result, star, name, taken in _PROTOTYPE.findall(text)
        }  # fmt: skip


class Functions:
    """The declared functions of a library, as attributes."""

    def __init__(self, declared: Declarations, library: ctypes.CDLL) -> None:
        for name, types in declared.functions.items():
            setattr(self, name, Function(name, getattr(library, name), *types))

    def __getattr__(self, name: str) -> Function:
        raise AttributeError(f"the compiled kernel has no function {name}")


DECLARED = Declarations((ROOM / "kernel.h").read_text(encoding="utf-8"))


class Kernel:
    """One build of the library.

    Other threads run while a long call computes. A short one keeps the interpreter: where a server's loop is busy,
    getting it back takes longer than the call.
    """

    def __init__(self, path: Path) -> None:
        """Open a library.

        Raises:
            OSError: it is not one for this machine, or was compiled from other sources than those beside it.
        """
        self.name = path.stem
        library = ctypes.CDLL(str(path))
        library.source_digest.restype = ctypes.c_char_p
        if library.source_digest() != digest(FOLDER.parent).encode():
            raise OSError(f"{path}: compiled from other sources; install the project again")
        self.short, self.long = Functions(DECLARED, ctypes.PyDLL(str(path))), Functions(DECLARED, library)
        self.short.fill_crc_table()

    def call(self, tokens: int, each: float = 1.0) -> Functions:
        """The functions for so many tokens, each of which takes ``each`` times as long as to look it up."""
        return self.long if tokens * each > _MANY else self.short


@cache
def load() -> Kernel | None:
    """The best build for this processor, or None where nothing was compiled for it."""
    return next(builds(), None)


def cpu_level() -> int:
    """Which builds this processor can run, as :data:`BUILDS` counts; 0 also where nothing was compiled."""
    try:
        level: int = ctypes.CDLL(str(FOLDER / library_name("any"))).cpu_level()
    except (OSError, AttributeError):  # or it was compiled from older sources
        return 0
    return level


def builds() -> Iterator[Kernel]:
    """All builds that this processor can run, the best first."""
    level = cpu_level()
    for name, needed in BUILDS.items():
        path = FOLDER / library_name(name)
        if needed <= level and path.is_file():
            try:
                yield Kernel(path)
            except (OSError, AttributeError) as error:
                warnings.warn(f"the compiled kernel is not used: {error}", RuntimeWarning, stacklevel=2)


def address(array: Array) -> int:
    """Where the numbers of an array begin; TypeError if they do not lie end to end."""
    try:
        return _addressof(_first_byte(array))  # type: ignore[arg-type]  # five times as fast as the way below
    except (TypeError, ValueError):  # read-only, or empty
        if not array.flags.c_contiguous:
            raise TypeError("expected an array whose numbers lie end to end") from None
        place: int = array.__array_interface__["data"][0]
        return place


def empty(shape: tuple[int, ...], dtype: type[np.generic] | str) -> Array:
    """Memory for an array that begins with a line of the cache; the system gives it as it is written to."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    raw = np.empty(size + _LINE, np.uint8)
    begin = -address(raw) % _LINE
    return raw[begin : begin + size].view(kind).reshape(shape)
