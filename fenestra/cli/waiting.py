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


class Wait:
    """Something that is waited for; the thread that counts is over with it, so that processes may be forked then."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._counter: threading.Thread | None = None

    def begin(self, what: str) -> None:
        """Wait for this, and no longer for what was waited for before."""
        self.end()
        if sys.stderr.isatty():
            self._over = threading.Event()
            self._counter = threading.Thread(target=_count, args=(what, self._over, time.monotonic()), daemon=True)
            self._counter.start()

    def end(self) -> None:
        """Take note that it is over."""
        self._over.set()
        if self._counter is not None:
            self._counter.join()
            self._counter = None
            clear()


@contextmanager
def waiting(what: str) -> Iterator[Wait]:
    """Say what is waited for if it takes longer than a second; nothing where standard error is no terminal."""
    wait = Wait()
    wait.begin(what)
    try:
        yield wait
    finally:
        wait.end()


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
