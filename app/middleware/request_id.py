"""Gives every request an id, which its response, its log line and its span carry."""

import os
import re
import secrets
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ID_DIGITS = 16
_IDS_AT_ONCE = 256
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NOSNIFF = (b"x-content-type-options", b"nosniff")
"""Header of every response: browsers must not guess another media type."""


class RequestIdMiddleware:
    """Take the client's request id if it is safe to log, else make one, and send it back with the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, with_id(send, identify(scope)))


def identify(scope: Scope) -> str:
    """Choose a request's id, and keep it in the scope."""
    sent = [value for name, value in scope["headers"] if name == b"x-request-id"]
    request_id = choose_id(sent) if sent else new_id()
    scope.setdefault("state", {})["request_id"] = request_id
    return request_id


def with_id(send: Send, request_id: str) -> Send:
    """Send responses with the id of their request."""
    added = ((b"x-request-id", request_id.encode()), NOSNIFF)

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return send_with_id


def choose_id(sent: Sequence[bytes]) -> str:
    """Take the client's id if there is exactly one and it is safe to log; else make one.

    >>> choose_id([b"order-66"])
    'order-66'

    Args:
        sent: the values of all X-Request-ID headers.
    """
    if len(sent) == 1 and _REQUEST_ID.fullmatch(request_id := sent[0].decode("latin-1")):
        return request_id
    return new_id()


def new_id() -> str:
    """Make a random id of 16 hex digits."""
    while True:
        try:
            return _ids.pop()
        except IndexError:  # the system is asked for many at once: asking takes longer than all else that is done here
            digits = secrets.token_hex(_ID_DIGITS // 2 * _IDS_AT_ONCE)
            _ids.extend(digits[at : at + _ID_DIGITS] for at in range(0, len(digits), _ID_DIGITS))


_ids: list[str] = []
os.register_at_fork(after_in_child=_ids.clear)  # or two processes would give the same ids
