"""How an answer leaves: in pieces, so that a slow client is waited for and one that hangs up is noticed."""

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fenestra.app.observability.metrics import Metrics

CLIENT_GONE = 499
"""The status of requests that nobody waits for any more; none is ever read (the number is nginx's)."""
_PIECE = 64 * 1024  # bytes; what is written at once is all buffered, whether it is read or not


class PacedResponse(Response):
    """A JSON answer that counts the clients who hang up on it."""

    media_type = "application/json"

    def __init__(self, content: bytes, *, gone: Callable[[], bool], metrics: Metrics) -> None:
        super().__init__(content)
        self._gone = gone
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, as ASGI has it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for begin in range(0, len(body), _PIECE):
            piece, end = body[begin : begin + _PIECE], begin + _PIECE
            await send({"type": "http.response.body", "body": bytes(piece), "more_body": end < len(body)})
            if end < len(body):
                await asyncio.sleep(0)  # writing to a connection that is reset does not wait: let the loop notice
            if self._gone():
                self._metrics.cancelled()
                return


def gone_of(scope: Scope) -> Callable[[], bool]:
    """What tells whether the client has hung up; under a server that does not say, nobody ever does."""
    gone: Callable[[], bool] = scope.get("state", {}).get("is_disconnected", _never)
    return gone


def _never() -> bool:
    return False
