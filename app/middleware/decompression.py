"""Inflates request bodies that come as gzip, a bounded piece at a time.

A few kilobytes of gzip can hold gigabytes. So nothing is inflated that nobody has asked for: the body limit counts the
inflated bytes as they come, and refuses at the first one too many. A stream, which may have any length, is refused when
it grows by more than text ever does.
"""

import zlib
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fenestra.app.engine.loop_work import LoopWork
from fenestra.app.errors import Problem
from fenestra.app.middleware.body_limit import STREAMS, content_length
from fenestra.app.observability.metrics import Metrics

_PIECE_BYTES = 64 * 1024
_MAX_RATIO = 100  # of a stream; English text has 3, JSON of tokens 10, the same line again and again 60
_GZIP = 16 + zlib.MAX_WBITS


class DecompressionMiddleware:
    """Take ``Content-Encoding: gzip`` off a request; other encodings are left to the routes, which refuse them."""

    def __init__(self, app: ASGIApp, max_bytes: int, metrics: Metrics, work: LoopWork) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] == "http" and _encodings(scope) == [b"gzip"]:
            limit = None if scope["path"] in STREAMS else self._max_bytes
            receive = _Inflating(receive, self, limit, content_length(scope)).receive
            dropped = (b"content-encoding", b"content-length")
            scope["headers"] = [(name, value) for name, value in scope["headers"] if name not in dropped]
        await self._app(scope, receive, send)

    async def inflate(self, decompressor: "zlib._Decompress", raw: bytes) -> bytes:
        """Inflate one piece, in turn with other work."""
        return await self._work.in_turn(partial(decompressor.decompress, raw, _PIECE_BYTES))

    def too_large(self) -> Problem:
        """The refusal of a body that is too large; it counts it."""
        self._metrics.refused("too_large")
        message = "the body is too large, or grows too much when it is inflated"
        return Problem("too_large", message, headers={"Connection": "close"})


class _Inflating:
    """The body of one request."""

    def __init__(
        self, receive: Receive, middleware: DecompressionMiddleware, limit: int | None, announced: int | None
    ) -> None:
        self._receive = receive
        self._middleware = middleware
        self._limit = limit
        self._announced = announced or 0
        self._decompressor = zlib.decompressobj(_GZIP)
        self._raw, self._more, self._piece = b"", True, b""
        self._read = self._inflated = 0

    async def receive(self) -> Message:
        """The next piece of the inflated body.

        Raises:
            Problem: ``bad_json``: it is not one whole gzip file; ``too_large``.
        """
        if self._limit is not None and self._announced > self._limit:
            raise self._middleware.too_large()
        while True:
            if not self._raw and len(self._piece) < _PIECE_BYTES:  # a full piece may have left more inside
                if not self._more:
                    return self._end()
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._raw, self._more = message.get("body", b""), message.get("more_body", False)
                self._read += len(self._raw)
            await self._inflate()
            if self._piece:
                return {"type": "http.request", "body": self._piece, "more_body": True}

    async def _inflate(self) -> None:
        if self._decompressor.eof and self._raw:
            raise Problem("bad_json", "the body goes on behind its gzip data")
        try:
            self._piece = await self._middleware.inflate(self._decompressor, self._raw)
        except zlib.error:
            raise Problem("bad_json", "the body is not gzip, as its Content-Encoding says") from None
        self._raw = self._decompressor.unconsumed_tail or self._decompressor.unused_data
        self._inflated += len(self._piece)
        limit = self._limit
        if limit is None and self._inflated > _PIECE_BYTES + _MAX_RATIO * self._read:
            raise self._middleware.too_large()
        if limit is not None and self._read > limit:
            raise self._middleware.too_large()

    def _end(self) -> Message:
        if not self._decompressor.eof:
            raise Problem("bad_json", "the gzip data of the body ends too early")
        return {"type": "http.request", "body": b"", "more_body": False}


def _encodings(scope: Scope) -> list[bytes]:
    values = [value for name, value in scope["headers"] if name == b"content-encoding"]
    return [part.strip().lower() for value in values for part in value.split(b",")]
