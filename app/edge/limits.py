"""What stands in front of every route: a name for the request, and an end to its body.

Both are plain ASGI: they see the bytes as they come and hide nothing of the connection from the routes.
"""

import re
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.edge.problems import Problem

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class RequestId:
    """Give every request an id, the client's own if it is harmless, and send it back with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = choose_id(Headers(scope=scope).getlist("x-request-id"))
        scope.setdefault("state", {})["request_id"] = identifier

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = identifier
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, send_with_id)


def choose_id(sent: list[str]) -> str:
    """Take the client's id if there is exactly one and it can do no harm in a log; else make one.

    >>> choose_id(["order-66"])
    'order-66'
    """
    if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]):
        return sent[0]
    return secrets.token_hex(8)


class BodyLimit:
    """Refuse a body that is longer than allowed, or not as long as announced.

    The refusal comes out of the first read that shows it, as :class:`app.edge.problems.Problem`. So an announced
    length is refused before a byte is read, chunks are refused at the first byte too many, both with the same
    answer, and a route that never reads its body has checked the headers first.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _announced(Headers(scope=scope))
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
        # What is left unread would be taken for the next request, so this connection ends here.
        message = f"the body is larger than {self._max_bytes} bytes"
        return Problem("too_large", message, headers={"Connection": "close"})


def _announced(headers: Headers) -> int | None:
    """The Content-Length, if there is one that is a number; servers refuse the others."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
