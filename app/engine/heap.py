"""Keeps the memory of the process near what it uses: the C library would keep what is freed, in a heap a thread."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1  # M_ARENA_MAX and the others of glibc's malloc.h
_SOME_PAGES, _MOST_PAGES = 128 << 10, 32 << 20  # bytes: what the threshold is at first, and what glibc lets it grow to


def _library() -> ctypes.CDLL | None:
    """The C library if it is glibc, else None: others give memory back themselves."""
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
    except (OSError, TypeError):
        return None


_LIBC = _library()


def share_one_heap() -> None:
    """Let all threads share one heap; the interpreter lets only one of them allocate at a time anyway."""
    if _LIBC is not None:
        _LIBC.mallopt(_ARENA_MAX, 1)


def release_memory() -> None:
    """Give freed memory back, after work that took a lot. It takes milliseconds, in which other threads run."""
    if _LIBC is not None:
        _LIBC.malloc_trim(0)


@contextmanager
def large_blocks_apart() -> Iterator[None]:
    """Give every large block pages of its own, which go back when it is freed; for work that would leave holes."""
    if _LIBC is None:
        yield
        return
    _LIBC.mallopt(_MMAP_THRESHOLD, _SOME_PAGES)
    try:
        yield
    finally:
        _LIBC.malloc_trim(0)
        _LIBC.mallopt(_MMAP_THRESHOLD, _MOST_PAGES)
        _LIBC.mallopt(_TRIM_THRESHOLD, 2 * _MOST_PAGES)
