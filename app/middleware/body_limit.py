"""What stands in front of every route: a name for the request, and an end to its body.

Both are plain ASGI: they see the bytes as they come and hide nothing of the connection from the routes.
"""

import re
import secrets
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fenestra.app.errors import Problem
from fenestra.app.observability.metrics import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NOSNIFF = (b"x-content-type-options", b"nosniff")
STREAMS = frozenset({"/tag/stream"})
"""Paths whose body has no end that anybody could announce. Their routes limit its lines."""


class RequestId:
    """Give every request an id, the client's own if it is harmless, and send it back with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = choose_id([value for name, value in scope["headers"] if name == b"x-request-id"])
        scope.setdefault("state", {})["request_id"] = identifier
        own = ((b"x-request-id", identifier.encode()), NOSNIFF)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        await self._app(scope, receive, send_with_id)


def choose_id(sent: Sequence[bytes]) -> str:
    """Take the client's id if there is exactly one and it can do no harm in a log; else make one.

    >>> choose_id([b"order-66"])
    'order-66'
    """
    if len(sent) == 1 and _REQUEST_ID.fullmatch(identifier := sent[0].decode("latin-1")):
        return identifier
    return new_id()


def new_id() -> str:
    """Make an id that nobody else has: 16 hex digits."""
    return secrets.token_hex(8)


class BodyLimit:
    """Refuse a body that is longer than allowed, or not as long as announced.

    The refusal comes out of the first read that shows it, as :class:`fenestra.app.errors.Problem`. So an announced
    length is refused before a byte is read, chunks are refused at the first byte too many, both with the same
    answer, and a route that never reads its body has checked the headers first.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "http" or scope["path"] in STREAMS:
            await self._app(scope, receive, send)
            return
        announced = _announced(scope)
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            if announced is not None and announced > self._max_bytes:
                raise self._too_large()
            message = await receive()
            if message["type"] != "http.request":
                return message
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise self._too_large()
            if announced is not None and not message.get("more_body", False) and read != announced:
                raise Problem("bad_json", "the body is not as long as its Content-Length says")
            return message

        await self._app(scope, receive_within_limit, send)

    def _too_large(self) -> Problem:
        self._metrics.refused("too_large")
        # What is left unread would be taken for the next request, so this connection ends here.
        message = f"the body is larger than {self._max_bytes} bytes"
        return Problem("too_large", message, headers={"Connection": "close"})


def _announced(scope: Scope) -> int | None:
    """The Content-Length, if there is one that is a number; servers refuse the others."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(length) if length.isdigit() and len(length) < 20 else None
