"""Bounds the memory that bodies and responses take while clients send and read them.

What waits for the model is bounded by the queue. What is still being received, and what is answered and not read yet,
is counted here in bytes, for all connections together.
"""

from collections.abc import Callable

SMALL_BYTES = 64 * 1024
"""Bodies up to this size always find room: small requests go on while large ones are refused."""


class MemoryBudget:
    """Counts bytes. Lives on the event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0
        """Bytes that are taken."""
        self.waiting = 0
        """Those of them that wait for room themselves: lines of streams that are still arriving, or not begun yet."""
        self.freed: Callable[[], None] = _nothing
        """Called when bytes are freed."""
        self.relieved: Callable[[], None] = _nothing
        """Called when most is free again after most was taken."""
        self._was_full = False

    @property
    def full(self) -> bool:
        """Whether nothing large may be taken."""
        return self.used >= self._limit

    @property
    def crowded(self) -> bool:
        """Whether what waits for room has to go on waiting: nothing large may be taken, and some of it will be freed.

        Once everything that is taken waits itself, one may begin: it frees nothing before, and all would wait for ever.
        """
        return self.full and self.used > self.waiting

    def fits(self, size: int) -> bool:
        """Whether there is room for so many more bytes."""
        return self.used + size <= self._limit

    def take(self, size: int) -> None:
        """Count bytes that are there already."""
        self.used += size
        self._was_full = self._was_full or self.used > self._limit // 2

    def give(self, size: int) -> None:
        """Count bytes that are freed."""
        self.used -= size
        if size:
            self.freed()
        if self._was_full and self.used <= self._limit // 4:
            self._was_full = False
            self.relieved()


def _nothing() -> None:
    """Nobody waits for memory yet."""
