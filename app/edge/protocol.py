"""HTTP/1.1 on one connection: what uvicorn's protocol does, and what it leaves to a proxy in front.

    IDLE ──first byte──▶ HEAD ──headers complete──▶ BODY ──last byte──▶ IDLE …
                           │                          │
                           └──── refused, or the last answer sent ────▶ LINGER ──▶ closed

Each phase has its deadline, heads have a size, and whatever is not plain HTTP is refused in the service's own words.
Answering goes on beside reading: the request that is being answered is `_answering`, further ones wait in `pipeline`.
"""

import asyncio
import enum
import fcntl
import math
import termios
from types import SimpleNamespace
from typing import Any, ClassVar, NoReturn, cast
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveEvent
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.edge.desk import Desk, log
from app.edge.keys import unauthorized
from app.edge.limits import choose_id, new_id
from app.edge.problems import STATUS, Problem
from app.edge.refusals import Canned, rendered

LINGER_SECONDS = 2.0
"""How long a closing connection goes on reading, for nothing but that its last answer arrives: a connection that is
closed with something unread is reset, and the answer lost."""
_CHUNK_BYTES = 20  # the size line of a chunk, and its end: no sender needs more
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding"})
_STREAM = "/tag/stream"
_SHED = frozenset({"/tag", "/explain"})
_ROUTES = {path: SimpleNamespace(path=path) for path in _SHED}
_OVERLOADED = Canned(Problem("overloaded", "too many requests are waiting; try again in a moment"))
_CLOSE = {"Connection": "close"}


class Phase(enum.Enum):
    """What is read next."""

    IDLE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    LINGER = enum.auto()


class _Stop(Exception):
    """Thrown through the parser to end its work."""


class Cycle(RequestResponseCycle):
    """One request and its answer. What goes wrong with the body comes out where the body is read."""

    fault: Problem | None = None
    persistent: bool = True
    """Whether the connection may go on afterwards, but for a stop of the service."""

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Have the request answered. An answer that breaks off ends the connection: nothing else would tell."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            log.info("a request was cut off by the stop")
        except Exception as error:  # app.sight.watch has logged where; its message may quote the user
            log.error("a request broke off with %s", type(error).__name__)
        if not (self.response_complete or self.disconnected):
            self.transport.close()
        self.on_response = _nothing

    async def receive(self) -> ASGIReceiveEvent:
        """Wait for a piece of the body.

        Raises:
            Problem: the rest of the body will not come, or is not HTTP.
        """
        message: ASGIReceiveEvent = {"type": "http.disconnect"}
        if self.fault is None:
            message = await super().receive()
        if self.fault is None or self.response_complete:
            return message
        if self.response_started:
            return {"type": "http.disconnect"}
        raise self.fault

    def fail(self, fault: Problem) -> None:
        """Let the route know that the body is broken; its answer is the last on this connection."""
        self.fault = fault
        self.persistent = self.keep_alive = False
        self.message_event.set()

    def hang_up(self) -> None:
        """Let the route know that nobody is there any more."""
        self.disconnected = True
        self.message_event.set()


