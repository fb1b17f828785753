"""Traces: off by default, the attributes of spans, and their export to a collector."""

import asyncio
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from starlette.responses import Response
from starlette.routing import Route, Router

from fenestra.app.middleware.observe import ObserveMiddleware
from fenestra.app.middleware.request_id import RequestIdMiddleware
from fenestra.app.observability.metrics import Metrics
from fenestra.app.observability.traces import Tracer, open_tracer, trace_of
from fenestra.model.errors import InputError

SECRET = "Geheimnis"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-1] + "0"


@pytest.fixture(autouse=True)
def no_variables_from_the_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def spans():
    """Receives the spans of ``tracer``."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield Tracer(provider, ["127.0.0.0/8"])
    provider.shutdown()


def application(tracer):
    """Answers on ``/items/{name}`` whether it is traced; fails on ``/break``."""

    def item(request):
        trace = trace_of(request.scope)
        if trace is not None:
            now = time.monotonic()
            trace.record("wait", now - 0.5, now - 0.2)
            trace.record("compute", now - 0.2, now - 0.1, tokens=7)
        return Response(trace.identifier if trace else "untraced")

    def breaks(request):
        raise ValueError(SECRET)

    routes = [Route("/items/{name}", item), Route("/break", breaks), Route("/livez", item)]
    return RequestIdMiddleware(ObserveMiddleware(Router(routes), Metrics(), tracer=tracer))


def ask(tracer, path, **headers):
    async def once():
        transport = httpx.ASGITransport(app=application(tracer))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get(path, headers=headers)

    return asyncio.run(once())


def test_without_a_collector_there_are_no_traces(monkeypatch):
    assert open_tracer() is None
    assert ask(None, "/items/x", traceparent=PARENT).text == "untraced"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    assert open_tracer() is None


@pytest.mark.parametrize(("variable", "value"), [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")])
def test_traces_can_be_switched_off(monkeypatch, variable, value):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.setenv(variable, value)
    assert open_tracer() is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_an_unsupported_value_of_a_variable_is_refused_by_name(monkeypatch, variable, value):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=f"^{variable}: [^\n]+$"):
        open_tracer()


def test_a_missing_extra_is_named_in_one_line(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(InputError, match=r"^OTEL_EXPORTER_OTLP_ENDPOINT: .*pip install 'fenestra-ner\[otel\]'$"):
        open_tracer()


def test_a_request_is_a_child_span_of_its_caller(tracer, spans):
    answer = ask(tracer, f"/items/{SECRET}?q={SECRET}", traceparent=PARENT, **{"x-request-id": "order-66"})
    span = spans.get_finished_spans()[-1]
    assert span.name == "GET /items/{name}"
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        "http.request.method": "GET", "http.route": "/items/{name}", "http.response.status_code": 200,
        "fenestra.request_id": "order-66",
    }  # fmt: skip
    assert f"{span.context.trace_id:032x}" == answer.text == PARENT.split("-")[1]
    assert f"{span.parent.span_id:016x}" == PARENT.split("-")[2]


ALWAYS = {"traceparent": PARENT, "tracestate": "vendor=1"}


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",), ("::1/128",), ("127.0.0.2",)])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_flag_of_a_stranger_does_not_count(spans, trusted, ratio):
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    answer = ask(Tracer(provider, trusted), "/items/x", **ALWAYS)
    provider.shutdown()
    assert (answer.text == "untraced") == (ratio == 0)
    assert answer.text != PARENT.split("-")[1]
    assert all(f"{span.context.trace_id:032x}" != PARENT.split("-")[1] for span in spans.get_finished_spans())


def test_the_flag_of_a_trusted_caller_counts_whatever_the_ratio(spans):
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = Tracer(provider, ["10.0.0.0/8", "127.0.0.1/32"])
    assert ask(tracer, "/items/x", traceparent=PARENT).text == PARENT.split("-")[1]
    assert ask(tracer, "/items/x", traceparent=UNSAMPLED).text == "untraced"
    assert ask(tracer, "/items/x").text == "untraced"
    provider.shutdown()


def test_waiting_and_computing_are_child_spans(tracer, spans):
    ask(tracer, "/items/x")
    wait, compute, request = spans.get_finished_spans()
    assert [wait.name, compute.name] == ["wait", "compute"]
    assert wait.parent.span_id == compute.parent.span_id == request.context.span_id
    assert dict(compute.attributes) == {"tokens": 7}
    assert wait.end_time - wait.start_time == pytest.approx(0.3e9, abs=1e6)
    assert compute.end_time - compute.start_time == pytest.approx(0.1e9, abs=1e6)
    assert request.parent is None


def test_an_error_is_marked_in_its_span_and_not_quoted(tracer, spans):
    assert ask(tracer, "/break").status_code == 500
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["http.response.status_code"] == 500
    assert not span.events


def test_a_span_holds_nothing_that_the_client_sent(tracer, spans):
    ask(tracer, f"/items/{SECRET}?q={SECRET}", **{"user-agent": SECRET, "baggage": f"a={SECRET}"})
    ask(tracer, f"/{SECRET}", traceparent=SECRET)
    ask(tracer, "/break", tracestate=SECRET)
    exported = [span.to_json() for span in spans.get_finished_spans()]
    assert len(exported) == 5
    assert SECRET not in "".join(exported)
    assert json.loads(exported[3])["name"] == "GET"


def test_an_unsampled_caller_and_a_probe_make_no_span(tracer, spans):
    assert ask(tracer, "/items/x", traceparent=UNSAMPLED).text == "untraced"
    assert ask(tracer, "/livez", traceparent=PARENT).text == "untraced"
    assert spans.get_finished_spans() == ()


def test_the_log_line_of_a_traced_request_names_its_trace(tracer, caplog):
    caplog.set_level("INFO", "uvicorn.error")
    ask(tracer, "/items/x", traceparent=PARENT)
    ask(None, "/items/x", traceparent=PARENT)
    traced, untraced = caplog.records
    assert traced.trace_id == PARENT.split("-")[1]
    assert not hasattr(untraced, "trace_id")


def test_a_collector_that_hangs_does_not_delay_the_shutdown():
    class Hangs(SpanExporter):
        released = threading.Event()

        def export(self, spans):
            self.released.wait()
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Hangs()))
    tracer = Tracer(provider)
    ask(tracer, "/items/x")
    tracer.close(0.05)
    assert not Hangs.released.is_set()
    Hangs.released.set()


class Collector(ThreadingHTTPServer):
    """Stands in for an OpenTelemetry collector, and keeps what it receives."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Collects)
        self.received = []
        threading.Thread(target=self.serve_forever).start()


