"""Sends responses in pieces, so that a slow client slows the sender down and a disconnect is noticed."""

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fenestra.app.engine.service import Service

CLIENT_CLOSED_REQUEST = 499
"""The status in metrics of a request whose client has disconnected; nobody receives it (the number is nginx's)."""
_PIECE_BYTES = 64 * 1024  # a single write would be buffered whole, whether the client reads it or not


class PiecewiseResponse(Response):
    """A JSON response that stops when the client disconnects, and counts it; its bytes are counted until then."""

    media_type = "application/json"

    def __init__(self, content: bytes, is_disconnected: Callable[[], bool], service: Service) -> None:
        super().__init__(content)
        self._is_disconnected = is_disconnected
        self._metrics = service.metrics
        self._memory = service.memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, as ASGI defines it."""
        self._memory.take(len(self.body))
        try:
            await self._send(send)
        finally:
            self._memory.give(len(self.body))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for begin in range(0, len(body), _PIECE_BYTES):
            piece, end = body[begin : begin + _PIECE_BYTES], begin + _PIECE_BYTES
            await send({"type": "http.response.body", "body": bytes(piece), "more_body": end < len(body)})
            if end < len(body):
                await asyncio.sleep(0)  # a write to a reset connection returns at once: let the loop notice
            if self._is_disconnected():
                self._metrics.cancelled()
                return


def disconnect_check(scope: Scope) -> Callable[[], bool]:
    """The function that tells whether the client has disconnected; under another server, it is always False."""
    check: Callable[[], bool] = scope.get("state", {}).get("is_disconnected", _never)
    return check


def _never() -> bool:
    return False
