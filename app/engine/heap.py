"""Keeps the memory of the process near what it uses: the C library would keep what is freed, in a heap a thread."""

import ctypes

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


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
