"""The compiled library: which build of it fits this processor, and its functions with their arguments."""

import ctypes
import hashlib
import math
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

FOLDER = Path(__file__).parent
PANEL = 16
"""As in ``simd.h``: widths are filled up with zeros to a multiple of it."""
KINDS = {"float32": 0, "int16": 1, "int8": 2, "float16": 3, "int4": 4}
"""Number types, as the files in C call them."""

_BUILDS = {"AVX512": ("x86-64-v4", "x86-64-v3", "any"), "AVX2": ("x86-64-v3", "any")}
"""By what torch says of the processor: the builds that run on it, the best first."""
_addressof, _first_byte = ctypes.addressof, ctypes.c_char.from_buffer
_MANY = 4096  # tokens; looking up fewer takes less than half a millisecond
_LINE = 64  # bytes of a line of the cache
_POINTER, _COUNT, _FLOAT, _FLAG = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int32
_SIGNATURES: dict[str, tuple[Any, str]] = {
    "is_white": (_FLAG, "f"),
    "learn": (_FLAG, "ppnfpn"),
    "read_on": (_FLAG, "pppnppppp" + "np"),
    "look_ahead": (_COUNT, "pppnppnn"),
    "split": (_COUNT, "ppnppppppp" + "p"),
    "class_tokens": (None, "pppnpppp"),
    "encode": (None, "ppppnnp"),
    "project": (_FLAG, "pppnnnnppn" + "ppp"),
    "add_vectors": (None, "ppp" + "nppp"),
    "add_sums": (None, "pppnnpp"),
    "document_rows": (_FLAG, "ppnnxpppppp" + "np"),
    "fill_crc_table": (None, ""),
    "hash_ngrams": (None, "ppnpnnpn"),
    "mix": (None, "ppppppp" + "nnp"),
    "score": (_COUNT, "ppppppp" + "nnp"),
    "lay_out": (_COUNT, "ppnpnnnnnppppp"),
    "find_repeats": (_COUNT, "ppnpppppp"),
    "add_up": (None, "pppnnp"),
    "agree": (_FLAG, "pppnppp"),
    "read_paths": (_COUNT, "ppnpppppppp"),
}
_TYPES = {"p": _POINTER, "n": _COUNT, "x": _FLOAT, "f": _FLAG}


class Runs(ctypes.Structure):
    """As in ``text.c``."""

    _fields_ = [
        (name, _COUNT if name in ("places", "runs", "most_runs") or name.startswith(("used", "most")) else _POINTER)
        for name in (
            "hash run places runs most_runs letters_at letters_of words_at words_of "
            "letters used_letters most_letters words used_words most_words"
        ).split()
    ]


class Reading(ctypes.Structure):
    """As in ``text.c``."""

    _fields_ = [(name, _COUNT) for name in ("at", "text", "tokens", "lines", "stop", "unsure")]


class Features(ctypes.Structure):
    """As in ``rows.c``."""

    _fields_ = [
        ("width", _COUNT), ("storage", _COUNT), ("codes", _POINTER), ("scale", _POINTER), ("fields", _COUNT),
        ("table", _POINTER), ("widths", _POINTER), ("gram_width", _COUNT), ("grams", _POINTER), ("entry", _COUNT),
    ]  # fmt: skip


class Network(ctypes.Structure):
    """As in ``window.c``."""

    _fields_ = [
        ("width", _COUNT), ("hidden", _COUNT), ("kind", _COUNT), ("layers", _COUNT), ("weight", _POINTER),
        ("bias", _POINTER), ("outputs", _POINTER), ("tags", _COUNT), ("temperature", _FLOAT),
        ("unit", _POINTER),
    ]  # fmt: skip


class Agreement(ctypes.Structure):
    """As in ``agree.c``."""

    _fields_ = [("tags", _COUNT), ("label_K", _POINTER), ("same_tag", _FLOAT), ("same_label", _FLOAT)]


