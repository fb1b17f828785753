"""The metrics of all workers, for whichever of them is asked."""

import time
from collections.abc import Iterable
from typing import Any

from fenestra.app.observability.merged import Sum, snapshot
from fenestra.app.observability.metrics import Metrics
from fenestra.app.workers.worker_process import Asker, Worker

_SECONDS = 1.0
"""How long the metrics of a worker are waited for; then its last ones count."""


class Scrapes:
    """Collects the metrics of the workers, one round at a time."""

    def __init__(self, metrics: Metrics) -> None:
        """Begin; ``metrics`` are the supervisor's own."""
        self._metrics = metrics
        self._ended = Sum()
        self._askers: list[Asker] = []
        self._next: list[Asker] = []  # who asked when a round had begun
        self._waiting: set[Worker] = set()
        self._end = 0.0
        self._number = 0

    @property
    def end(self) -> float | None:
        """When the present round is over at the latest, by the monotonic clock; None between rounds."""
        return self._end if self._askers else None

    def ask(self, asker: Asker) -> None:
        """Collect the metrics for a request."""
        self._next.append(asker)

    def told(self, worker: Worker, families: list[Any], number: int | None) -> None:
        """Note the metrics of a worker."""
        worker.families = families
        if number == self._number:
            self._waiting.discard(worker)

    def ended(self, worker: Worker) -> None:
        """Keep what a worker had counted, when it was last asked, and ended."""
        self._waiting.discard(worker)
        self._ended.add(worker.families, ended=True)

    def go_on(self, workers: Iterable[Worker]) -> None:
        """Answer if all have told their metrics, or have had their time; begin the next round if there is one."""
        if self._askers and (not self._waiting or time.monotonic() > self._end):
            total = Sum()
            total.add(self._ended.snapshot())
            total.add(snapshot(self._metrics.registry))
            for worker in workers:
                total.add(worker.families)
            text = total.exposition()
            for asker in self._askers:
                asker.answer(text=text)
            self._askers = []
        if self._next and not self._askers:
            self._askers, self._next = self._next, []
            self._number += 1
            self._end = time.monotonic() + _SECONDS
            self._waiting = {worker for worker in workers if worker.started}
            for worker in self._waiting:
                worker.channel.send({"do": "metrics", "round": self._number})
