"""The life of one connection: its deadlines, its answers, its end.

    IDLE ──first byte──▶ HEAD ──headers complete──▶ BODY ──last byte──▶ IDLE …
                           │                          │
                           └──── refused, or the last answer sent ────▶ LINGER ──▶ closed

Each phase of reading has its deadline. Answering goes on beside it: the request that is being answered is
`_answering`, further ones wait in `pipeline`. What is read is the matter of :mod:`fenestra.app.http.protocol`.
"""

import asyncio
import enum
import fcntl
import math
import termios
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from fenestra.app.errors import STATUS, Problem
from fenestra.app.http.exchange import Cycle
from fenestra.app.http.raw_responses import rendered
from fenestra.app.http.registry import Desk, log
from fenestra.app.middleware.rate_limit import unmap_ipv4
from fenestra.app.middleware.request_id import new_id

LINGER_SECONDS = 2.0
"""How long a closing connection goes on reading, for nothing but that its last answer arrives: a connection that is
closed with something unread is reset, and the answer lost."""


class Phase(enum.Enum):
    """What is read next."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    LINGER = enum.auto()


class EdgeConnection(HttpToolsProtocol):
    """A connection, but for what is read from it."""

    desk: ClassVar[Desk]
    cycle: Cycle

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False  # its lines hold what was asked for, whoever has set up a handler for them
        self.phase = Phase.IDLE
        self.since = self.loop.time()
        self.gone = False
        """Whether the client has hung up."""
        self._settings = self.desk.settings
        self._fresh = True  # nothing was asked yet
        self._deaf = False  # what comes is dropped unread
        self._ended = False  # the client will send nothing more
        self._answering: Cycle | None = None
        self._dropping = False  # the present body belongs to a request that was answered without it
        self._last_words = b""  # to be said when all before it is answered
        self._buffered, self._buffered_since = 0, 0.0

    # ── the connection ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(cast(asyncio.Transport, transport))
        if self.client is not None:
            self.client = unmap_ipv4(self.client[0]), self.client[1]
        self._out = _Out(self)
        self.desk.enter(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still works for this client."""
        self._hang_up()
        self.desk.leave(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client will send nothing more.

        Returns:
            Whether the connection stays open: when a request was cut off, its refusal can still be read.
        """
        self._ended = True
        if self.phase is Phase.HEAD and not self._deaf:
            self._refuse(bad("the request ends within its headers"), "bad_request")
            return True
        if self.phase is Phase.BODY and not self._deaf:
            return self._break(bad("the request ends within its body"), "bad_request")
        if self._last_words or (self._answering is not None and self._answering.fault is not None):
            return True
        self._hang_up()
        return False

    def _hang_up(self) -> None:
        self.gone = True
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.hang_up()

    def is_gone(self) -> bool:
        """Tell whether the client has hung up; any thread may ask."""
        return self.gone

    # ── answering ──

    def on_response_complete(self) -> None:
        """Go on with the next request, if there is one."""
        self.server_state.total_requests += 1
        self._answering = None
        if self.phase is Phase.LINGER or self.transport.is_closing():
            return
        if len(self.pipeline) <= 1:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._answering = cast(Cycle, cycle)
            self._start_asgi_task(cycle, app)
        elif self._last_words:
            self._say_last(self._last_words)
        elif self.phase is not Phase.BODY:
            if self.phase is Phase.IDLE:
                self.since = self.loop.time()
            self.desk.rest(self)

    def _break(self, fault: Problem, reason: str) -> bool:
        """Give up on a body; what is wrong with it is told by the route, if it has not answered yet.

        Returns:
            Whether there is still an answer to come.
        """
        cycle = self.cycle
        self._deaf = True
        if self._dropping or cycle.response_complete:
            self._linger()
            return False
        self.desk.metrics.refused(reason)
        if cycle.response_started:
            cycle.hang_up()
            self._linger()
            return False
        cycle.fail(fault)
        return True

    def _refuse(self, problem: Problem, reason: str) -> None:
        """Answer a request that is not even one, when those before it are answered; nothing more is read."""
        self._deaf = True
        identifier = new_id()
        status = STATUS[problem.code]
        self.desk.metrics.refused(reason)
        self.desk.metrics.answered({"method": ""}, status, self.loop.time() - self.since)
        told = {"request_id": identifier, "status": status, "reason": reason}
        log.info("%(request_id)s refused %(status)d %(reason)s", told, extra=told)
        answer = rendered(problem, identifier, self.server_state.default_headers)
        if self._answering is None:
            self._say_last(answer)
        else:
            self._last_words = answer

    def _say_last(self, answer: bytes) -> None:
        self._last_words = b""
        self.transport.write(answer)
        self._linger()

    # ── closing ──

    def _linger(self) -> None:
        """Close when the client has read its last answer."""
        if self.phase is Phase.LINGER:
            return
        self.phase, self.since, self._deaf = Phase.LINGER, self.loop.time(), True
        self.pipeline.clear()
        self.desk.stir(self)
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._ended:
            self.transport.close()
        else:
            self.transport.write_eof()

    def last_call(self) -> None:
        """Say with the last answer that is due that it is the last one."""
        cycle = self.pipeline[0][0] if self.pipeline else self._answering
        if cycle is not None:
            cycle.keep_alive = False

    def close_gently(self) -> None:
        """Close, if nothing is under way."""
        if self.phase is Phase.IDLE and self._answering is None:
            self._linger()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    # ── deadlines ──

    @property
    def receiving(self) -> bool:
        """Whether a body is on its way."""
        return self.phase is Phase.BODY

    def unread(self) -> bool:
        """Whether bytes have come that nobody has looked at yet."""
        try:
            number = self.transport.get_extra_info("socket").fileno()
            waiting = fcntl.ioctl(number, termios.FIONREAD, bytes(4))
        except OSError:
            return False
        return waiting != bytes(4)

    def look(self, now: float) -> None:
        """Close the connection if its client is slower than allowed."""
        if self._leaves_unread(now):
            return
        if self.phase is Phase.LINGER:
            if now - self.since > LINGER_SECONDS:
                self.transport.abort()
        elif not self._deaf and now - self.since > self._patience(now) and not self.unread():
            self._lose_patience()

    def _leaves_unread(self, now: float) -> bool:
        """Whether an answer is on its way; a client that takes nothing of it for too long is cut off."""
        size = self.transport.get_write_buffer_size()
        if size != self._buffered:
            self._buffered, self._buffered_since = size, now
        elif size and now - self._buffered_since > self._settings.write_seconds:
            self.desk.metrics.refused("slow_client")
            log.info("closed a connection whose client does not read")
            self.transport.abort()
        return size > 0

    def _patience(self, now: float) -> float:
        """How long the present phase may take, in seconds."""
        if self.phase is Phase.HEAD:
            return self._settings.header_seconds
        if self.phase is Phase.BODY:
            if self.flow.read_paused:  # it is us who do not read
                self.since = now
            return self._settings.body_seconds
        if self._answering is not None:
            return math.inf
        return self._settings.header_seconds if self._fresh else self._settings.keep_alive_seconds

    def _lose_patience(self) -> None:
        if self.phase is Phase.IDLE:
            self.transport.close()
        elif self.phase is Phase.HEAD:
            seconds = self._settings.header_seconds
            self._refuse(bad(f"the headers were not complete within {seconds:g} seconds"), "slow_client")
        else:
            seconds = self._settings.body_seconds
            self._break(bad(f"the body was not complete within {seconds:g} seconds"), "slow_client")


class _Out:
    """What an answer sees of the connection: it may write, and say that it was the last."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, connection: EdgeConnection) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection._linger


def bad(message: str) -> Problem:
    """A refusal of what is not a request as it should be; the connection ends with it."""
    return Problem("bad_request", message, headers={"Connection": "close"})
