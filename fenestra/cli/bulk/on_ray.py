"""Ray's workers: units are handed to actors, here or on a cluster. Needs Ray, which the extra ``ray`` brings.

The unit is that of local workers, and so is what is done with it: read here, tagged there, stored there by the same
function where the output folder is shared, and given back where it is not. Ray starts workers, hands units over and
tells when a worker died. Plain actors are used and not Ray Data: that would cut and join anew what is cut and joined
already, would bring pandas and PyArrow into every worker, and knows neither dead letters nor a unit by what is in it.
"""

import os
import pickle
import secrets
import shutil
import signal
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from fenestra.cli.bulk.in_order import MOST_TRIES, DeadWorkers, InOrder, Reader, Task
from fenestra.cli.bulk.ray_worker import StoringWork, Worker
from fenestra.cli.bulk.tagging import Tagged
from fenestra.cli.bulk.units import MOST_BYTES, UnitDone, WorkUnit
from fenestra.model.errors import InputError, RunError
from fenestra.model.version import VERSION

_MOST_CALLS = 2  # of a worker at once: it works at one unit, and stores the one before or has the next one already
_STORE_BYTES = 128 * 2**20  # of Ray's object store on this machine, and what units on their way take besides
_POLL_SECONDS = 0.05  # where a pipe is read, of which Ray's wait knows nothing
_PATIENCE_SECONDS = 30.0  # until it is told that no worker has started
_ALONE: dict[str, Callable[[], str]] = {
    "RAY_AUTH_MODE": lambda: "token",  # else it would write one into the home folder
    "RAY_AUTH_TOKEN": partial(secrets.token_hex, 32),
    "RAY_USAGE_STATS_ENABLED": lambda: "0",
    "RAY_raylet_start_wait_time_s": lambda: "180",  # 30 are not enough where others keep the machine busy
}


@dataclass(slots=True)
class _Actor:
    handle: Any
    starting: Any
    """What is pending until the model is loaded there; then None."""
    stores: bool = False
    """Whether it stores results; else it gives them back."""
    tasks: dict[Any, Task] = field(default_factory=dict)
    """What it is at, by what is pending."""

    def has_room_for(self, task: Task) -> bool:
        """Whether it may be handed a unit now. One at which a worker died is done alone: the next dies of no other."""
        if self.starting is not None:
            return False
        alone = task.tries or any(other.tries > 1 for other in self.tasks.values())
        return len(self.tasks) < (1 if alone else _MOST_CALLS)


