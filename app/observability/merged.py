"""Adds up the metrics of several processes.

A counter or a histogram of the whole is the sum of those of all processes, the ended ones included, so it never goes
backwards. A gauge is the sum of those of the processes that run, but for a few where a sum says nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

Family = tuple[str, str, str, list[tuple[str, list[tuple[str, str]], float]]]
"""Name, meaning, type, and the series: name, labels as pairs, value."""
Snapshot = Sequence[Family]
"""The metrics of one process at a moment; JSON can hold it."""

_SUMMED = ("counter", "histogram")
_GAUGES: dict[str, Callable[[float, float], float]] = {
    "fenestra_draining": max,
    "fenestra_model_info": max,
    "process_start_time_seconds": min,
}
"""Gauges of which there is no sum."""
_HELD = "process_resident_memory_bytes"


def snapshot(registry: CollectorRegistry) -> list[Any]:
    """The metrics of this process, with its share of the memory that it shares with others."""
    found = []
    held_bytes = held_memory()
    for family in registry.collect():
        series = [(sample.name, sorted(sample.labels.items()), sample.value) for sample in family.samples]
        if family.name == _HELD and held_bytes is not None:
            series = [(_HELD, [], float(held_bytes))]
        found.append((family.name, family.documentation, family.type, series))
    return found


class Sum:
    """The metrics of several processes added up."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, str]] = {}
        self._values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}

    def add(self, process: Snapshot, *, ended: bool = False) -> None:
        """Add those of one process; of one that has ended, what it counted alone."""
        for name, meaning, kind, series in process:
            if ended and kind not in _SUMMED:
                continue
            self._families[name] = meaning, kind
            values = self._values.setdefault(name, {})
            join = _GAUGES.get(name, _plus)
            for sample, labels, value in series:
                key = sample, tuple((label, text) for label, text in labels)
                values[key] = join(values[key], value) if key in values else value

    def snapshot(self) -> list[Any]:
        """The sum, as of one process."""
        return [
            (name, meaning, kind, [(sample, list(labels), value) for (sample, labels), value in values.items()])
            for (name, (meaning, kind)), values in zip(self._families.items(), self._values.values(), strict=True)
        ]

    def exposition(self) -> str:
        """The sum in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Given(self.snapshot()))
        return generate_latest(registry).decode()


class _Given(Collector):
    """Collects what is given."""

    def __init__(self, families: Snapshot) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families, as Prometheus' client has them."""
        for name, meaning, kind, series in self._families:
            family = Metric(name, meaning, kind)
            for sample, labels, value in series:
                family.add_sample(sample, dict(labels), value)
            yield family


def _plus(one: float, other: float) -> float:
    return one + other


def held_memory() -> int | None:
    """The memory of this process in bytes, its share of what it shares with others; None if the kernel does not say."""
    try:
        with open("/proc/self/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration, ValueError):
        return None
