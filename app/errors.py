"""The errors that a client can get: every response that is not 2xx has one of these codes, and one shape.

    {"error": {"code": "bad_json", "message": "…", "request_id": "…"}}

At the doors for clients of other tools it has theirs, ``{"error": "…"}``: they would show an object as it is, or not at
all. The message names fields and limits and never repeats what the client sent; it is cut so that the response stays
below 8 kB.
"""

import logging
import re
import traceback
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fenestra.app.codes import STATUS

log = logging.getLogger("uvicorn.error")

_CODE_OF_STATUS = {status: code for code, status in reversed(STATUS.items())}
_PHRASES = {
    "not_found": "nothing is served at this path; GET /docs lists what is",
    "method_not_allowed": "this path does not answer that method; the Allow header names those it does",
    "internal": "something went wrong here; the log has the details under this request id",
}
TEXT_ERRORS = ("/hf", "/analyze", "/supportedentities", "/recognizers", "/health", "/v2")
"""Paths whose errors are a text, with all below them: those of :mod:`fenestra.app.api.huggingface`,
:mod:`fenestra.app.api.presidio` and :mod:`fenestra.app.api.kserve`."""
_MESSAGE_CHARACTERS = 1200  # JSON takes 6 bytes for a character at worst, as \u0001: below 8 kB with the rest
_RETRY_SECONDS = "1"
_EXPECTED_ERROR = re.compile(r"^fenestra\.model\.errors\.\w+: (.+)$", re.MULTILINE)


class Problem(Exception):
    """A request cannot be served; ``code`` is one of :data:`fenestra.app.codes.STATUS`."""

    def __init__(self, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        if STATUS[code] == 503:
            self.headers.setdefault("Retry-After", _RETRY_SECONDS)

    def response(self, request_id: str, path: str = "") -> Response:
        """The error response, in the shape that clients of a path expect."""
        message = self.message[:_MESSAGE_CHARACTERS]
        whole = {"code": self.code, "message": message, "request_id": request_id}
        error = message if has_text_errors(path) else whole
        return Response(to_json({"error": error}), STATUS[self.code], self.headers, "application/json")

    def response_to(self, scope: Scope) -> Response:
        """The error response to a request."""
        return self.response(request_id(scope), scope["path"])


def has_text_errors(path: str) -> bool:
    """Whether the errors of a path are a text.

    >>> has_text_errors("/hf/english"), has_text_errors("/hfs"), has_text_errors("/tag")
    (True, False, False)
    """
    return any(path == door or path.startswith(f"{door}/") for door in TEXT_ERRORS)


def request_id(scope: Scope) -> str:
    """The id that :class:`fenestra.app.middleware.request_id.RequestIdMiddleware` gave this request."""
    return str(scope.get("state", {}).get("request_id", ""))


def frames(error: BaseException) -> str:
    """Where an error and its causes happened, without their messages, which may quote a user.

    >>> print(frames(ValueError("what the user wrote")))
    ValueError
    """
    parts = [type(error).__name__, *(line.rstrip() for line in traceback.format_tb(error.__traceback__))]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        parts.append(f"after {frames(cause)}")
    return "\n".join(parts)


def unexpected(error: Exception, scope: Scope) -> Response:
    """Log where an unexpected error happened, and answer 500 without any detail of it."""
    log.error("request %s failed with %s", request_id(scope), frames(error))
    return Problem("internal", _PHRASES["internal"]).response_to(scope)


def closed_early() -> Problem:
    """The refusal of a request whose client has disconnected before its body was complete."""
    return Problem("bad_json", "the connection closed before the body was complete")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response_to(request.scope)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Errors of the framework itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = _CODE_OF_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "invalid_request")
    return Problem(code, _PHRASES.get(code, error.detail), headers=error.headers).response_to(request.scope)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    """A path or query parameter is invalid; the framework's own message would repeat it."""
    return Problem("invalid_request", "a parameter is not what this path expects").response_to(request.scope)


async def _on_disconnect(request: Request, error: Exception) -> Response:
    """The client disconnected before its body was complete. Nobody reads this response; it avoids a traceback."""
    return closed_early().response_to(request.scope)


def install(app: FastAPI) -> None:
    """Give every error response the common shape.

    All other exceptions are caught by :class:`fenestra.app.middleware.observe.ObserveMiddleware`.
    """
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


class StartFailureMiddleware:
    """Report a failed start in one line, if the error is one that Fenestra raises on purpose.

    Servers log the reason that the application gives, and Starlette gives the whole traceback. For a mistake of the
    operator, such as a wrong folder or device, the traceback only hides the sentence that helps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_briefly(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                sentences = _EXPECTED_ERROR.findall(message.get("message", ""))
                message = {**message, "message": sentences[-1]} if sentences else message
            await send(message)

        await self._app(scope, receive, send_briefly)
