"""What a wait of more than a second shows on a terminal: a line that counts seconds, and is gone when it is over."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE_SECONDS = 1.0  # before anything is shown
_STEP_SECONDS = 0.5
_CLEAR = "\r\x1b[K"
_lock = threading.Lock()
_line = ""  # what stands on the terminal now


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say what is waited for if it takes longer than a second; nothing where standard error is no terminal.

    The thread that counts is over when this is, so that processes may be forked then.
    """
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    counter = threading.Thread(target=_count, args=(what, over, time.monotonic()), daemon=True)
    counter.start()
    try:
        yield
    finally:
        over.set()
        counter.join()
        clear()


def clear() -> None:
    """Take the line away, before something else is printed."""
    _show("")


def _count(what: str, over: threading.Event, began: float) -> None:
    patience = _PATIENCE_SECONDS
    while not over.wait(patience):
        _show(f"{what} … {time.monotonic() - began:.0f} s")
        patience = _STEP_SECONDS


def _show(line: str) -> None:
    global _line
    with _lock:
        if line or _line:
            sys.stderr.write(f"{_CLEAR}{line}")
            sys.stderr.flush()
        _line = line
