"""The windows of the rate limit, in memory that all workers share.

A table of fixed size: a client's window hashes to one of its buckets, and takes the place there that expired longest
ago, or expires first. A request is counted in one place in a few microseconds, under a lock that the kernel releases
when the process that holds it is killed.
"""

import mmap
import os
import struct
import time
from hashlib import blake2b

from fenestra.app.middleware.rate_limit import BoundedWindowStorage
from fenestra.app.workers.shared import Lock

_PLACE = struct.Struct("@QdQ")  # hash of the window, when it expires in seconds since 1970, requests
_PLACES = 8  # in a bucket
_BUCKET_BYTES = _PLACES * _PLACE.size


class SharedWindowStorage(BoundedWindowStorage):
    """Storage for :mod:`limits`, of one limit for several processes. The supervisor makes it before it forks."""

    def __init__(self, max_windows: int, lock: Lock) -> None:
        """Make room for so many windows; ``lock`` is held while one is read and written."""
        super().__init__(max_windows)
        self._buckets = -(-max_windows // _PLACES)
        self._memory = mmap.mmap(-1, self._buckets * _BUCKET_BYTES)
        self._lock = lock
        self._secret = os.urandom(16)  # or clients could choose addresses that take each other's places

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count if the weighted sum of this window and the previous one stays within the limit."""
        with self._lock:
            return super().acquire_sliding_window_entry(key, limit, expiry, amount)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in a window that expires after ``expiry`` seconds; evict another one of its bucket if that is full."""
        now = time.time()
        name, places = self._find(key)
        place, (_, expires, count) = next((found for found in places if found[1][0] == name), (-1, (0, 0.0, 0)))
        if place < 0 or expires <= now:
            if place < 0:
                place = min(places, key=lambda found: found[1][1])[0]
            count, expires = 0, now + expiry
        _PLACE.pack_into(self._memory, place, name, expires, count + amount)
        return count + amount

    def get(self, key: str) -> int:
        """The count of a window."""
        _, expires, count = self._window(key)
        return count if expires > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When a window expires, in seconds since 1970."""
        return self._window(key)[1]

    def reset(self) -> int:
        """Remove all windows; returns how many."""
        held = [expires > time.time() for _, expires, _ in _PLACE.iter_unpack(self._memory)].count(True)
        self._memory[:] = bytes(len(self._memory))
        return held

    def clear(self, key: str) -> None:
        """Remove a window."""
        name, places = self._find(key)
        for place, (found, _, _) in places:
            if found == name:
                _PLACE.pack_into(self._memory, place, 0, 0.0, 0)

    def _window(self, key: str) -> tuple[int, float, int]:
        name, places = self._find(key)
        return next((window for _, window in places if window[0] == name), (0, 0.0, 0))

    def _find(self, key: str) -> tuple[int, list[tuple[int, tuple[int, float, int]]]]:
        """The hash of a window that is never 0, and the places of its bucket with what is there."""
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        name = int.from_bytes(digest, "little") or 1
        begin = name % self._buckets * _BUCKET_BYTES
        bucket = self._memory[begin : begin + _BUCKET_BYTES]
        return name, [(begin + _PLACE.size * at, window) for at, window in enumerate(_PLACE.iter_unpack(bucket))]
