"""Counters and histograms for what is counted with every request: in them, one thread alone counts.

Prometheus' own take a lock and a look at every bucket each time, which is a tenth of all that a request costs. These
add to plain numbers, and make series of them when somebody asks for the metrics.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """One series of a counter."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        """Add to it."""
        self.value += amount


class Tallies(Collector):
    """A counter."""

    def __init__(self, registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> None:
        """Join a registry; without labels, there is the one series from the start."""
        self._name, self._meaning, self._labels = name, meaning, labels
        self._series: dict[tuple[str, ...], Tally] = {}
        if not labels:
            self.of()
        registry.register(self)

    def of(self, *values: str) -> Tally:
        """The series of these values of the labels; from now on there is one."""
        return self._series.setdefault(values, Tally())

    def collect(self) -> Iterator[CounterMetricFamily]:
        """As Prometheus' client has it."""
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, series in tuple(self._series.items()):
            family.add_metric(values, series.value)
        yield family


class Distribution:
    """One series of a histogram."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """How many values there were up to each bound and above the one before; the last above all."""
        self.total = 0.0

    def add(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Distributions(Collector):
    """A histogram."""

    def __init__(
        self, registry: CollectorRegistry, name: str, meaning: str, bounds: Sequence[float], *labels: str
    ) -> None:
        """Join a registry; without labels, there is the one series from the start."""
        self._name, self._meaning, self._bounds, self._labels = name, meaning, bounds, labels
        self._series: dict[tuple[str, ...], Distribution] = {}
        if not labels:
            self.of()
        registry.register(self)

    def of(self, *values: str) -> Distribution:
        """The series of these values of the labels; from now on there is one."""
        return self._series.setdefault(values, Distribution(self._bounds))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """As Prometheus' client has it."""
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        names = [floatToGoString(bound) for bound in (*self._bounds, float("inf"))]  # type: ignore[no-untyped-call]
        for values, series in tuple(self._series.items()):
            until, buckets = 0, []
            for name, count in zip(names, series.counts, strict=True):
                until += count
                buckets.append((name, until))
            family.add_metric(values, buckets, series.total)
        yield family
