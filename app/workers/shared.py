"""What the processes of one service share without asking each other: memory, and a lock. Linux only.

Made by the supervisor before it forks, so that each worker inherits it. A process may be killed at any moment: the
kernel then releases its locks, and nothing in the memory is worth more than the next request.
"""

import fcntl
import mmap
import os
import struct

_SHARE = struct.Struct("@II")  # open connections, accepted ones
_MASK = _OUT = 0xFFFFFFFF
_LOG, _LIMITS = range(2)


class Lock:
    """A lock between processes; a context manager. Threads of one process are not kept apart."""

    def __init__(self, descriptor: int, place: int) -> None:
        self._descriptor, self._place = descriptor, place

    def __enter__(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, self._place)

    def __exit__(self, *error: object) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._place)


class Locks:
    """The locks of one service."""

    def __init__(self) -> None:
        descriptor = os.memfd_create("fenestra-locks")
        self.log = Lock(descriptor, _LOG)
        """Held while a line of the log is written."""
        self.limits = Lock(descriptor, _LIMITS)
        """Held while requests of a client are counted."""


class Shares:
    """What each worker has of all connections, and which workers accept any; a place for each."""

    def __init__(self, places: int) -> None:
        self._memory = mmap.mmap(-1, places * _SHARE.size)
        for place in range(places):
            self.leave(place)

    def set(self, place: int, connections: int, accepted: int) -> None:
        """Say that a worker accepts connections, how many are open, and how many it has ever accepted."""
        _SHARE.pack_into(self._memory, place * _SHARE.size, connections, accepted & _MASK)

    def leave(self, place: int) -> None:
        """Say that there is no worker of that place, or that it accepts no connections."""
        self.set(place, _OUT, 0)

    def least(self) -> int:
        """The fewest open connections that a worker which accepts any has."""
        counts: list[int] = [count for count, _ in _SHARE.iter_unpack(self._memory)]
        return min(counts)

    def mean(self) -> float:
        """The mean of what workers have that accept any; 0 if none does."""
        counts = [count for count, _ in _SHARE.iter_unpack(self._memory) if count != _OUT]
        return sum(counts) / len(counts) if counts else 0.0

    def accepted(self) -> int:
        """How many connections have been accepted by all workers; it changes whenever one is."""
        counts: list[int] = [count for _, count in _SHARE.iter_unpack(self._memory)]
        return sum(counts)
