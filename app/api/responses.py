"""Sends responses in pieces, so that a slow client slows the sender down and a disconnect is noticed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fenestra.app.engine.jobs import ClientGone, Pieces
from fenestra.app.engine.service import Service, service_of

CLIENT_CLOSED_REQUEST = 499
"""The status in metrics of a request whose client has disconnected; nobody receives it (the number is nginx's)."""
PIECE_BYTES = 64 * 1024
"""Sent at once: a single write would be buffered whole, whether the client reads it or not."""


class PiecewiseResponse(Response):
    """A JSON response that stops when the client disconnects, and counts it; its bytes are counted until then."""

    media_type = "application/json"

    def __init__(self, pieces: Pieces, is_disconnected: Callable[[], bool], service: Service) -> None:
        super().__init__()
        self._left = sum(map(len, pieces))
        self._pieces = pieces
        self._is_disconnected = is_disconnected
        self._metrics = service.metrics
        self._memory = service.memory
        self.headers["content-length"] = str(self._left)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, as ASGI defines it."""
        self._memory.take(self._left)
        try:
            await self._send(send)
        finally:
            self._memory.give(self._left)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in cut(self._pieces):
            more = len(piece) < self._left
            await send({"type": "http.response.body", "body": piece, "more_body": more})
            self._left -= len(piece)
            self._memory.give(len(piece))
            if more:
                await asyncio.sleep(0)  # a write to a reset connection returns at once: let the loop notice
            if self._is_disconnected():
                self._metrics.cancelled()
                return


async def respond(request: Request, body: Awaitable[Pieces], headers: Mapping[str, str] | None = None) -> Response:
    """Send a response when its body is there, unless the client has disconnected."""
    service = service_of(request)
    try:
        response = PiecewiseResponse(await body, disconnect_check(request.scope), service)
    except ClientGone:
        return client_gone(service)
    response.headers.update(headers or {})
    return response


def client_gone(service: Service) -> Response:
    """Count a request whose client has disconnected; nobody receives the response."""
    service.metrics.cancelled()
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def cut(pieces: Pieces) -> Iterator[bytes]:
    """Pieces of the size in which they are sent, at least one; those that are taken are dropped.

    >>> list(cut([b"abc", b"def"]))
    [b'abcdef']
    """
    pieces.reverse()
    while True:
        group, size = [], 0
        while pieces and size < PIECE_BYTES:
            group.append(pieces.pop())
            size += len(group[-1])
        joined = b"".join(group)
        yield joined[:PIECE_BYTES]
        if size > PIECE_BYTES:
            pieces.append(joined[PIECE_BYTES:])
        if not pieces:
            return


def disconnect_check(scope: Scope) -> Callable[[], bool]:
    """The function that tells whether the client has disconnected; under another server, it is always False."""
    check: Callable[[], bool] = scope.get("state", {}).get("is_disconnected", _never)
    return check


def _never() -> bool:
    return False
