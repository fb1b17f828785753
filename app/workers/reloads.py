"""Replaces a model in all workers: every one serves the new version, or every one stays at the one before.

    asked ─▶ each worker loads it, and serves the one before ─▶ the supervisor loads it, too ─▶ all switch ─▶ answered
                      └────────── one cannot, or two have found different files ──▶ nobody switches ─▶ answered

A worker that is forked meanwhile is asked as well; one that ends is not waited for. Whoever asks while the model is
being loaded waits for the next round, since files may have been written after they were read.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fenestra.app.engine.models import ServedModel, reason_of
from fenestra.app.errors import log
from fenestra.app.observability.metrics import Metrics
from fenestra.app.workers.worker_process import Asker, Worker

_LOAD_SECONDS = 300.0
_SWITCH_SECONDS = 30.0


@dataclass
class _Round:
    """One reload of one model."""

    number: int
    askers: list[Asker]
    waiting: set[Worker]
    """Those that have not loaded the model, or, later, do not serve it."""
    end: float
    versions: set[str] = field(default_factory=set)
    reason: str | None = None
    """Why it fails."""
    new: ServedModel | None = None
    """What all serve from now on; None until all have loaded it."""


class Reloads:
    """The reloads of all models; at most one of each at a time."""

    def __init__(
        self,
        metrics: Metrics,
        models: dict[str, ServedModel],
        read_again: Callable[[ServedModel], ServedModel],
        kill: Callable[[Worker], None],
    ) -> None:
        """Set up.

        Args:
            metrics: count reloads.
            models: what is served, by name; changed by a reload.
            read_again: loads a model for the supervisor.
            kill: ends a worker that does not switch.
        """
        self.generation = 0
        """How many reloads have changed a model."""
        self._metrics = metrics
        self._models = models
        self._read_again = read_again
        self._kill = kill
        self._rounds: dict[str, _Round] = {}
        self._next: dict[str, list[Asker]] = {}  # who waits for the next round
        self._all: list[str] = []  # to be reloaded one after the other
        self._numbers = 0

    @property
    def busy(self) -> bool:
        """Whether a model is being replaced."""
        return bool(self._rounds)

    def ask(self, name: str, asker: Asker, workers: Iterable[Worker]) -> None:
        """Reload a model, for a request."""
        if name in self._rounds:
            self._next.setdefault(name, []).append(asker)
        else:
            self._begin(name, [asker], workers)

    def ask_all(self, workers: Iterable[Worker]) -> None:
        """Reload all models, one after the other; if that is under way, once more afterwards."""
        self._all += self._models
        self._go_on(workers)

    def forked(self, worker: Worker) -> None:
        """Ask a new worker for what the others are being asked for."""
        for name, round_ in self._rounds.items():
            if round_.new is None:  # or it was forked with the new model
                self._load(name, round_, worker)

    def loaded(self, worker: Worker, number: int, name: str, version: str | None, reason: str | None) -> None:
        """Note that a worker has loaded a model, or why it cannot."""
        round_ = self._rounds.get(name)
        if round_ is None or round_.number != number or round_.new is not None:
            return
        round_.waiting.discard(worker)
        if version is None:
            round_.reason = round_.reason or reason
        else:
            round_.versions.add(version)

    def switched(self, worker: Worker, number: int, name: str) -> None:
        """Note that a worker serves the new model."""
        round_ = self._rounds.get(name)
        if round_ is not None and round_.number == number and round_.new is not None:
            round_.waiting.discard(worker)

    def ended(self, worker: Worker) -> None:
        """Wait no longer for a worker that has ended."""
        for round_ in self._rounds.values():
            round_.waiting.discard(worker)

    def go_on(self, workers: Iterable[Worker]) -> None:
        """Do what is due: the next step of each reload, or the next reload."""
        now = time.monotonic()
        for name, round_ in list(self._rounds.items()):
            if round_.new is None and now > round_.end:
                round_.reason = round_.reason or f"it was not loaded within {_LOAD_SECONDS:g} seconds"
                round_.waiting.clear()
            if round_.new is None and not round_.waiting:
                self._decide(name, round_, workers)
            elif round_.new is not None and now > round_.end:
                for worker in round_.waiting:
                    self._kill(worker)
            if round_.new is not None and not round_.waiting:
                self._finish(name, round_, done=True)
        self._go_on(workers)

    def _go_on(self, workers: Iterable[Worker]) -> None:
        """Begin the next rounds."""
        for name in [name for name in self._next if name not in self._rounds]:
            self._begin(name, self._next.pop(name), workers)
        if self._all and not self._rounds:
            self._begin(self._all.pop(0), [], workers)

    def _begin(self, name: str, askers: list[Asker], workers: Iterable[Worker]) -> None:
        self._numbers += 1
        self._rounds[name] = round_ = _Round(self._numbers, askers, set(), time.monotonic() + _LOAD_SECONDS)
        for worker in workers:
            self._load(name, round_, worker)

    def _load(self, name: str, round_: _Round, worker: Worker) -> None:
        round_.waiting.add(worker)
        worker.channel.send({"do": "load", "model": name, "round": round_.number})

    def _decide(self, name: str, round_: _Round, workers: Iterable[Worker]) -> None:
        """All have answered: let all switch, or none."""
        before = self._models[name]
        new = None
        if round_.reason is None:
            try:
                new = self._read_again(before)
            except Exception as error:
                round_.reason = reason_of(error)
            else:
                if round_.versions - {new.version}:
                    round_.reason = f"{before.folder}: the files were changed while they were read"
        if new is None or round_.reason is not None:
            log.error("model %s stays at %s: %s", name, before.version, round_.reason)
            for worker in workers:
                worker.channel.send({"do": "drop", "model": name, "round": round_.number})
            self._finish(name, round_, done=False)
            return
        self._models[name] = round_.new = new
        self.generation += new.version != before.version
        log.info("model %s %s takes the place of %s", name, new.version, before.version)
        round_.waiting, round_.end = set(workers), time.monotonic() + _SWITCH_SECONDS
        for worker in workers:
            worker.channel.send({"do": "switch", "model": name, "round": round_.number})

    def _finish(self, name: str, round_: _Round, *, done: bool) -> None:
        self._metrics.reloaded(name, ok=done)
        del self._rounds[name]
        for asker in round_.askers:
            asker.answer(done=done)
