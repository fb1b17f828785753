"""HTTP/1.1 as it is read here: strictly, within limits, and refused in the service's own words.

Most of what two readers could understand differently, and would then disagree on where a request ends, the parser
(llhttp) refuses itself; the rest is refused here.
"""

import asyncio
from types import SimpleNamespace
from typing import NoReturn, cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from fenestra.app.errors import Problem
from fenestra.app.http.connection import EdgeConnection, Phase, bad
from fenestra.app.http.exchange import Cycle
from fenestra.app.http.raw_responses import Canned
from fenestra.app.http.registry import Desk
from fenestra.app.middleware.api_keys import unauthorized
from fenestra.app.middleware.body_limit import STREAMS
from fenestra.app.middleware.request_id import choose_id

_CHUNK_BYTES = 20  # the size line of a chunk, and its end: no sender needs more
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding"})
_MOST_PIPELINED = 128  # requests that may wait behind the one that is being answered
_SHED = frozenset({"/tag", "/explain"})
_ROUTES = {path: SimpleNamespace(path=path) for path in _SHED}
_OVERLOADED = Canned(Problem("overloaded", "too many requests are waiting; try again in a moment"))
_CLOSE = {"Connection": "close"}


class _Stop(Exception):
    """Thrown through the parser to end its work."""


class EdgeProtocol(EdgeConnection):
    """A connection, with what is read from it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._fault: tuple[Problem, str] | None = None
        self._feeding = 0  # bytes that are in the parser's hands
        self._head = 0  # bytes of the head, as far as it is parsed
        self._dropped = 0  # bytes of the body that nobody wanted
        self._pending = 0  # bytes of the head that came without completing it
        self._framing = 0  # bytes of chunks that are not body
        self._upgrade = False

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        while data and not self._deaf:
            data = self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        """Parse some bytes; returns what is to be parsed anew."""
        self._feeding = len(data)
        if self.phase is Phase.IDLE:
            self._begin_head(pending=0)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._give_up_parsing()
        else:
            self._measure()
        return b""

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
        cycle.persistent, cycle.following = keep_alive, self.pipeline
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
        """Let a pipelined request wait for those before it, and read no further.

        Raises:
            _Stop: too many were sent at once; the last one that is answered says so by closing the connection.
        """
        self.flow.pause_reading()
        previous = self.pipeline[0][0] if self.pipeline else self._answering
        assert isinstance(previous, Cycle)
        if len(self.pipeline) >= _MOST_PIPELINED:
            previous.keep_alive = previous.persistent = False
            self._deaf = True
            raise _Stop
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
        if self.scope["path"] in STREAMS:
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

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """Read a request that offers to change the protocol as if it did not: the parser stops behind such a head.

        Args:
            rest: what came behind the head.

        Returns:
            The same request without the offer, and the rest.
        """
        if self.scope.get("method") == "CONNECT" or self.parser.get_method() == b"CONNECT":
            self._refuse(bad("this is no proxy"), "bad_request")
            return b""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._begin_head(pending=0)
        return b"\r\n".join([*lines, b"", rest])

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

    def _stop(self, message: str) -> NoReturn:
        """Refuse from within the parser."""
        self._fault = bad(message), "bad_request"
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
        fault, reason = self._fault or (bad("this is not valid HTTP"), "bad_request")
        if self.phase is Phase.BODY:
            self._break(fault, reason)
        else:
            self._refuse(fault, reason)


def _names(target: bytes, host: bytes | None) -> bool:
    """Whether a target that names its host names the one that the header does."""
    authority = target.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
    return host is not None and authority.lower() == host.lower()


def speaking_for(desk: Desk) -> type[EdgeProtocol]:
    """Make the protocol of all connections of one server."""
    return type("EdgeProtocol", (EdgeProtocol,), {"desk": desk})
