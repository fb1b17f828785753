"""The outermost eye: every request is timed, counted, logged in one line, and answered whatever happens inside."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.edge.problems import log, request_id, unexpected
from app.sight.metrics import Metrics
from app.sight.names import method_of, route_of


class Watch:
    """Count and log each answer, and turn an error that nothing else caught into a 500.

    The log line names the route's template, never the path or query that was sent: both may hold a user's text.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as error:
            answer = unexpected(error, request_id(scope))
            if status:  # half an answer is out; only breaking the connection tells the client that it is not whole
                raise
            await answer(scope, receive, send_and_note)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        self._metrics.answered(scope, status, seconds)
        log.info("%s %s %s %d %.1f ms", request_id(scope), method_of(scope), route_of(scope), status, 1000 * seconds)
