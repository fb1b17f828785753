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
from itertools import chain
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from fenestra.cli.bulk.units import UnitDone, WorkUnit
from fenestra.model.errors import RunError

Done = UnitDone | Callable[[], UnitDone]
"""What became of a unit; or what stores it and says so, while the process goes on with the next one."""
Work = Callable[[WorkUnit, Callable[[], object]], Done]
"""Does a unit, and calls a function every few hundredths of a second; pickled where processes are not forked."""
Method = Literal["fork", "spawn"]

MOST_TRIES = 3
"""Of a unit whose workers die."""
_MOST_AHEAD = 16  # units that are read and wait for a worker
_MOST_STORING = 2  # units of a worker whose results are on their way
_STOP_SECONDS = 5.0


@dataclass(slots=True)
class _Task:
    """A unit on its way."""

    unit: WorkUnit
    done: UnitDone | Exception | None = None
    tries: int = 0


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    task: _Task | None = None
    """What it is at."""
    storing: deque[_Task] = field(default_factory=deque)
    """What it has done, whose results are on their way."""


class Pool:
    """Workers, started when there is work for them; a context manager, which ends them."""

    def __init__(self, work: Work, count: int, *, window: int, method: Method | None = None) -> None:
        """Prepare.

        Args:
            work: what is done with a unit.
            count: of processes; with 1, this one does it.
            window: most units that are done and cannot be given out yet, since one before them is not.
            method: how processes are started; forked where that is safe, when omitted.
        """
        self._work, self._count, self._window, self._method = work, count, window, method
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_STOP_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

    def run(
        self,
        units: Iterator[WorkUnit],
        *,
        known: Callable[[WorkUnit], UnitDone | None] = lambda _: None,
        done: Callable[[WorkUnit, UnitDone], object] = lambda *_: None,
        may_block: bool = False,
    ) -> Iterator[tuple[WorkUnit, UnitDone]]:
        """Do units; gives them in order, without their data, and what became of each.

        Args:
            units: what is to be done.
            known: what became of a unit that was done before, if it was.
            done: is told of every unit as soon as it is done, in any order.
            may_block: reading them may wait for something, and what is done must not wait for that.

        Raises:
            RunError: workers died again and again at one unit.
            Exception: whatever the work raises.
        """
        first = next(units, None)
        if first is None:
            return
        units = chain([first], units)
        if self._count == 1 or first.final:
            for unit in units:
                found = known(unit)
                if found is None:
                    found = _stored(self._work(unit, lambda: None))
                    done(unit, found)
                yield unit.without_data(), found
            return
        if may_block:
            for _ in range(self._count):  # while there is no second thread: then they can be forked
                self._start()
        with _Reader(units, threaded=may_block) as reader:
            yield from self._run(reader, known, done)

    def _run(
        self,
        reader: "_Reader",
        known: Callable[[WorkUnit], UnitDone | None],
        done: Callable[[WorkUnit, UnitDone], object],
    ) -> Iterator[tuple[WorkUnit, UnitDone]]:
        """Read, hand out, collect and give on, until all is done."""
        order, waiting = deque[_Task](), deque[_Task]()
        while True:
            while order and (found := order[0].done) is not None:
                if isinstance(found, Exception):
                    raise found
                yield order.popleft().unit, found
            if len(waiting) < min(self._count, _MOST_AHEAD) and len(order) < self._window:
                unit = reader.take()
                if unit is not None:
                    task = _Task(unit, known(unit))
                    order.append(task)
                    if task.done is None:
                        waiting.append(task)
                    else:
                        task.unit = unit.without_data()
            else:
                unit = None
            self._hand_out(waiting)
            if not order and reader.ended:
                for worker in self._workers:  # so that they end while the results are joined
                    worker.connection.close()
                return
            self._collect(waiting, done, reader, block=unit is None)

    def _hand_out(self, waiting: "deque[_Task]") -> None:
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
        waiting: "deque[_Task]",
        done: Callable[[WorkUnit, UnitDone], object],
        reader: "_Reader",
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
                task.done, task.unit = found, task.unit.without_data()
                if isinstance(found, UnitDone):
                    done(task.unit, found)

    def _bury(self, worker: _Worker, waiting: "deque[_Task]") -> None:
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
            last.done, last.unit = DeadWorkers(how, last.unit.without_data()), last.unit.without_data()
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


class DeadWorkers(RunError):
    """Workers died again and again at one unit."""

    def __init__(self, how: str, unit: WorkUnit) -> None:
        super().__init__(how)
        self.how, self.unit = how, unit


class _Reader:
    """Takes units from an iterator, by a thread where that may block."""

    def __init__(self, units: Iterator[WorkUnit], *, threaded: bool) -> None:
        self._units, self.ended = units, False
        self.news: Connection | None = None
        """Has something to read when there may be another unit; None where one can always be taken."""
        self._error: BaseException | None = None
        if threaded:
            self._found: queue.Queue[WorkUnit | None] = queue.Queue(1)
            self.news, self._tell = multiprocessing.Pipe(duplex=False)
            threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        if self.news is not None:
            self.news.close()

    def take(self) -> WorkUnit | None:
        """The next unit; None if there is none yet, or ``ended``."""
        if self.ended:
            return None
        if self.news is None:
            unit = next(self._units, None)
        else:
            try:
                unit = self._found.get_nowait()
            except queue.Empty:
                return None
            self.news.recv_bytes()
        self.ended = unit is None
        if self._error is not None:
            raise self._error
        return unit

    def _read(self) -> None:
        try:
            for unit in self._units:
                self._found.put(unit)
                self._tell.send_bytes(b"1")
        except BaseException as error:  # raised again by `take`
            self._error = error
        self._found.put(None)
        with suppress(OSError):  # nobody listens any more
            self._tell.send_bytes(b"0")


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
            found = _sendable(error)
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
                self._send(found if isinstance(found, Exception) else _stored(found))
            except Exception as error:
                self._send(_sendable(error))
            self._room.release()

    def _send(self, found: UnitDone | Exception | None) -> None:
        with self._lock, suppress(OSError):  # nobody waits for it any more
            self._connection.send(found)


def _stored(done: Done) -> UnitDone:
    return done if isinstance(done, UnitDone) else done()


def _sendable(error: Exception) -> Exception:
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