class EdgeProtocol(HttpToolsProtocol):
    """One connection. See the module."""

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
        self._fault: tuple[Problem, str] | None = None
        self._feeding = 0  # bytes that are in the parser's hands
        self._head = 0  # bytes of the head, as far as it is parsed
        self._dropped = 0  # bytes of the body that nobody wanted
        self._pending = 0  # bytes of the head that came without completing it
        self._framing = 0  # bytes of chunks that are not body
        self._upgrade = False
        self._buffered, self._buffered_since = 0, 0.0

    # ── the connection ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(cast(asyncio.Transport, transport))
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
            self._refuse(_bad("the request ends within its headers"), "bad_request")
            return True
        if self.phase is Phase.BODY and not self._deaf:
            return self._break(_bad("the request ends within its body"), "bad_request")
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

    # ── reading ──

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        if self._deaf:
            return
        self._feeding = len(data)
        if self.phase is Phase.IDLE:
            self._begin_head(pending=0)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._give_up_parsing()
        else:
            self._measure()

    def _begin_head(self, pending: int) -> None:
        self.phase = Phase.HEAD
        self._head, self._pending = 0, pending
        if not self._fresh:
            self.since = self.loop.time()

    def _measure(self) -> None:
        """Limit what was read and is in nobody's hands yet."""
        if self._deaf:
            return
        if self.phase is Phase.HEAD:
            self._pending += self._feeding
            if self._pending > self._settings.max_header_bytes:
                self._fault = self._too_long()
                self._give_up_parsing()
        elif self.phase is Phase.BODY:
            self._framing += self._feeding
            if self._framing > self._settings.max_header_bytes:
                self._fault = self._too_long()
                self._give_up_parsing()

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        if self._deaf:
            raise _Stop
        super().on_message_begin()
        if self.phase is Phase.IDLE:  # behind another request, in the middle of what is fed; where, nobody says
            self._begin_head(pending=-self._feeding)
        self._dropping, self._dropped, self._upgrade = False, 0, False
        self.scope["state"]["gone"] = self.is_gone

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. What comes behind the body is counted and dropped: it could pass for a header."""
        self._count_head(len(name) + len(value) + 4)
        if self.phase is not Phase.HEAD:
            return
        name = name.lower()
        if name in _ONCE:
            self._check_header(name, value)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def _count_head(self, size: int) -> None:
        self._head += size
        if self._head > self._settings.max_header_bytes:
            self._fault = self._too_long()
            raise _Stop

    def _check_header(self, name: bytes, value: bytes) -> None:
        """Refuse what two readers could understand differently, beyond what the parser refuses itself."""
        if any(name == other for other, _ in self.headers):
            self._stop("a header that may come once comes twice")
        if name == b"transfer-encoding" and (value.lower() != b"chunked" or self.parser.get_http_version() == "1.0"):
            self._stop("this Transfer-Encoding is not understood")

    def on_headers_complete(self) -> None:
        """Begin to answer, now or when those before it are answered."""
        if self.parser.should_upgrade():
            self._upgrade = True
            return
        version = self.parser.get_http_version()
        self._complete_scope(version)
        self.phase, self.since = Phase.BODY, self.loop.time()
        self._framing = -self._feeding  # what is fed now is in part the head
        # An answer that comes instead of 100 leaves it open whether the body follows.
        keep_alive = version == "1.1" and self.parser.should_keep_alive() and not self.expect_100_continue
        if self._answering is None and self._shed(keep_alive):
            return
        self.desk.stir(self)
        cycle = self.cycle = Cycle(
            scope=self.scope,
            transport=cast(asyncio.Transport, self._out),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive and not self.desk.draining,
            on_response=self.on_response_complete,
        )
        cycle.persistent = keep_alive
        if self._answering is None:
            self._answering = cycle
            self._start_asgi_task(cycle, self.app)
        else:
            self._queue(cycle)

    def _complete_scope(self, version: str) -> None:
        """Fill in what the first line says.

        Raises:
            _Stop: it says something that is not served to anybody.
        """
        if version not in ("1.0", "1.1"):
            self._stop("only HTTP/1.1 and HTTP/1.0 are spoken here")
        host = next((value for name, value in self.headers if name == b"host"), None)
        if host is None and version == "1.1":
            self._stop("the Host header is missing")
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        url = httptools.parse_url(self.url)
        if url.path is None or (url.schema is not None and not _names(self.url, host)):
            self._stop("the request's target is for another host, or none")
        path = url.path.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""

    def _queue(self, cycle: Cycle) -> None:
        """Let a pipelined request wait for those before it."""
        self.flow.pause_reading()
        previous = self.pipeline[0][0] if self.pipeline else self._answering
        assert isinstance(previous, Cycle)
        if not previous.response_started:
            previous.keep_alive = previous.persistent  # it is not the last one any more
        self.pipeline.appendleft((cycle, self.app))

    def on_chunk_header(self) -> None:
        """Allow for the lines around a chunk."""
        self._framing -= _CHUNK_BYTES

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body, or drop it when the answer did not wait for it."""
        self._framing -= len(body)
        if self._deaf or self._upgrade:
            return
        cycle = self.cycle
        if self._dropping or cycle.response_complete:
            self._dropped += len(body)
            if self._dropped > self._settings.max_body_bytes:
                self._linger()
                raise _Stop
            return
        if self.scope["path"] == _STREAM:
            self.since = self.loop.time()
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        if self._deaf or self._upgrade:
            return
        self.phase, self.since, self._fresh = Phase.IDLE, self.loop.time(), False
        if self._dropping:
            self.desk.rest(self)
            return
        self.cycle.more_body = False
        if self.cycle.response_complete:
            self.desk.rest(self)
        else:
            self.cycle.message_event.set()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read a request that offers to change the protocol as if it did not: the parser stops behind such a head."""
        if self.scope.get("method") == "CONNECT" or self.parser.get_method() == b"CONNECT":
            self._refuse(_bad("this is no proxy"), "bad_request")
            return
        lines = [b"%s %s HTTP/1.1" % (self.parser.get_method(), self.url)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    # ── answering ──

    def _shed(self, keep_alive: bool) -> bool:
        """Under overload, refuse at the door, without the cost of a task.

        A client that does not read its refusals takes the long way, where it is waited for.

        Returns:
            Whether the request is refused; its body is dropped then.
        """
        path = self.scope["path"]
        if path not in _SHED or self.scope["method"] != "POST" or self.flow.write_paused:
            return False
        if self.desk.draining or not self.desk.overloaded():
            return False
        identifier = choose_id([value for name, value in self.headers if name == b"x-request-id"])
        headers = self.server_state.default_headers
        self.transport.write(_OVERLOADED.rendered(identifier, headers, close=not keep_alive))
        self.desk.count_shed({**self.scope, "route": _ROUTES[path]})
        self._dropping, self._dropped = True, 0
        if not keep_alive:
            self._linger()
        return True

    def on_response_complete(self) -> None:
        """Go on with the next request, if there is one."""
        self.server_state.total_requests += 1
        self._answering = None
        if self.phase is Phase.LINGER or self.transport.is_closing():
            return
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

    def _stop(self, message: str) -> NoReturn:
        """Refuse from within the parser."""
        self._fault = _bad(message), "bad_request"
        raise _Stop

    def _too_long(self) -> tuple[Problem, str]:
        """Where keys are asked for, a head of any size can only hold a wrong one."""
        if self._settings.api_keys and self.phase is Phase.HEAD:
            return unauthorized(), "unauthorized"
        most = self._settings.max_header_bytes
        message = f"the headers, or what is between the chunks, are larger than {most} bytes"
        return Problem("headers_too_large", message, headers=_CLOSE), "headers_too_large"

    def _give_up_parsing(self) -> None:
        """Refuse what cannot be read."""
        if self._deaf:  # it was the connection itself that stopped the parser
            return
        fault, reason = self._fault or (_bad("this is not valid HTTP"), "bad_request")
        if self.phase is Phase.BODY:
            self._break(fault, reason)
        else:
            self._refuse(fault, reason)

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
            self._refuse(_bad(f"the headers were not complete within {seconds:g} seconds"), "slow_client")
        else:
            seconds = self._settings.body_seconds
            self._break(_bad(f"the body was not complete within {seconds:g} seconds"), "slow_client")


class _Out:
    """What an answer sees of the connection: it may write, and say that it was the last."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, connection: EdgeProtocol) -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection._linger


def _nothing() -> None:
    """What is to be done when an answer is complete, after its task has ended."""


def _bad(message: str) -> Problem:
    return Problem("bad_request", message, headers=_CLOSE)


def _names(target: bytes, host: bytes | None) -> bool:
    """Whether a target that names its host names the one that the header does."""
    authority = target.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
    return host is not None and authority.lower() == host.lower()


def speaking_for(desk: Desk) -> type[EdgeProtocol]:
    """Make the protocol of all connections of one server."""
    return type("EdgeProtocol", (EdgeProtocol,), {"desk": desk})
