"""OpenTelemetry spans, if the operator configures a collector; else tracing costs nothing.

The standard variables decide: ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` turn traces on,
``OTEL_SDK_DISABLED=true`` and ``OTEL_TRACES_EXPORTER=none`` off, and the SDK reads its own: sampling
(``OTEL_TRACES_SAMPLER``), batching (``OTEL_BSP_…``), headers, certificates, the service's name.

A sampled request has one span, with a child span for each part that was recorded:

    trace = trace_of(scope)                     # None: not sampled, or tracing is off
    if trace is not None:
        trace.record("wait", start, end)      # seconds of time.monotonic(); from any thread

A span holds route, method, status and request id: nothing that the client sent.
"""

import ipaddress
import os
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from starlette.types import Scope

from fenestra.app.observability.route_names import PROBES, UNMATCHED, method_of, route_of
from fenestra.model.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from opentelemetry.trace import Tracer as SpanMaker

_ENDPOINTS = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOLS = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
_UNTRACED = PROBES | {"/metrics"}  # requested every few seconds, of no interest
_HEADERS = frozenset({b"traceparent", b"tracestate"})
_FLUSH_SECONDS = 2.0


class Trace(NamedTuple):
    """The span of one request."""

    span: "Span"
    context: "Context"
    """Makes recorded parts children of the span."""
    maker: "SpanMaker"

    @property
    def identifier(self) -> str:
        """The id of the trace, in hex."""
        return f"{self.span.get_span_context().trace_id:032x}"

    def record(self, name: str, start: float, end: float, **attributes: int) -> None:
        """Add a child span for a part of the request that has ended.

        Args:
            name: of the part, such as ``wait`` or ``compute``.
            start: in seconds, by ``time.monotonic()``.
            end: likewise.
            attributes: of the span, such as the number of tokens.
        """
        now, monotonic = time.time_ns(), time.monotonic()
        child = self.maker.start_span(
            name, self.context, attributes=attributes, start_time=now - round((monotonic - start) * 1e9)
        )
        child.end(now - round((monotonic - end) * 1e9))


def trace_of(scope: Scope) -> Trace | None:
    """The trace of a request, if it is traced."""
    trace = scope.get("state", {}).get("trace")
    return trace if isinstance(trace, Trace) else None


class Tracer:
    """Starts and ends the spans of requests."""

    def __init__(self, provider: "TracerProvider", trusted: Iterable[str] = ()) -> None:
        """Make spans.

        Args:
            provider: exports them.
            trusted: networks of clients whose ``traceparent`` counts. Anyone else could switch tracing on for all of
                their requests, or add to a trace that is not theirs.
        """
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._maker = provider.get_tracer("fenestra")
        self._api = trace
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]
        self._propagator = TraceContextTextMapPropagator()

    def start(self, scope: Scope) -> None:
        """Start a request's span, as a child of the caller's if the headers name one and the caller is trusted."""
        if scope["path"] in _UNTRACED:
            return
        headers = {}
        if self._trusted and self._trusts(scope):
            headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _HEADERS}
        span = self._maker.start_span(
            method_of(scope),
            self._propagator.extract(headers),
            kind=self._api.SpanKind.SERVER,
            attributes={"http.request.method": method_of(scope)},
        )
        if span.is_recording():
            scope.setdefault("state", {})["trace"] = Trace(span, self._api.set_span_in_context(span), self._maker)

    def _trusts(self, scope: Scope) -> bool:
        """Whether the ``traceparent`` of a request counts."""
        try:
            address = ipaddress.ip_address(scope["client"][0] if scope["client"] else "")
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def end(self, scope: Scope, status: int) -> None:
        """End a request's span, if it has one, and set its attributes."""
        if (trace := trace_of(scope)) is None:
            return
        span, route = trace.span, route_of(scope)
        if route != UNMATCHED:
            span.update_name(f"{method_of(scope)} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("fenestra.request_id", str(scope["state"].get("request_id", "")))
        if status >= 500:
            span.set_status(self._api.StatusCode.ERROR)
        span.end()

    def close(self, seconds: float = _FLUSH_SECONDS) -> None:
        """Export the remaining spans, for so long at most: an unreachable collector must not delay a shutdown."""
        flushing = threading.Thread(target=self._provider.shutdown, name="trace flush", daemon=True)
        flushing.start()
        flushing.join(seconds)


def open_tracer(trusted: Iterable[str] = ()) -> Tracer | None:
    """Set up tracing from the environment.

    Args:
        trusted: networks of clients whose ``traceparent`` counts.

    Returns:
        None if no collector is configured or tracing is switched off.

    Raises:
        InputError: a variable has an unsupported value, or the extra is not installed.
    """
    variable = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if variable is None or off or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    if urlsplit(os.environ[variable]).scheme not in ("http", "https"):
        raise InputError(f"{variable}: expected an http:// or https:// address")
    for protocol in _PROTOCOLS:
        if os.environ.get(protocol, "") not in ("", "http/protobuf"):
            raise InputError(f"{protocol}: only http/protobuf is spoken here")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InputError(f"{variable}: traces need an extra; run: pip install 'fenestra-ner[otel]'") from error
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {"service.name": "fenestra"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracer(provider, trusted)
