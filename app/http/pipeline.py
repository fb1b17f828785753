"""The requests of one connection that are read and not answered yet, in order."""

from collections import deque

from fenestra.app.http.direct import DirectExchange
from fenestra.app.http.exchange import Exchange

MAX_PIPELINED = 128
"""Requests that may wait behind the one that is being answered."""


class Pipeline:
    """The exchange that is being answered, and those that wait behind it."""

    __slots__ = ("current", "waiting")

    def __init__(self) -> None:
        self.current: Exchange | DirectExchange | None = None
        self.waiting: deque[Exchange] = deque()

    @property
    def newest(self) -> Exchange | DirectExchange | None:
        """The exchange that was read last."""
        return self.waiting[-1] if self.waiting else self.current

    def start(self, exchange: Exchange | DirectExchange) -> bool:
        """Make an exchange the current one if there is none; returns whether it is."""
        if self.current is not None:
            return False
        self.current = exchange
        return True

    def append(self, exchange: Exchange) -> bool:
        """Let an exchange wait behind the current one.

        Returns:
            Whether there is room. If not, the newest one becomes the last of the connection.
        """
        before = self.newest
        assert before is not None
        if len(self.waiting) >= MAX_PIPELINED:
            before.end_connection()
            return False
        if not before.response_started:
            before.keep_alive = before.persistent  # it is no longer the last one
        self.waiting.append(exchange)
        return True

    def advance(self) -> Exchange | None:
        """Make the next exchange the current one, and return it."""
        self.current = following = self.waiting.popleft() if self.waiting else None
        return following