class RayPool(InOrder):
    """Actors of Ray, one for each worker."""

    def __init__(
        self,
        work: StoringWork,
        count: int | None,
        *,
        window: Callable[[int], int],
        address: str | None = None,
        threads: int = 1,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            work: what is done with a unit.
            count: of workers; as many as there are CPUs for in the cluster, when omitted.
            window: most units that are done and cannot be given out yet, for so many workers.
            address: of a cluster; when omitted, Ray is started here and ends with the work.
            threads: CPUs of each worker.
            note: is told when no worker starts, and when one dies.
        """
        super().__init__(count or 1, window=0)
        self._work, self._wanted, self._windows, self._address = work, count, window, address
        self._threads, self._note = threads, note
        self._actors: list[_Actor] = []
        self._failed_starts = 0
        self._quiet = ExitStack()

    def __enter__(self) -> Self:
        """Connect to Ray, or start it on this machine.

        Raises:
            InputError: there is no such cluster.
            RunError: Ray does not start here.
        """
        self._quiet.enter_context(_said_nothing())
        try:
            self._ray, self._folder = _connect(self._address, self._count, self._threads)
        except BaseException:
            self._quiet.close()
            raise
        try:
            self._count = self._wanted or max(int(self._ray.cluster_resources().get("CPU", 0)) // self._threads, 1)
            self._window = self._windows(self._count)
            pickled = self._ray.put(pickle.dumps(self._work))
            options = {"num_cpus": self._threads, "max_concurrency": _MOST_CALLS, "scheduling_strategy": "SPREAD"}
            kind = self._ray.remote(**options)(Worker)
            self._new: Callable[[], Any] = partial(kind.remote, pickled, VERSION, self._work.tagger.version)
        except BaseException:
            self._end()
            raise
        self._patience = time.monotonic() + _PATIENCE_SECONDS
        return self

    def _hand_out(self, waiting: deque[Task]) -> None:
        for _ in range(min(self._count - len(self._actors), len(waiting))):
            handle = self._new()
            self._actors.append(_Actor(handle, handle.ready.remote()))
        while waiting:
            task = waiting[0]
            actor = min((one for one in self._actors if one.has_room_for(task)), key=_load, default=None)
            if actor is None:
                return
            task.tries += 1
            actor.tasks[actor.handle.do.remote(task.unit)] = waiting.popleft()

    def _collect(
        self, waiting: deque[Task], done: Callable[[WorkUnit, UnitDone], object], reader: Reader, *, block: bool
    ) -> None:
        pending = {ref: actor for actor in self._actors for ref in (actor.starting, *actor.tasks) if ref is not None}
        if not pending:
            if block and reader.news is not None and not reader.ended:
                reader.news.poll(None)
            return
        longest = _POLL_SECONDS if reader.news is not None and not reader.ended else _PATIENCE_SECONDS
        ready, _ = self._ray.wait(list(pending), num_returns=len(pending), timeout=0)
        if not ready and block:
            ready, _ = self._ray.wait(list(pending), timeout=longest)
        for ref in ready:
            if (actor := pending[ref]) in self._actors:
                self._take(actor, ref, waiting, done)
        if not ready and self._patience and time.monotonic() > self._patience:
            self._tell_what_lacks()

    def _take(
        self,
        actor: _Actor,
        ref: Any,  # noqa: ANN401
        waiting: deque[Task],
        done: Callable[[WorkUnit, UnitDone], object],
    ) -> None:
        """Take an answer of an actor, or learn that it is dead."""
        try:
            found = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            raise RunError(f"a worker failed: {_reason(error)}") from error
        except self._ray.exceptions.RayError as error:
            self._bury(actor, waiting, _reason(error))
            return
        if ref == actor.starting:
            if isinstance(found, Exception):
                raise found
            actor.starting, actor.stores, self._failed_starts, self._patience = None, found, 0, 0.0
            return
        task = actor.tasks.pop(ref)
        if isinstance(found, UnitDone) and not actor.stores and self._work.store is not None:
            found = self._work.store.put(task.unit, _parts(found))
        task.end(found)
        if isinstance(found, UnitDone):
            done(task.unit, found)

    def _bury(self, actor: _Actor, waiting: deque[Task], why: str) -> None:
        """Take an actor that died off the list; what it was at is tried again, and not for ever."""
        self._actors.remove(actor)
        with suppress(Exception):  # it may only have been out of reach
            self._ray.kill(actor.handle)
        if actor.starting is not None:
            self._failed_starts += 1
            if self._failed_starts == MOST_TRIES:
                raise RunError(f"workers ended before they had loaded the model, {MOST_TRIES} times: {why}")
        self._note(f"a worker died, and what it was at is tried again: {why}")
        for task in reversed(actor.tasks.values()):
            if task.tries == MOST_TRIES:
                task.end(DeadWorkers(f"died ({why})", task.unit.without_data()))
            else:
                waiting.appendleft(task)

    def _tell_what_lacks(self) -> None:
        cpus = self._ray.available_resources().get("CPU", 0)
        self._note(f"no worker has started yet: each takes {self._threads} CPUs, and the cluster has {cpus:g} free")
        self._patience = 0.0

    def _rest(self) -> None:
        self._end()

    def _end(self) -> None:
        """End the actors, and Ray where it was started here."""
        for actor in self._actors:
            with suppress(Exception):  # whatever became of it, it is not to hinder the end
                self._ray.kill(actor.handle)
        self._actors = []
        self._ray.shutdown()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._quiet.close()


def _connect(address: str | None, count: int, threads: int) -> tuple[Any, str]:
    """Connect to a cluster; without one, start Ray here. Gives Ray, and the folder of its sockets and logs.

    Ray that is started here is for this run alone: it has a token that is written nowhere, and tells nobody of its use.
    """
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    folder = ""
    if address is None:
        folder = tempfile.mkdtemp(prefix="ray-")
        options |= {
            "num_cpus": count * threads, "include_dashboard": False, "_temp_dir": folder,
            "object_store_memory": _STORE_BYTES + 2 * count * _MOST_CALLS * MOST_BYTES,
        }  # fmt: skip
        for name, value in _ALONE.items():
            os.environ.setdefault(name, value())
    import ray  # looks at these variables

    try:
        with _signals_kept():
            ray.init(address or "local", **options)
    except Exception as error:  # it raises no narrower one where a machine is too busy
        ray.shutdown()
        if address:
            raise InputError(f"--address {address}: {_reason(error)}") from error
        shutil.rmtree(folder, ignore_errors=True)
        raise RunError(f"--engine ray: Ray does not start here: {_reason(error)}") from error
    return ray, folder


@contextmanager
def _said_nothing() -> Iterator[None]:
    """Let nothing of what Ray prints come between results on standard output; what matters of it is told by us."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Leave the answer to SIGTERM as it was: Ray puts its own in its place."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _load(actor: _Actor) -> int:
    return len(actor.tasks)


def _parts(done: UnitDone) -> list[Tagged]:
    """What became of each piece of a unit that was given back."""
    parts, offset = [], 0
    for piece in done.pieces:
        written = done.written[offset : offset + piece.size]
        parts.append(Tagged(written, piece.texts, piece.tokens, list(piece.bad), piece.stopped, Counter(piece.misread)))
        offset += piece.size
    return parts


def _reason(error: Exception) -> str:
    """The first line of what Ray says, which says the rest of it in many more."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
