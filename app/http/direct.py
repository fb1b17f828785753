"""A request that is answered without ASGI: no task, no messages, one write.

Who answers decides by the head whether it takes a request (:class:`DirectHandler`). It gets the body when that is
complete, and gives the whole response back, at once or later. All else is as for any other request: the exchange
stands in the pipeline of its connection, and the same deadlines and limits hold.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Protocol

from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from fenestra.app.errors import Problem, log
from fenestra.app.http.exchange import ResponseTransport

Header = tuple[bytes, bytes]
_LINE = b"%b: %b\r\n"
CLOSE = (b"connection", b"close")
"""The header of the last response of a connection."""


class DirectAnswer(Protocol):
    """Answers one request. Each method may respond."""

    def begin(self) -> None:
        """Check the head."""

    def read(self, body: bytes) -> None:
        """Take the body."""

    def fail(self, problem: Problem) -> None:
        """Take note that the rest of the body will not come."""

    def disconnect(self) -> None:
        """Take note that the client has disconnected."""

    def cut_off(self) -> None:
        """Stop: the service ends."""


class DirectHandler(Protocol):
    """Answers requests without ASGI."""

    def takes(self, scope: HTTPScope) -> bool:
        """Whether it answers a request with such a head."""

    def new_answer(self, exchange: "DirectExchange") -> DirectAnswer:
        """What will answer a request that it takes."""


class _Done:
    """Stands in for the answer to a request for which nothing is left to do."""

    def begin(self) -> None:
        """Do nothing."""

    def read(self, body: bytes) -> None:
        """Do nothing."""

    def fail(self, problem: Problem) -> None:
        """Do nothing."""

    def disconnect(self) -> None:
        """Do nothing."""

    def cut_off(self) -> None:
        """Do nothing."""


_DONE = _Done()


async def read_nothing(_scope: object, _receive: object, _send: object) -> None:
    """An application that does nothing, for middleware that is of interest for what it does to the scope."""


def read_proxy_headers(proxies: ProxyHeadersMiddleware, scope: HTTPScope) -> None:
    """Put into a scope what trusted proxies say of the client, as uvicorn does.

    Args:
        proxies: uvicorn's middleware around :func:`read_nothing`: so it never waits.
        scope: of a request.
    """
    with suppress(StopIteration):
        proxies(scope, _never, _never).send(None)


async def _never(*_: object) -> Any:  # noqa: ANN401
    raise RuntimeError("nothing is received or sent here")


class DirectExchange:
    """One request and its response."""

    __slots__ = (
        "_answer",
        "_body",
        "_default_headers",
        "_hand_over",
        "_on_response",
        "_pending",
        "_transport",
        "disconnected",
        "keep_alive",
        "persistent",
        "response_complete",
        "response_started",
        "scope",
    )

    def __init__(
        self,
        scope: HTTPScope,
        handler: DirectHandler,
        transport: ResponseTransport,
        *,
        default_headers: list[Header],
        keep_alive: bool,
        persistent: bool,
        pending: set[Any],
        on_response: Callable[[], None],
        hand_over: Callable[["DirectExchange", ASGI3Application], None],
    ) -> None:
        """Begin with a request whose head is complete.

        Args:
            scope: as of ASGI.
            handler: takes it.
            transport: the response is written to it.
            default_headers: of every response.
            keep_alive: whether the connection stays open after the response.
            persistent: whether it may, unless the service stops.
            pending: holds this as long as it is not done, as it holds tasks; a stop cancels them.
            on_response: called when the response is complete.
            hand_over: lets an ASGI application give the response instead.
        """
        self.scope = scope
        self.keep_alive = keep_alive
        self.persistent = persistent
        self.response_started = self.response_complete = self.disconnected = False
        self._transport = transport
        self._default_headers = default_headers
        self._pending = pending
        self._on_response = on_response
        self._hand_over = hand_over
        self._body = b""
        self._answer: DirectAnswer = handler.new_answer(self)

    def start(self) -> None:
        """Have the head checked; the body is still to come."""
        self._pending.add(self)
        self._answer.begin()

    def done(self) -> None:
        """Take note that nothing is left to do for the request."""
        self._pending.discard(self)
        self._answer = _DONE  # which does not refer to this: no work for the garbage collector

    def add_body(self, piece: bytes) -> int:
        """Take a piece of the body; returns how many bytes it has so far."""
        self._body += piece
        return len(self._body)

    def complete_body(self) -> None:
        """Have the request answered: its body is complete."""
        if not self.response_complete:
            body, self._body = self._body, b""
            self._answer.read(body)

    def fail(self, fault: Problem) -> None:
        """Have the request refused: its body is broken. The response is the last of the connection."""
        self.end_connection()
        self._answer.fail(fault)

    def end_connection(self) -> None:
        """Make this the last exchange of its connection."""
        self.persistent = self.keep_alive = False

    def disconnect(self) -> None:
        """Take note that the client has disconnected."""
        self.disconnected = True
        self._answer.disconnect()

    def cancel(self) -> None:
        """Cut the request off, as a task is."""
        log.info("a request was cut off by the stop")
        self._answer.cut_off()
        if not (self.response_complete or self.disconnected):
            self._transport.close()

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Send the whole response, unless the client has disconnected.

        Args:
            status: of HTTP.
            headers: beside the default ones, names in lower case.
            body: as long as the headers say.
        """
        if self.disconnected:
            return
        self.response_started = True
        every = [*self._default_headers, *headers]
        if CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            every.append(CLOSE)
        lines = (_LINE * len(every)) % tuple(chain.from_iterable(every))
        self._transport.write(b"".join((STATUS_LINE[status], lines, b"\r\n", body)))
        self.response_complete = True
        if not self.keep_alive:
            self._transport.close()
        self._on_response()

    def hand_over(self, app: ASGI3Application) -> None:
        """Let an ASGI application respond, for a response that is large or has to be made piece by piece."""
        self.done()
        self._hand_over(self, app)
