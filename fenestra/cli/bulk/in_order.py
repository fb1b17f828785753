"""Units are handed to workers as they are read; what became of them is given on in the order in which they came.

What a worker is, is left open: a process (workers.py), or an actor of Ray (on_ray.py).
"""

import multiprocessing
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from fenestra.cli.bulk.units import UnitDone, WorkUnit
from fenestra.model.errors import RunError

Done = UnitDone | Callable[[], UnitDone]
"""What became of a unit; or what stores it and says so, while the worker goes on with the next one."""
Work = Callable[[WorkUnit, Callable[[], object]], Done]
"""Does a unit, and calls a function every few hundredths of a second; pickled where processes are not forked."""

MOST_TRIES = 3
"""Of a unit whose workers die."""
_MOST_AHEAD = 16  # units that are read and wait for a worker


@dataclass(slots=True)
class Task:
    """A unit on its way."""

    unit: WorkUnit
    done: UnitDone | Exception | None = None
    tries: int = 0

    def end(self, done: UnitDone | Exception) -> None:
        """Keep what became of the unit, and no longer what is in it."""
        self.done, self.unit = done, self.unit.without_data()


class DeadWorkers(RunError):
    """Workers died again and again at one unit."""

    def __init__(self, how: str, unit: WorkUnit) -> None:
        super().__init__(how)
        self.how, self.unit = how, unit


class InOrder:
    """Workers of some kind; a context manager, which ends them.

    A kind of workers says how units are handed out and how what was done is collected.
    """

    def __init__(self, count: int, *, window: int) -> None:
        """Prepare.

        Args:
            count: of workers.
            window: most units that are done and cannot be given out yet, since one before them is not.
        """
        self._count, self._window = count, window

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

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
        here = self._here(first)
        if here is not None:
            for unit in units:
                found = known(unit)
                if found is None:
                    found = stored(here(unit, lambda: None))
                    done(unit, found)
                yield unit.without_data(), found
            return
        if may_block:
            self._start_all()  # while there is no second thread: then they can be forked
        with Reader(units, threaded=may_block) as reader:
            yield from self._run(reader, known, done)

    def _run(
        self,
        reader: "Reader",
        known: Callable[[WorkUnit], UnitDone | None],
        done: Callable[[WorkUnit, UnitDone], object],
    ) -> Iterator[tuple[WorkUnit, UnitDone]]:
        """Read, hand out, collect and give on, until all is done."""
        order, waiting = deque[Task](), deque[Task]()
        while True:
            while order and (found := order[0].done) is not None:
                if isinstance(found, Exception):
                    raise found
                yield order.popleft().unit, found
            if len(waiting) < min(self._count, _MOST_AHEAD) and len(order) < self._window:
                unit = reader.take()
                if unit is not None:
                    task = Task(unit)
                    order.append(task)
                    found = known(unit)
                    if found is None:
                        waiting.append(task)
                    else:
                        task.end(found)
            else:
                unit = None
            self._hand_out(waiting)
            if not order and reader.ended:
                self._rest()
                return
            self._collect(waiting, done, reader, block=unit is None)

    def _here(self, first: WorkUnit) -> Work | None:
        """What does all units in this process, if no other one is worth its start; ``first`` is the first of them."""
        return None

    def _start_all(self) -> None:
        """Start all workers now, if they could not be started later."""

    def _hand_out(self, waiting: deque[Task]) -> None:
        """Give what waits to workers that are free."""
        raise NotImplementedError

    def _collect(
        self, waiting: deque[Task], done: Callable[[WorkUnit, UnitDone], object], reader: "Reader", *, block: bool
    ) -> None:
        """Take what workers have done; with ``block``, wait until there is something to do."""
        raise NotImplementedError

    def _rest(self) -> None:
        """Let the workers end, while the results are joined."""

    def _end(self) -> None:
        """End the workers, whatever they are at."""
        raise NotImplementedError


class Reader:
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

    def __enter__(self) -> "Reader":
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


def stored(done: Done) -> UnitDone:
    """What became of a unit, after it was stored."""
    return done if isinstance(done, UnitDone) else done()
