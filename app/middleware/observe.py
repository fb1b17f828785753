"""The outermost eye: every request is timed, counted, logged in one line, and answered whatever happens inside."""

import asyncio
import logging
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fenestra.app.errors import log, request_id, unexpected
from fenestra.app.observability.metrics import Metrics
from fenestra.app.observability.route_names import method_of, route_of
from fenestra.app.observability.traces import Tracer, trace_of

_LINE = "%(request_id)s %(method)s %(route)s %(status)d %(milliseconds).1f ms"


class Watch:
    """Count, log and trace each answer, and turn an error that nothing else caught into a 500.

    The log line names the route's template, never the path or query that was sent: both may hold a user's text.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, *, routes: Iterable[str] = (), tracer: Tracer | None = None
    ) -> None:
        """Watch over an application.

        Args:
            app: what answers.
            metrics: what counts.
            routes: the templates of its routes, to name requests that are refused on their way to one.
            tracer: what makes spans, if any are wanted; it is closed when the application has shut down.
        """
        self._app = app
        self._metrics = metrics
        self._tracer = tracer
        metrics.routes(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, self._flushing(send) if scope["type"] == "lifespan" else send)
            return
        began = time.perf_counter()
        status = 0
        if self._tracer is not None:
            self._tracer.begin(scope)

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
        if self._tracer is not None:
            self._tracer.end(scope, status)
        if log.isEnabledFor(logging.INFO):
            told = {
                "request_id": request_id(scope),
                "method": method_of(scope),
                "route": route_of(scope),
                "status": status,
                "milliseconds": round(1000 * seconds, 1),
            }
            if (trace := trace_of(scope)) is not None:
                told["trace_id"] = trace.identifier
            log.info(_LINE, told, extra=told)

    def _flushing(self, send: Send) -> Send:
        """Send the last spans before the server hears that all is done, and ends."""

        async def flush_and_send(message: Message) -> None:
            if self._tracer is not None and message["type"].startswith("lifespan.shutdown"):
                await asyncio.to_thread(self._tracer.close)
            await send(message)

        return flush_and_send
