"""What the service counts, for Prometheus. Every application has a registry of its own.

Labels only ever take values that the program knows beforehand: a client cannot make a series.
"""

from collections import Counter as Tally
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import Scope

from model import Analysis

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
UNMATCHED = "(unmatched)"
"""The route label of all paths that nothing is served at."""


def route_of(scope: Scope) -> str:
    """The template of the route that a request went to, such as ``/static/{name}``."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))


def method_of(scope: Scope) -> str:
    """The request's method, or ``OTHER``: clients invent methods too."""
    method = str(scope["method"])
    return method if method in _METHODS else "OTHER"


class Metrics:
    """The instruments, by what they measure."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "fenestra_requests", "Requests answered", ["route", "method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "fenestra_request_seconds",
            "Time from a request's headers to the last byte of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._texts = Counter("fenestra_texts", "Texts and sentences tagged", registry=self.registry)
        self._tokens = Counter("fenestra_tokens", "Tokens tagged", registry=self.registry)
        self._entities = Counter(
            "fenestra_entities", "Entities found, before any filter", ["label"], registry=self.registry
        )
        self._depth = Gauge("fenestra_queue_depth", "Requests at work or waiting for the model", registry=self.registry)
        self._model = Gauge("fenestra_model_info", "The model in use", ["name", "version"], registry=self.registry)

    def model_loaded(self, name: str, version: str, depth: Callable[[], int]) -> None:
        """Name the model, and read the queue's depth from ``depth`` from now on."""
        self._model.labels(name, version).set(1)
        self._depth.set_function(depth)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(route_of(scope), method_of(scope), str(status)).inc()
        self._seconds.labels(route_of(scope)).observe(seconds)

    def tagged(self, analyses: Sequence[Analysis]) -> None:
        """Count what the model found."""
        self._texts.inc(len(analyses))
        self._tokens.inc(sum(len(analysis.tokens) for analysis in analyses))
        labels = Tally(entity.label for analysis in analyses for entity in analysis.entities)
        for label, count in labels.items():
            self._entities.labels(label).inc(count)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
