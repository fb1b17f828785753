"""Gives memory back to the system, which the C library would keep for later."""

import ctypes
from collections.abc import Callable


def _find_trim() -> Callable[[int], object]:
    """``malloc_trim`` of glibc; other C libraries give memory back themselves."""
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _: None
    return trim


_trim = _find_trim()


def release_memory() -> None:
    """Give freed memory back, after work that took a lot. It takes milliseconds, in which other threads run."""
    _trim(0)
