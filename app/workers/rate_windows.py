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

_HASH_BYTES = 8
_PLACE = struct.Struct("@8sdQ")  # hash of the window, when it expires in seconds since 1970, requests
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
        name, bucket, place = self._find(key)
        count, expires = 0, 0.0
        if place >= 0:
            _, expires, count = _PLACE.unpack_from(self._memory, place)
        else:
            places = range(bucket, bucket + _BUCKET_BYTES, _PLACE.size)
            place = min(places, key=lambda at: _PLACE.unpack_from(self._memory, at)[1])
        if expires <= now:
            count, expires = 0, now + expiry
        count += amount
        _PLACE.pack_into(self._memory, place, name, expires, count)
        return count

    def get(self, key: str) -> int:
        """The count of a window."""
        expires, count = self._window(key)
        return count if expires > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When a window expires, in seconds since 1970."""
        return self._window(key)[0]

    def reset(self) -> int:
        """Remove all windows; returns how many."""
        held = [expires > time.time() for _, expires, _ in _PLACE.iter_unpack(self._memory)].count(True)
        self._memory[:] = bytes(len(self._memory))
        return held

    def clear(self, key: str) -> None:
        """Remove a window."""
        _, _, place = self._find(key)
        if place >= 0:
            _PLACE.pack_into(self._memory, place, b"", 0.0, 0)

    def _window(self, key: str) -> tuple[float, int]:
        """When a window expires, and its count."""
        _, _, place = self._find(key)
        if place < 0:
            return 0.0, 0
        _, expires, count = _PLACE.unpack_from(self._memory, place)
        return expires, count

    def _find(self, key: str) -> tuple[bytes, int, int]:
        """The hash of a window, where its bucket begins, and where the window is; -1 if it is not there."""
        name = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES, key=self._secret).digest()
        bucket = int.from_bytes(name, "little") % self._buckets * _BUCKET_BYTES
        place = self._memory.find(name, bucket, bucket + _BUCKET_BYTES)
        while place >= 0 and (place - bucket) % _PLACE.size:  # other numbers may look like it
            place = self._memory.find(name, place + 1, bucket + _BUCKET_BYTES)
        return name, bucket, place
