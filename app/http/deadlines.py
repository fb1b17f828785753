"""How long a client may take: for the head, for the body, between requests, and to read a response.

IDLE ──first byte──▶ HEAD ──headers complete──▶ BODY ──last byte──▶ IDLE …
                       │                          │
                       └──── refused, or the last response sent ──▶ LINGER ──▶ closed
"""

import enum
import math

from fenestra.app.settings import Settings

LINGER_SECONDS = 2.0
"""How long a closing connection goes on reading, so that its last response arrives: closing a connection with unread
input resets it, and the client loses the response."""


class Phase(enum.Enum):
    """What a connection reads next."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    LINGER = enum.auto()


class PhaseTimer:
    """The phase of reading that a connection is in, and since when. Times are the event loop's, in seconds."""

    __slots__ = ("_settings", "first_request", "phase", "since")

    def __init__(self, settings: Settings, now: float) -> None:
        self._settings = settings
        self.phase = Phase.IDLE
        self.since = now
        self.first_request = True
        """Whether no request has been read to its end yet."""

    def enter(self, phase: Phase, now: float) -> None:
        """Begin a phase. The head of the first request is timed from the start of the connection."""
        if not (phase is Phase.HEAD and self.first_request):
            self.since = now
        self.phase = phase

    def request_complete(self, now: float) -> None:
        """Wait for a further request."""
        self.first_request = False
        self.enter(Phase.IDLE, now)

    def limit(self, *, responding: bool) -> float:
        """How long the present phase may take, in seconds; an idle client that waits for a response has any time."""
        if self.phase is Phase.LINGER:
            return LINGER_SECONDS
        if self.phase is Phase.HEAD:
            return self._settings.header_seconds
        if self.phase is Phase.BODY:
            return self._settings.body_seconds
        if responding:
            return math.inf
        return self._settings.header_seconds if self.first_request else self._settings.keep_alive_seconds

    def expired(self, now: float, *, responding: bool) -> bool:
        """Whether the present phase has taken too long."""
        return now - self.since > self.limit(responding=responding)


class WriteTimer:
    """Notices that a client does not read: the bytes that wait to be sent stay the same.

    A client that reads slowly empties the buffers of two kernels first, in steps of megabytes. So ``size`` has to
    include what this machine's kernel holds, where every packet that the client's kernel takes is seen.
    """

    __slots__ = ("_limit", "_since", "_size")

    def __init__(self, limit: float) -> None:
        """Allow ``limit`` seconds without progress."""
        self._limit = limit
        self._size, self._since = 0, 0.0

    def expired(self, size: int, now: float) -> bool:
        """Note how many bytes wait to be sent; returns whether this has not changed for too long."""
        if size != self._size:
            self._size, self._since = size, now
            return False
        return size > 0 and now - self._since > self._limit
