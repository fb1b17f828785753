"""Prometheus metrics. Every application has a registry of its own.

Labels only take values that the program knows in advance: a client cannot create a series. The methods are called for
every request and every batch, each by one thread alone: what concerns requests by the event loop, and what concerns the
model by the inference thread. So what is counted that often is a plain number (``tallies.py``), and labelled series are
looked up once and kept.
"""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from starlette.types import Scope

from fenestra.app.observability.route_names import RouteTemplates, method_of, route_of
from fenestra.app.observability.tallies import Distribution, Distributions, Tallies, Tally
from fenestra.model.results import Result

REFUSALS = (
    "overloaded",
    "rate_limited",
    "unauthorized",
    "too_large",
    "bad_request",
    "headers_too_large",
    "timeout",
    "slow_client",
    "connections",
)
"""Reasons why a request or a connection is refused."""
LEARNINGS = ("done", "refused", "failed", "cancelled", "undone")
"""How a learning from corrections can end."""
STAGES = ("tokenize", "rows", "network", "decode", "render")
"""The stages of the work on a text."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536, 262144)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128)

# Without the creation time of each series, which Prometheus knows itself, there are a third fewer series.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """All metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._templates = RouteTemplates(())
        self._make_request_metrics()
        self._make_queue_metrics()
        self._make_model_metrics()

    def _make_request_metrics(self) -> None:
        """Requests, responses and connections."""
        self._requests = self._tallies("requests", "Requests answered", "route", "method", "status")
        self._request_seconds = self._distributions(
            "request_seconds", "Time from a request's headers to the last byte of its answer", _SECONDS, "route"
        )
        self._responses: dict[tuple[str, str, int], tuple[Tally, Distribution]] = {}
        refused = self._counter("refused", "Requests and connections that were turned away, by reason", "reason")
        self._refused = {reason: refused.labels(reason) for reason in REFUSALS}
        self._cancelled = self._counter("cancelled", "Requests whose client hung up before the answer")
        self._connections = self._gauge("open_connections", "Connections that are open")
        self._log_dropped = self._counter("log_lines_dropped", "Lines of the log that nobody read in time")
        self._draining = self._gauge("draining", "1 while the service is stopping, else 0")
        self._workers = self._gauge("workers", "Processes that answer requests")
        self._workers.set(1)
        self._worker_restarts = self._counter("worker_restarts", "Workers that ended unasked, and were replaced")

    def _make_queue_metrics(self) -> None:
        """The queue in front of the model."""
        self._depth = self._gauge("queue_depth", "Requests that wait for the model or are at work in it")
        self._limit = self._gauge("queue_limit", "Requests that may wait or be at work, at most")
        wait = self._distributions("queue_wait_seconds", "Time that requests waited for the model", _SECONDS)
        tokens = self._distributions("batch_tokens", "Tokens, about, that were tagged together", _TOKENS)
        requests = self._distributions("batch_requests", "Requests that were tagged together", _REQUESTS)
        self._wait, self._batch_tokens, self._batch_requests = wait.of(), tokens.of(), requests.of()

    def _make_model_metrics(self) -> None:
        """The work of the models, and which models they are."""
        stage = self._tallies("stage_seconds", "Time spent in each part of the work", "stage")
        self._stage = {name: stage.of(name) for name in STAGES}
        self._learned = self._counter("learnings", "Learnings from corrections, by how they ended", "model", "outcome")
        self._texts = self._tallies("texts", "Texts and sentences tagged").of()
        self._tokens = self._tallies("tokens", "Tokens tagged").of()
        self._unknown = self._tallies("unknown_tokens", "Tokens tagged whose word has no pretrained vector").of()
        self._entities = self._tallies("entities", "Entities found, before any filter", "label")
        self._entities_of: dict[str, Tally] = {}
        self._model = self._gauge("model_info", "1 for each model in use", "name", "version")
        self._versions: dict[str, str] = {}
        self._reloads = self._counter("reloads", "Attempts to load a model anew", "model", "outcome")
        self._reload_failures = self._counter("reload_failures", "Attempts to load a model anew that failed", "model")

    def routes(self, templates: Iterable[str]) -> None:
        """Set the templates of all routes, to label requests that are refused before they are routed."""
        self._templates = RouteTemplates(templates)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a response; a request that was refused before it was routed gets its route from its path."""
        self._templates.assign(scope)
        key = route_of(scope), method_of(scope), status
        if (found := self._responses.get(key)) is None:
            route, method, _ = key
            found = self._requests.of(route, method, str(status)), self._request_seconds.of(route)
            self._responses[key] = found
        found[0].add()
        found[1].add(seconds)

    def refused(self, reason: str, count: int = 1) -> None:
        """Count refusals, for one of :data:`REFUSALS`."""
        self._refused[reason].inc(count)

    def cancelled(self) -> None:
        """Count a request whose client disconnected."""
        self._cancelled.inc()

    def log_line_dropped(self) -> None:
        """Count a line of the log that could not be written."""
        self._log_dropped.inc()

    def waited(self, seconds: float) -> None:
        """Record how long a request waited for the model."""
        self._wait.add(seconds)

    def batch(self, requests: int, tokens: int) -> None:
        """Record the size of a batch."""
        self._batch_requests.add(requests)
        self._batch_tokens.add(tokens)

    def stage(self, name: str, seconds: float) -> None:
        """Add to the time of one of :data:`STAGES`."""
        self._stage[name].add(seconds)

    def tokens(self, count: int, unknown: int) -> None:
        """Count tokens, and those of them that are out of vocabulary."""
        self._tokens.add(count)
        self._unknown.add(unknown)

    def tagged(self, results: Sequence[Result]) -> None:
        """Count texts and their entities."""
        self._texts.add(len(results))
        for result in results:
            for entity in result:
                if (tally := self._entities_of.get(entity.label)) is None:
                    tally = self._entities_of[entity.label] = self._entities.of(entity.label)
                tally.value += 1

    def model_loaded(self, name: str, version: str) -> None:
        """Set the version of a model that is in use from now on."""
        if (before := self._versions.get(name)) not in (None, version):
            self._model.remove(name, before)
        self._versions[name] = version
        self._model.labels(name, version).set(1)
        for outcome in ("ok", "failed"):  # from the start at 0, so that alerts see the first failure as a rise
            self._reloads.labels(name, outcome)
        self._reload_failures.labels(name)
        for outcome in LEARNINGS:
            self._learned.labels(name, outcome)

    def reloaded(self, model: str, ok: bool) -> None:
        """Count an attempt to reload a model."""
        self._reloads.labels(model, "ok" if ok else "failed").inc()
        if not ok:
            self._reload_failures.labels(model).inc()

    def learned(self, model: str, outcome: str) -> None:
        """Count a learning from corrections that ended, or was undone."""
        self._learned.labels(model, outcome).inc()

    def draining(self, flag: bool) -> None:
        """Set whether the service is stopping."""
        self._draining.set(flag)

    def workers(self, count: int) -> None:
        """Set how many processes answer requests; each counts itself, and only the supervisor none."""
        self._workers.set(count)

    def worker_restarted(self) -> None:
        """Count a worker that ended unasked."""
        self._worker_restarts.inc()

    def queue(self, depth: Callable[[], int], limit: int) -> None:
        """Read the depth of the queue from ``depth``; it holds ``limit`` requests at most."""
        self._depth.set_function(depth)
        self._limit.set(limit)

    def connections(self, count: Callable[[], int]) -> None:
        """Read the number of open connections from ``count``."""
        self._connections.set_function(count)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"fenestra_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"fenestra_{name}", meaning, labels, registry=self.registry)

    def _tallies(self, name: str, meaning: str, *labels: str) -> Tallies:
        return Tallies(self.registry, f"fenestra_{name}", meaning, *labels)

    def _distributions(self, name: str, meaning: str, bounds: Sequence[float], *labels: str) -> Distributions:
        return Distributions(self.registry, f"fenestra_{name}", meaning, bounds, *labels)
