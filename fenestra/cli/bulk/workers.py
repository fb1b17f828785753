"""Processes that work at the same time; what they did comes in the order in which it was given.

Where it is safe they are forked, so that the memory of the model is shared; elsewhere each loads the model for itself.
One that dies is replaced, and what it was at is tried again.
"""

import gc
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from fenestra.cli.bulk.in_order import MOST_TRIES, DeadWorkers, Done, InOrder, Reader, Task, Work, stored
from fenestra.cli.bulk.units import UnitDone, WorkUnit
from fenestra.model.errors import RunError

Method = Literal["fork", "spawn"]

_MOST_STORING = 2  # units of a worker whose results are on their way
_STOP_SECONDS = 5.0


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None
    """What it is at."""
    storing: deque[Task] = field(default_factory=deque)
    """What it has done, whose results are on their way."""


class Pool(InOrder):
    """Workers, started when there is work for them; a context manager, which ends them."""

    def __init__(self, work: Work, count: int, *, window: int, method: Method | None = None) -> None:
        """Prepare.

        Args:
            work: what is done with a unit.
            count: of processes; with 1, this one does it.
            window: most units that are done and cannot be given out yet, since one before them is not.
            method: how processes are started; forked where that is safe, when omitted.
        """
        super().__init__(count, window=window)
        self._work, self._method = work, method
        self._workers: list[_Worker] = []

    def _here(self, first: WorkUnit) -> Work | None:
        return self._work if self._count == 1 or first.final else None

    def _start_all(self) -> None:
        for _ in range(self._count):
            self._start()

    def _rest(self) -> None:
        for worker in self._workers:
            worker.connection.close()

    def _end(self) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_STOP_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

    def _hand_out(self, waiting: deque[Task]) -> None:
        """Give what waits to workers that are free, and to new ones."""
        while waiting:
            worker = next((worker for worker in self._workers if worker.task is None), None)
            if worker is None:
                if len(self._workers) == self._count:
                    return
                worker = self._start()
            worker.task = waiting.popleft()
            worker.task.tries += 1
            with suppress(OSError):  # it is dead, which shows when it is waited for
                worker.connection.send(worker.task.unit)

    def _collect(
        self,
        waiting: deque[Task],
        done: Callable[[WorkUnit, UnitDone], object],
        reader: Reader,
        *,
        block: bool,
    ) -> None:
        """Take what workers have done; with ``block``, wait until there is something to do."""
        sources: list[Any] = [worker.connection for worker in self._workers]
        if reader.news is not None and not reader.ended:
            sources.append(reader.news)
        ready = wait(sources, None if block else 0) if sources else []
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            try:
                found = worker.connection.recv()
            except (EOFError, OSError, pickle.UnpicklingError):
                self._bury(worker, waiting)
                continue
            if found is None and worker.task is not None:
                worker.storing.append(worker.task)
                worker.task = None
            elif worker.storing:
                task = worker.storing.popleft()
                task.end(found)
                if isinstance(found, UnitDone):
                    done(task.unit, found)

    def _bury(self, worker: _Worker, waiting: deque[Task]) -> None:
        """Take a worker that died off the list; what it was at is tried again, and not for ever."""
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        lost = [*worker.storing, *([worker.task] if worker.task else [])]
        if not lost:
            return
        last = lost[-1]
        for task in lost[:-1]:  # it did not die of them
            task.tries -= 1
        if last.tries == MOST_TRIES:
            code = worker.process.exitcode or 0
            how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
            last.end(DeadWorkers(how, last.unit.without_data()))
        waiting.extendleft(task for task in reversed(lost) if task.done is None)

    def _start(self) -> _Worker:
        """Start a worker."""
        method = self._method or ("fork" if can_fork() else "spawn")
        ours, theirs = multiprocessing.Pipe()
        others = [ours, *(worker.connection for worker in self._workers)] if method == "fork" else []
        context: Any = multiprocessing.get_context(method)  # its type does not say that it has processes
        process = context.Process(target=_serve, args=(theirs, self._work, os.getpid(), others), daemon=True)
        if method == "fork" and not gc.get_freeze_count():
            gc.freeze()  # a collection would write to every page that is shared
        with _interrupts_blocked():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker


def can_fork() -> bool:
    """Whether this process has one thread, so that a copy of it can go on as it is."""
    if sys.platform != "linux":
        return False
    return len(list(Path("/proc/self/task").iterdir())) == 1


def _serve(connection: Connection, work: Work, parent: int, others: list[Connection]) -> None:
    """Do what comes, until nothing comes any more."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:  # so that their ends show when this process lives on
        other.close()

    def check_parent() -> None:
        if os.getppid() != parent:
            os._exit(1)

    answers = _Answers(connection)
    while True:
        try:
            unit = connection.recv()
        except (EOFError, OSError):
            return
        try:
            found: Done | Exception = work(unit, check_parent)
        except Exception as error:
            found = sendable(error)
        answers.give(found)


class _Answers:
    """Stores and sends, in order, what was done, in a thread: a disk that is slow delays no work.

    Who was told that the next unit may come sends it, and reads nothing meanwhile: so nothing is waited for in between.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self._waiting: queue.SimpleQueue[Done | Exception] = queue.SimpleQueue()
        self._room = threading.Semaphore(_MOST_STORING)
        threading.Thread(target=self._run, daemon=True).start()

    def give(self, found: Done | Exception) -> None:
        """Wait for room, tell that the next unit may come, and later what became of this one."""
        self._room.acquire()
        self._send(None)
        self._waiting.put(found)

    def _run(self) -> None:
        while True:
            found = self._waiting.get()
            try:
                self._send(found if isinstance(found, Exception) else stored(found))
            except Exception as error:
                self._send(sendable(error))
            self._room.release()

    def _send(self, found: UnitDone | Exception | None) -> None:
        with self._lock, suppress(OSError):  # nobody waits for it any more
            self._connection.send(found)


def sendable(error: Exception) -> Exception:
    """An error, or one that says the same where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RunError(f"a worker failed: {type(error).__name__}: {error}")
    return error


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal; those that are started here leave it to this one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
