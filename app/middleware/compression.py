"""Compresses responses for clients that accept gzip: Starlette's middleware, told what to leave alone."""

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_LEVEL = 4
_THREAD_BYTES = 16 * 1024  # larger pieces are compressed on a thread
# Starlette sends the head with the first piece of the body, but a stream begins before there is a line to answer.
# The files of the pages are a few kilobytes, and a browser keeps them.
_EXCLUDED = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/x-ndjson",
    *("text/html", "text/css", "text/javascript", "image/svg+xml"),
)


class CompressionMiddleware(GZipMiddleware):
    """Compress responses from a size on."""

    def __init__(self, app: ASGIApp, min_bytes: int) -> None:
        super().__init__(app, min_bytes, _LEVEL, _THREAD_BYTES, exclude_content_types=_EXCLUDED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] == "http" and _refuses_gzip(scope):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _refuses_gzip(scope: Scope) -> bool:
    """Whether the client names gzip in order not to get it: ``gzip;q=0``."""
    values = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding").lower()
    for part in values.split(b","):
        coding, _, weight = part.partition(b";")
        if coding.strip() == b"gzip" and weight.replace(b" ", b"").rstrip(b".0") == b"q=":
            return True
    return False
