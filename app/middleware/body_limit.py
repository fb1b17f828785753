"""Limits the size of a request body, before any route reads it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fenestra.app.engine.memory import SMALL_BYTES, MemoryBudget
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

    def __init__(self, app: ASGIApp, max_bytes: int, metrics: Metrics, memory: MemoryBudget) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._memory = memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] != "http" or scope["path"] in STREAMS:
            await self._app(scope, receive, send)
            return
        announced = content_length(scope)
        read = taken = 0

        async def receive_within_limit() -> Message:
            nonlocal read, taken
            if announced is not None and announced > self._max_bytes:
                raise self._too_large()
            if announced is not None and announced > SMALL_BYTES and not taken:
                self._check_memory(announced)
            message = await receive()
            if message["type"] != "http.request":
                return message
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise self._too_large()
            if read > SMALL_BYTES:
                self._check_memory(read - taken)
                self._memory.take(read - taken)
                taken = read
            if announced is not None and not message.get("more_body", False) and read != announced:
                raise Problem("bad_json", "the body is not as long as its Content-Length says")
            return message

        try:
            await self._app(scope, receive_within_limit, send)
        finally:
            self._memory.give(taken)

    def _check_memory(self, size: int) -> None:
        """Refuse a large body when those of all clients together take too much.

        Raises:
            Problem: ``overloaded``.
        """
        if not self._memory.fits(size):
            self._metrics.refused("overloaded")
            message = "too many large requests at once; try again in a moment"
            raise Problem("overloaded", message, headers={"Connection": "close"})

    def _too_large(self) -> Problem:
        self._metrics.refused("too_large")
        # The rest of the body, unread, would be parsed as the next request: so this connection ends here.
        message = f"the body is larger than {self._max_bytes} bytes"
        return Problem("too_large", message, headers={"Connection": "close"})


def content_length(scope: Scope) -> int | None:
    """The Content-Length if it is a number; the server refuses any other."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(length) if length.isdigit() and len(length) < 20 else None