class Collects(BaseHTTPRequestHandler):
    def do_POST(self):
        sent = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, self.headers["content-type"], sent))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *line):
        pass


def test_spans_reach_a_collector_before_the_shutdown_is_complete(monkeypatch):
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    tracer = open_tracer()
    ask(tracer, "/items/x")
    received_at_stop = []

    async def stop():
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive():
            return next(messages)

        async def send(message):
            if message["type"] == "lifespan.shutdown.complete":
                received_at_stop.extend(collector.received)

        await application(tracer)({"type": "lifespan"}, receive, send)

    asyncio.run(stop())
    collector.shutdown()
    collector.server_close()
    ((path, kind, sent),) = received_at_stop
    assert (path, kind) == ("/v1/traces", "application/x-protobuf")
    (resource,) = ExportTraceServiceRequest.FromString(sent).resource_spans
    attributes = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert attributes["service.name"] == "fenestra"
    assert {span.name for scope in resource.scope_spans for span in scope.spans} == {
        "wait", "compute", "GET /items/{name}"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_SERVICE_NAME", "ours"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ours")]
)
def test_the_service_name_can_be_configured(monkeypatch, variable, value):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/v1/traces")
    monkeypatch.setenv(variable, value)
    tracer = open_tracer()
    assert tracer._provider.resource.attributes["service.name"] == "ours"
    tracer.close()
