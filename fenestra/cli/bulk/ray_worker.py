"""What a worker of Ray is: the work of a local one, in an actor. It knows nothing of Ray, and imports nothing of it."""

import gc
import pickle
import threading
from collections.abc import Callable
from typing import Protocol, Self

from fenestra.app.engine.heap import large_blocks_apart, share_one_heap
from fenestra.cli.bulk.in_order import Done, stored
from fenestra.cli.bulk.resume import Store
from fenestra.cli.bulk.units import UnitDone, WorkUnit
from fenestra.cli.bulk.workers import sendable
from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger
from fenestra.model.version import VERSION


class StoringWork(Protocol):
    """Does a unit with a tagger; keeps the result in a store, or gives it back where there is none."""

    @property
    def tagger(self) -> Tagger:
        """Tags."""

    @property
    def store(self) -> Store | None:
        """Where results are kept."""

    def without_store(self) -> Self:
        """The same, which gives results back."""

    def __call__(self, unit: WorkUnit, between: Callable[[], object]) -> Done:
        """Do a unit."""


class Worker:
    """Does units, one at a time. While one is stored the next is worked at, by another thread."""

    def __init__(self, work: bytes, program: str, model: str) -> None:
        """Keep what is to be done, pickled, and the versions of the program and the model that it is to be done by."""
        self._pickled, self._program, self._model = work, program, model
        self._working = threading.Lock()

    def ready(self) -> bool | Exception:
        """Load the model; tells whether results are stored where the run was started, or what went wrong."""
        try:
            if self._program != VERSION:
                raise InputError(f"--engine ray: workers have fenestra {VERSION}; expected {self._program}, as here")
            self._work = self._load()
        except Exception as error:
            return sendable(error)
        return self._work.store is not None

    def do(self, unit: WorkUnit) -> UnitDone | Exception:
        """Do a unit, and store the result or give it back."""
        try:
            with self._working:
                found = self._work(unit, lambda: None)
            return stored(found)
        except Exception as error:
            return sendable(error)

    def _load(self) -> StoringWork:
        share_one_heap()
        with large_blocks_apart():
            work: StoringWork = pickle.loads(self._pickled)
        if work.tagger.version != self._model:
            raise InputError(f"--model: workers find another model at {work.tagger.folder} than there is here")
        gc.collect()
        gc.freeze()  # a collection would look at the model each time
        shared = work.store is not None and work.store.is_shared()
        return work if shared else work.without_store()
