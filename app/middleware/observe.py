"""Times, counts, logs and traces every request, and answers 500 to unhandled errors."""

import asyncio
import logging
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fenestra.app.errors import log, request_id, unexpected
from fenestra.app.observability.logs import REQUEST_LINE, Lines
from fenestra.app.observability.metrics import Metrics
from fenestra.app.observability.route_names import method_of, route_of
from fenestra.app.observability.traces import Tracer, trace_of


class Observer:
    """Counts, logs and traces each response, and turns an unhandled error into a 500.

    The log line names the route's template, never the path or query of the request: both may hold a user's text.
    """

    def __init__(self, metrics: Metrics, *, routes: Iterable[str] = (), tracer: Tracer | None = None) -> None:
        """Observe an application.

        Args:
            metrics: counts and times responses.
            routes: the templates of its routes, to label requests that are refused before they are routed.
            tracer: makes spans, if tracing is on; it is closed when the application has shut down.
        """
        self._metrics = metrics
        self._tracer = tracer
        self.lines: Lines | None = None
        """Takes the lines of requests, if they go nowhere else; else they are records for all handlers there are."""
        metrics.routes(routes)

    def begin(self, scope: Scope) -> float:
        """Begin with a request; returns the time, by ``time.perf_counter()``."""
        if self._tracer is not None:
            self._tracer.start(scope)
        return time.perf_counter()

    async def answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, began: float) -> None:
        """Let an application answer a request that began at a time, and record the response."""
        status = 0

        async def send_and_record(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, send_and_record)
        except Exception as error:
            response = unexpected(error, scope)
            if status:  # part of the response is sent: only closing the connection shows that it is incomplete
                raise
            await response(scope, receive, send_and_record)
        finally:
            self.end(scope, status, began)

    def end(self, scope: Scope, status: int, began: float) -> None:
        """Record the response to a request that began at a time; status 0 if it got none."""
        seconds = time.perf_counter() - began
        self._metrics.answered(scope, status, seconds)
        if self._tracer is not None:
            self._tracer.end(scope, status)
        if log.isEnabledFor(logging.INFO):
            fields = {
                "request_id": request_id(scope),
                "method": method_of(scope),
                "route": route_of(scope),
                "status": status,
                "milliseconds": round(1000 * seconds, 1),
            }
            if (trace := trace_of(scope)) is not None:
                fields["trace_id"] = trace.identifier
            if self.lines is not None:
                self.lines.add_request(fields)
            else:
                log.info(REQUEST_LINE, fields, extra=fields)

    def close(self) -> None:
        """Export the last spans. It may take seconds."""
        if self._tracer is not None:
            self._tracer.close()


class ObserveMiddleware:
    """Observe all requests to an application."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        *,
        routes: Iterable[str] = (),
        tracer: Tracer | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Observe with ``observer``, which others may share; without it, with one that the other arguments make."""
        self._app = app
        self._observer = observer or Observer(metrics, routes=routes, tracer=tracer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] == "http":
            await self._observer.answer(self._app, scope, receive, send, self._observer.begin(scope))
        else:
            await self._app(scope, receive, self._flush_before_shutdown(send) if scope["type"] == "lifespan" else send)

    def _flush_before_shutdown(self, send: Send) -> Send:
        """Export the last spans before the server is told that the shutdown is complete, and exits."""

        async def flush_and_send(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                await asyncio.to_thread(self._observer.close)
            await send(message)

        return flush_and_send
