"""The processes that work on one search, and which of them are alive.

Every process has an identifier, and every trial names the process that runs it. A process that shares a folder holds a
lock, which the kernel releases when it ends, however it ends. One that shares a database only changes a number there
again and again; it is taken for dead when the number has not changed for a minute, by the clock of whoever looks.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import uuid4

from fenestra.model.errors import StorageError
from fenestra.model.storage import storage_error

LOCKS = "locks"
"""Folder of the locks, in that of the search."""

BEAT, SILENCE = 10.0, 60.0
"""Seconds between two heartbeats in a database, and without one until a process is taken for dead."""

_TRIES = 1000  # to open a lock between other processes that remove its folder


class Workers(Protocol):
    """One process of a search, and what it knows of the others."""

    @property
    def name(self) -> str:
        """The identifier of this process, which no other one has."""

    def alive(self, name: str) -> bool:
        """Whether another process is alive, by its identifier."""


class Alone:
    """A process that shares its search with nobody: whoever had it before is dead."""

    def __init__(self) -> None:
        self.name = uuid4().hex

    def alive(self, _name: str) -> bool:
        """Nobody else is."""
        return False


class Locking(Alone):
    """A process that shares a folder: see :func:`sharing_folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def alive(self, name: str) -> bool:
        """Whether it holds the lock of its name."""
        try:
            with (self._folder / name).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                (self._folder / name).unlink(missing_ok=True)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def sweep(self) -> None:
        """Remove what dead processes left."""
        for lock in self._folder.iterdir():
            if not lock.suffix and lock.name != self.name:
                self.alive(lock.name)


class Beating(Alone):
    """A process that shares a database: see :func:`sharing_database`."""

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        super().__init__()
        self._read = read
        self._seen: dict[str, tuple[int, float]] = {}  # the last number, and when it was new

    def alive(self, name: str) -> bool:
        """Whether its number changed within the last minute; at first sight, it is taken for alive."""
        beat, now = self._read().get(name, 0), time.monotonic()
        if name not in self._seen or self._seen[name][0] != beat:
            self._seen[name] = (beat, now)
        return now - self._seen[name][1] < SILENCE


@contextmanager
def sharing_folder(folder: Path) -> Iterator[Workers]:
    """Work on a search in a folder that other processes have open, too.

    Raises:
        StorageError: the file system has no locks, or refused a file.
    """
    workers = Locking(folder / LOCKS)
    name = folder / LOCKS / workers.name
    try:
        lock = _appear_locked(name)
        workers.sweep()
    except OSError as error:
        raise storage_error(name, 0, error) from error
    try:
        yield workers
    finally:
        workers.sweep()
        _vanish(name)
        lock.close()


def _appear_locked(name: Path) -> BinaryIO:
    """Make a file that nobody sees before it is locked."""
    draft = name.with_suffix(".new")
    lock = _made(draft)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(name)
    except OSError:
        lock.close()
        _vanish(draft)
        raise
    return lock


@contextmanager
def sharing_database(
    read: Callable[[], Mapping[str, int]], beat: Callable[[str, int], None], seconds: float = BEAT
) -> Iterator[Workers]:
    """Work on a search in a database that other processes have open, too.

    Args:
        read: the last number of every process.
        beat: writes that of this one.
        seconds: between two of them.
    """
    workers, over = Beating(read), threading.Event()

    def keep_beating() -> None:
        number = 1
        while not over.wait(seconds):
            number += 1
            with suppress(StorageError):  # the search itself will meet it, and say so
                beat(workers.name, number)

    beat(workers.name, 1)
    thread = threading.Thread(target=keep_beating, name="tune-beat", daemon=True)
    thread.start()
    try:
        yield workers
    finally:
        over.set()
        thread.join()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for a lock and hold it; the kernel releases it if the process dies. The file exists only while it is held.

    Raises:
        OSError: the file system has no locks, or refused the file.
    """
    while True:
        with _made(path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is(lock.fileno(), path):  # whoever held it has removed it
                continue
            try:
                yield
            finally:
                _vanish(path)
            return


def _made(path: Path) -> BinaryIO:
    """Open a file for a lock; its folder may vanish with the last lock in it, at any moment."""
    for _ in range(_TRIES):
        with suppress(FileExistsError, FileNotFoundError):
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("ab")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def _vanish(path: Path) -> None:
    """Remove a lock, and its folder with the last one."""
    path.unlink(missing_ok=True)
    with suppress(OSError):  # others are there
        path.parent.rmdir()


def _is(handle: int, path: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
