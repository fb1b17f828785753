"""Limits the size of a request body, before any route reads it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fenestra.app.errors import Problem
from fenestra.app.observability.metrics import Metrics

STREAMS = frozenset({"/tag/stream"})
"""Paths whose body may be of any length. Their routes limit each line."""


class BodyLimitMiddleware:
    """Refuse a body that is longer than allowed, or not as long as its Content-Length.

    The refusal is raised by the first read that shows it, as :class:`fenestra.app.errors.Problem`. So a Content-Length
    over the limit is refused before a byte is read, chunks are refused at the first byte over the limit, both with the
    same response, and a route that never reads its body has checked the headers first.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] != "http" or scope["path"] in STREAMS:
            await self._app(scope, receive, send)
            return
        content_length = _content_length(scope)
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            if content_length is not None and content_length > self._max_bytes:
                raise self._too_large()
            message = await receive()
            if message["type"] != "http.request":
                return message
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise self._too_large()
            if content_length is not None and not message.get("more_body", False) and read != content_length:
                raise Problem("bad_json", "the body is not as long as its Content-Length says")
            return message

        await self._app(scope, receive_within_limit, send)

    def _too_large(self) -> Problem:
        self._metrics.refused("too_large")
        # The rest of the body, unread, would be parsed as the next request: so this connection ends here.
        message = f"the body is larger than {self._max_bytes} bytes"
        return Problem("too_large", message, headers={"Connection": "close"})


def _content_length(scope: Scope) -> int | None:
    """The Content-Length if it is a number; the server refuses any other."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(length) if length.isdigit() and len(length) < 20 else None
