"""What all connections share: who is open, who has been quiet for too long, and who goes when there are too many.

One look at all connections every quarter of a second replaces a timer for each phase of each request: a request only
leaves time stamps behind, and pays next to nothing for its deadlines.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope

from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings

log = logging.getLogger("uvicorn.error")

LOOK_SECONDS = 0.25
_SHED_LINE_SECONDS = 1.0


class Connection(Protocol):
    """What is asked of a connection."""

    since: float
    """When its present phase began."""

    @property
    def receiving(self) -> bool:
        """Whether the body of a request is still on its way."""

    def look(self, now: float) -> None:
        """Enforce the deadlines."""

    def unread(self) -> bool:
        """Whether something has come that nobody has looked at yet."""

    def last_call(self) -> None:
        """Say with the next answer that it is the last one."""

    def close_gently(self) -> None:
        """Close the connection once what was written is sent."""

    def abort(self) -> None:
        """Close it at once."""


class Desk:
    """Keeps the list of connections. Lives on one event loop, whose time all stamps are in."""

    def __init__(self, settings: Settings, metrics: Metrics, overloaded: Callable[[], bool] = lambda: False) -> None:
        """Open the desk.

        Args:
            settings: of the service.
            metrics: counts what is refused.
            overloaded: whether the next request to the model would be refused; asked often.
        """
        self.settings = settings
        self.metrics = metrics
        self.overloaded = overloaded
        self.most = settings.max_connections
        self.draining = False
        self.open: set[Connection] = set()
        self.idle: dict[Connection, float] = {}
        """Those without a request under way, the one that has been so longest first, and since when."""
        self._loop: asyncio.AbstractEventLoop | None = None  # none has come yet
        self._looking = False
        self._shed = 0
        metrics.connections(lambda: len(self.open))
        self._next_shed_line = 0.0

    def enter(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Take note of a new connection, and make room for it."""
        self._loop = loop
        if not self._looking:
            self._looking = True
            loop.call_later(LOOK_SECONDS, self._look)
        self.open.add(connection)
        if len(self.open) > self.most:
            self._make_room(connection)
        self.rest(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self.open.discard(connection)
        self.idle.pop(connection, None)

    def rest(self, connection: Connection) -> None:
        """Take note that nothing is under way on a connection."""
        assert self._loop is not None
        self.idle[connection] = self._loop.time()

    def stir(self, connection: Connection) -> None:
        """Take note that a request is under way."""
        self.idle.pop(connection, None)

    def count_shed(self, scope: Scope) -> None:
        """Take note of a request that was refused at the door; they get one line a second together."""
        self._shed += 1
        self.metrics.refused("overloaded")
        self.metrics.answered(scope, 503, 0.0)

    def drain(self) -> None:
        """From now on every answer is the last one of its connection."""
        self.draining = True
        for connection in tuple(self.open):
            connection.last_call()

    def close_quiet(self, seconds: float) -> None:
        """Close connections on which nothing has happened for so long, and nothing waits to be read."""
        before = self._loop.time() - seconds if self._loop else 0.0
        for connection, since in tuple(self.idle.items()):
            if since <= before and not connection.unread():
                connection.close_gently()

    def abort(self) -> None:
        """Close all connections at once."""
        for connection in tuple(self.open):
            connection.abort()

    def _look(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        for connection in tuple(self.open):
            connection.look(now)
        if self._shed and now >= self._next_shed_line:
            log.warning("overloaded: %d requests refused", self._shed)
            self._shed, self._next_shed_line = 0, now + _SHED_LINE_SECONDS
        if self.open or self._shed:
            self._loop.call_later(LOOK_SECONDS, self._look)
        else:
            self._looking = False

    def _make_room(self, newest: Connection) -> None:
        """Close the connection that is missed least.

        That is the one without a request under way for the longest time, be it silent or slow with its headers: so
        probes always get in. If there is none, it is the one whose body has been on its way for the longest time. If
        all are being answered, it is the new one: what was accepted is never dropped for what was not.
        """
        victim = next((connection for connection in self.idle if not connection.unread()), None)
        if victim is None:
            slow = (connection for connection in self.open if connection.receiving)
            victim = min(slow, key=lambda connection: connection.since, default=newest)
        self.metrics.refused("connections")
        victim.abort()
