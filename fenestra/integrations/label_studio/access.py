"""HTTP Basic authentication, and errors in one line of JSON.

The user's name and password are those of the variables that Label Studio's own backends read, BASIC_AUTH_USER and
BASIC_AUTH_PASS, so that a deployment need not be changed. They are compared in constant time.
"""

import base64
import binascii
import hashlib
import hmac
import os
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fenestra.model.errors import InputError

USER, PASSWORD = "BASIC_AUTH_USER", "BASIC_AUTH_PASS"
_OPEN = frozenset({"/", "/health"})
"""Paths that answer anybody: they tell nothing, and probes have no password."""


class Credentials(NamedTuple):
    """Digest of ``user:password``; of the same length whatever was given."""

    digest: bytes

    @classmethod
    def of(cls, pair: bytes) -> "Credentials":
        """Of a user's name and password, with a colon between."""
        return cls(hashlib.sha256(pair).digest())


def from_environment() -> Credentials | None:
    """The credentials to ask for; None if neither variable is set.

    Raises:
        InputError: only one is, the name has a colon, or one is not ASCII: Label Studio sends other letters in Latin-1,
            browsers in UTF-8, so that they would be right for one of them only.
    """
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if bool(user) != bool(password):
        raise InputError(f"{USER} and {PASSWORD}: expected both or neither")
    if ":" in user:
        raise InputError(f"{USER}: expected a name without a colon")
    if not (user + password).isascii():
        raise InputError(f"{USER} and {PASSWORD}: expected ASCII; Label Studio cannot send everything else")
    return Credentials.of(f"{user}:{password}".encode()) if user else None


class BasicAuthMiddleware:
    """Refuse requests without the right credentials."""

    def __init__(self, app: ASGIApp, credentials: Credentials) -> None:
        self._app, self._credentials = app, credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] != "http" or scope["path"] in _OPEN or self._knows(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        headers = {"WWW-Authenticate": 'Basic realm="fenestra", charset="UTF-8"', "Connection": "close"}
        await refusal(401, "a user's name and password are needed", headers)(scope, receive, send)

    def _knows(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            pair = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        given = Credentials.of(pair)
        return scheme.lower() == "basic" and hmac.compare_digest(given.digest, self._credentials.digest)


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as Label Studio shows it; the message repeats nothing of the request."""
    return JSONResponse({"error": message}, status, headers)
