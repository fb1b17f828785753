"""What all connections share: the list of them, their limit, and one sweep that enforces all deadlines.

A sweep over all connections every quarter of a second replaces a timer for each phase of each request: a request only
records when its phases begin, so its deadlines cost next to nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.types import Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fenestra.app.engine.loop_work import LoopWork
from fenestra.app.errors import log
from fenestra.app.http.deadlines import Phase, PhaseTimer
from fenestra.app.http.direct import DirectHandler
from fenestra.app.http.known_heads import KnownHeads
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings

_SWEEP_SECONDS = 0.25
_SHED_LINE_SECONDS = 1.0


class RegisteredConnection(Protocol):
    """What the registry needs of a connection."""

    timer: PhaseTimer

    def check_deadlines(self, now: float) -> None:
        """Close the connection if its client is slower than allowed."""

    def has_unread_input(self) -> bool:
        """Whether bytes have arrived that the event loop has not read yet."""

    def announce_close(self) -> None:
        """Make the last response that is due say that it is the last one."""

    def close_if_idle(self) -> None:
        """Close, if no request is being read or answered."""

    def abort(self) -> None:
        """Close at once."""


class ConnectionRegistry:
    """Keeps the list of connections. Lives on one event loop, whose clock all times are taken from."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        overloaded: Callable[[], bool] = lambda: False,
        work: LoopWork | None = None,
    ) -> None:
        """Create an empty registry.

        Args:
            settings: of the service.
            metrics: counts what is refused.
            overloaded: whether the next request to the model would be refused; called often.
            work: gives connections their turns when they have much to parse.
        """
        self.work = work or LoopWork()
        self.settings = settings
        self.metrics = metrics
        self.overloaded = overloaded
        self.max_connections = settings.max_connections
        self.direct: DirectHandler | None = None
        """Answers requests without ASGI; None if none may be."""
        self.known_heads = KnownHeads()
        self.proxies: ProxyHeadersMiddleware | None = None
        """Reads what trusted proxies say of the client, where there are any; uvicorn does it for ASGI."""
        self.draining = False
        self.open: set[RegisteredConnection] = set()
        self._idle: dict[RegisteredConnection, float] = {}  # without a request, longest first, and since when
        self._sweeping = False
        self._shed_requests = 0  # since the last line of the log
        self._next_shed_line = 0.0
        self._to_send_away = 0
        self.on_count: Callable[[int], None] = lambda _: None
        """Called with the number of open connections whenever it changes."""
        metrics.connections(lambda: len(self.open))

    def add(self, connection: RegisteredConnection) -> None:
        """Register a new connection, and close another one if there are too many."""
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
        self.open.add(connection)
        self.on_count(len(self.open))
        if len(self.open) > self.max_connections:
            self._evict(connection)
        self.mark_idle(connection, asyncio.get_running_loop().time())

    def remove(self, connection: RegisteredConnection) -> None:
        """Forget a connection that is closed."""
        self.open.discard(connection)
        self.on_count(len(self.open))
        self._idle.pop(connection, None)

    def mark_idle(self, connection: RegisteredConnection, now: float) -> None:
        """Note that a connection has no request in progress."""
        self._idle[connection] = now

    def mark_active(self, connection: RegisteredConnection) -> None:
        """Note that a connection has a request in progress."""
        self._idle.pop(connection, None)

    def count_shed(self, scope: Scope) -> None:
        """Count a request that was refused without a task; all of a second share one line of the log."""
        self._shed_requests += 1
        self.metrics.refused("overloaded")
        self.metrics.answered(scope, 503, 0.0)

    def drain(self) -> None:
        """From now on every response is the last one of its connection."""
        self.draining = True
        for connection in tuple(self.open):
            connection.announce_close()

    def send_away(self, count: int) -> None:
        """Let the next so many requests on connections that stay open be their last ones: the clients connect again."""
        self._to_send_away = count

    def ends_connection(self) -> bool:
        """Whether a request that comes now is to be the last one of its connection."""
        if self.draining or not self._to_send_away:
            return self.draining
        self._to_send_away -= 1
        return True

    def close_idle(self, seconds: float) -> None:
        """Close connections that have been idle for so long and have no unread input."""
        idle_since = asyncio.get_running_loop().time() - seconds
        for connection, since in tuple(self._idle.items()):
            if since <= idle_since and not connection.has_unread_input():
                connection.close_if_idle()

    def abort_all(self) -> None:
        """Close all connections at once."""
        for connection in tuple(self.open):
            connection.abort()

    def _sweep(self) -> None:
        """Enforce all deadlines, and write the line of the log for shed requests."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self.open):
            connection.check_deadlines(now)
        if self._shed_requests and now >= self._next_shed_line:
            log.warning("overloaded: %d requests refused", self._shed_requests)
            self._shed_requests, self._next_shed_line = 0, now + _SHED_LINE_SECONDS
        if self.open or self._shed_requests:
            loop.call_later(_SWEEP_SECONDS, self._sweep)
        else:
            self._sweeping = False

    def _evict(self, newest: RegisteredConnection) -> None:
        """Close the connection that does the least harm.

        First choice is the one that has been without a request for the longest time, silent or slow with its head: so
        probes always get in. Second is the one whose body has been on its way for the longest time. If all requests
        are being answered, it is the new connection: what was accepted is never dropped for what was not.
        """
        victim = next((connection for connection in self._idle if not connection.has_unread_input()), None)
        if victim is None:
            receiving = (connection for connection in self.open if connection.timer.phase is Phase.BODY)
            victim = min(receiving, key=lambda connection: connection.timer.since, default=newest)
        self.metrics.refused("connections")
        victim.abort()
