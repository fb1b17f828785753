"""Answers plain requests of ``POST /tag`` without ASGI, which costs several times as much as finding the entities.

A plain request is one small JSON body of a known length that is sent as it is, by no web page. All others go through
the application, with the same checks in the same order: both ways call the same functions, and to a client they look
the same (``tests/app/test_direct.py``).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fenestra.app.api.json_body import is_media_type
from fenestra.app.api.reading import PlainLimits, read_now
from fenestra.app.api.responses import CLIENT_CLOSED_REQUEST, PIECE_BYTES, PiecewiseResponse, disconnect_check
from fenestra.app.api.schemas import TagRequest
from fenestra.app.api.tagging import LONG_BYTES, SHORT_BYTES, begin_tagging
from fenestra.app.engine.jobs import ClientGone, Job, Pieces
from fenestra.app.engine.service import Service
from fenestra.app.errors import Problem, closed_early, unexpected
from fenestra.app.middleware.admission import Admission
from fenestra.app.middleware.compression import CompressionMiddleware
from fenestra.app.middleware.observe import Observer
from fenestra.app.middleware.request_id import NOSNIFF, identify, with_id
from fenestra.app.observability.route_names import RouteTemplate

Header = tuple[bytes, bytes]

_PATH = "/tag"
_ROUTE = RouteTemplate(_PATH)
_JSON = (b"content-type", b"application/json")
_NOT_PLAIN = frozenset({b"origin", b"content-encoding", b"transfer-encoding", b"expect"})


class DirectExchange(Protocol):
    """One request and its response: what is needed of :class:`fenestra.app.http.direct.DirectExchange`."""

    scope: Any
    disconnected: bool

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Send the whole response, unless the client has disconnected."""

    def hand_over(self, app: ASGIApp) -> None:
        """Let an ASGI application respond."""

    def done(self) -> None:
        """Take note that nothing is left to do for the request."""


class DirectTagging:
    """Answers plain requests of ``POST /tag``. Lives on the event loop."""

    def __init__(self, service: Service, admission: Admission, observer: Observer) -> None:
        """Share the checks of the application."""
        self.service = service
        self.admission = admission
        self.observer = observer
        self.limits = PlainLimits.of(service.settings)
        self.gzip_min_bytes = service.settings.gzip_min_bytes
        self.max_response_bytes = min(self.gzip_min_bytes or PIECE_BYTES, PIECE_BYTES)
        """A larger response may have to be compressed or sent in pieces: the application does that."""
        self._max_body_bytes = min(LONG_BYTES, service.settings.max_body_bytes)

    def takes(self, scope: Scope) -> bool:
        """Whether a request is plain, by its head."""
        if scope["method"] != "POST" or scope["path"] != _PATH:
            return False
        content_type = length = b""
        for name, value in scope["headers"]:
            if name in _NOT_PLAIN:
                return False
            if name == b"content-length":
                length = value
            elif name == b"content-type":
                if content_type:
                    return False
                content_type = value
        if not (length.isdigit() and len(length) < 6 and int(length) <= self._max_body_bytes):
            return False
        return content_type == _JSON[1] or is_media_type(content_type.decode("latin-1"))

    def new_answer(self, exchange: DirectExchange) -> "DirectAnswer":
        """What answers one request."""
        return DirectAnswer(self, exchange)


class DirectAnswer:
    """Answers one request."""

    __slots__ = ("_began", "_ended", "_exchange", "_identifier", "_job", "_read", "_scope", "_shared")

    def __init__(self, shared: DirectTagging, exchange: DirectExchange) -> None:
        self._shared = shared
        self._exchange = exchange
        self._scope: Scope = exchange.scope
        self._job: Job | None = None
        self._read = self._ended = False

    def begin(self) -> None:
        """Check the head."""
        scope, shared = self._scope, self._shared
        scope["route"] = _ROUTE
        self._identifier = identify(scope)
        self._began = shared.observer.begin(scope)
        try:
            shared.admission.check(scope)
        except Problem as problem:
            self._send_error(problem.response_to(scope))

    def read(self, body: bytes) -> None:
        """Take the body, and parse it: at once if it is short, else in turn with other work."""
        self._read = True
        if len(body) <= SHORT_BYTES:
            self._tag(body)
        else:
            self._shared.service.work.soon(partial(self._tag, body))

    def fail(self, problem: Problem) -> None:
        """Refuse a request whose body is broken."""
        if not self._ended:
            self._report(problem)

    def disconnect(self) -> None:
        """Give up on the body. If it is complete, the queue finds out that nobody waits for the answer."""
        if not (self._read or self._ended):
            self._report(closed_early())

    def cut_off(self) -> None:
        """Take the request out of the queue, and record that it got no response."""
        if self._job is not None:
            self._shared.service.inference.cancel(self._job)
        if not self._ended:
            self._end(0)

    def _tag(self, body: bytes) -> None:
        """Parse a body, and queue its request."""
        if self._ended:
            return
        service = self._shared.service
        try:
            request = read_now(TagRequest, body, service.settings, self._shared.limits)
            self._job = begin_tagging(service, request, self._scope, self._respond)
        except Exception as error:
            self._report(error)

    def _respond(self, pieces: Pieces | BaseException) -> None:
        """Send what the model found, or what went wrong."""
        if self._ended:
            return
        if isinstance(pieces, BaseException):
            assert isinstance(pieces, Exception)
            self._report(pieces)
            return
        shared, size = self._shared, sum(map(len, pieces))
        disconnected = self._exchange.disconnected
        if size >= shared.max_response_bytes and not disconnected:
            self._hand_over(PiecewiseResponse(pieces, disconnect_check(self._scope), shared.service))
            return
        self._send(200, [(b"content-length", b"%d" % size), _JSON], b"".join(pieces))
        if disconnected:
            shared.service.metrics.cancelled()

    def _hand_over(self, response: ASGIApp) -> None:
        """Send a large response as the application does: it may have to be compressed, or cut in pieces."""
        shared = self._shared
        if shared.gzip_min_bytes:
            response = CompressionMiddleware(response, min_bytes=shared.gzip_min_bytes)

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            await shared.observer.answer(response, scope, receive, with_id(send, self._identifier), self._began)

        self._ended, self._job = True, None
        self._exchange.hand_over(respond)

    def _report(self, error: Exception) -> None:
        """Refuse a request that cannot be served."""
        if isinstance(error, Problem):
            response = error.response_to(self._scope)
            if len(response.body) >= self._shared.max_response_bytes and not self._exchange.disconnected:
                self._hand_over(response)
            else:
                self._send_error(response)
        elif isinstance(error, ClientGone):
            self._shared.service.metrics.cancelled()
            self._end(CLIENT_CLOSED_REQUEST)
        else:
            self._send_error(unexpected(error, self._scope))

    def _send_error(self, response: Response) -> None:
        self._send(response.status_code, response.raw_headers, bytes(response.body))

    def _send(self, status: int, headers: list[Header], body: bytes) -> None:
        """Send a response, and record it."""
        self._exchange.respond(status, [*headers, (b"x-request-id", self._identifier.encode()), NOSNIFF], body)
        self._end(status)

    def _end(self, status: int) -> None:
        self._ended, self._job = True, None  # the job refers to this: no work for the garbage collector
        self._exchange.done()
        self._shared.observer.end(self._scope, status, self._began)
