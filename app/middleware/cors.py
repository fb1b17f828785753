"""Lets pages of other origins read responses, if the operator names these origins: Starlette's middleware.

Any other origin is refused where hosts are checked (:mod:`fenestra.app.middleware.hosts`).
"""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fenestra.app import label_map
from fenestra.app.errors import Problem

_SECONDS = 600  # that a browser may remember what a preflight has told


class CrossOriginMiddleware(CORSMiddleware):
    """Answer preflights of the allowed origins, and mark responses for them."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)
        super().__init__(
            app,
            allow_origins=sorted(self._origins),
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("*",),
            expose_headers=("X-Request-ID", "Retry-After", label_map.LABELS_HEADER, label_map.TYPES_HEADER),
            allow_private_network=True,
            max_age=_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] != "http" or Headers(scope=scope).get("origin") not in self._origins:
            await self.app(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        except Problem as problem:
            await problem.response_to(scope)(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser may send.

        Raises:
            Problem: ``bad_request``, in the shape of all other refusals.
        """
        response = super().preflight_response(request_headers)
        if response.status_code >= 400:
            raise Problem("bad_request", "pages of other origins may use GET and POST alone")
        return response