class Columns(ctypes.Structure):
    """As in ``path.c``."""

    _fields_ = [
        (name, _COUNT if name in ("tags", "most_alike", "learned") else _POINTER)
        for name in (
            "tags starts_K steps_KK ends_K label_K opens_K closes_K alike_KA most_alike "
            "score_start_K score_step_KK score_end_K learned"
        ).split()
    ]


class Functions:
    """The functions of a library. They take addresses, of arrays that their caller keeps alive."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Say what each takes and gives."""
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = [_TYPES[letter] for letter in arguments]
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a C function
        raise AttributeError(f"the compiled kernel has no function {name}")


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
        library.sources.restype = ctypes.c_char_p
        if library.sources() != digest(FOLDER.parent).encode():
            raise OSError(f"{path}: compiled from other sources; install the project again")
        self.short, self.long = Functions(ctypes.PyDLL(str(path))), Functions(library)
        self.short.fill_crc_table()

    def call(self, tokens: int, each: float = 1.0) -> Functions:
        """The functions for so many tokens, each of which takes ``each`` times as long as to look it up."""
        return self.long if tokens * each > _MANY else self.short


def digest(room: Path) -> str:
    """What tells the sources in C from others; as ``build.py`` works it out."""
    files = (
        "simd.h",
        "text/text.c",
        "words/words.c",
        "network/network.c",
        "decode/label_consistency.c",
        "decode/decode.c",
    )
    return hashlib.sha256(b"".join((room / name).read_bytes() for name in files)).hexdigest()[:16]


@cache
def load() -> Kernel | None:
    """The best build for this processor, or None where nothing was compiled for it."""
    return next(builds(), None)


def builds() -> Iterator[Kernel]:
    """All builds that this processor can run, the best first."""
    for build in _BUILDS.get(torch.backends.cpu.get_cpu_capability(), ("any",)):
        path = FOLDER / f"kernel-{build}.so"
        if path.is_file():
            try:
                yield Kernel(path)
            except (OSError, AttributeError) as error:
                warnings.warn(f"the compiled kernel is not used: {error}", RuntimeWarning, stacklevel=2)


def address(array: Array | None) -> int | None:
    """Where a contiguous array begins; None for no array."""
    if array is None:
        return None
    try:
        return _addressof(_first_byte(array))  # type: ignore[arg-type]  # five times as fast as the way below
    except (TypeError, ValueError):  # read-only, or empty
        place: int = array.__array_interface__["data"][0]
        return place


def copied(x: Tensor) -> Array:
    """A tensor as a contiguous array; without a copy where it is one."""
    array: Array = x.detach().cpu().contiguous().numpy()
    return array


def empty(shape: tuple[int, ...], dtype: type[np.generic] | str) -> Array:
    """Memory for an array that begins with a line of the cache; the system gives it as it is written to."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    raw = np.empty(size + _LINE, np.uint8)
    begin = -(address(raw) or 0) % _LINE
    return raw[begin : begin + size].view(kind).reshape(shape)


def filled(width: int, whole: int = PANEL) -> int:
    """A width filled up to whole panels."""
    return -(-width // whole) * whole


def panels(weight_OI: NDArray[np.float32], outputs: int, inputs: int) -> NDArray[np.float32]:
    """A weight matrix as ``simd.h`` multiplies with it: panel by panel of its outputs, each inputs × PANEL.

    Args:
        weight_OI: the matrix.
        outputs: what its height is filled up to.
        inputs: what its width is filled up to.
    """
    whole = np.zeros((outputs, inputs), dtype=np.float32)
    whole[: weight_OI.shape[0], : weight_OI.shape[1]] = weight_OI
    result = empty((outputs // PANEL, inputs, PANEL), np.float32)
    result[:] = whole.reshape(-1, PANEL, inputs).transpose(0, 2, 1)
    return result


def padded(x: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Fill the last axis up with zeros."""
    result = empty((*x.shape[:-1], width), np.float32)
    result.fill(0)
    result[..., : x.shape[-1]] = x
    return result
