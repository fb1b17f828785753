"""The one place where work for clients runs that could keep the event loop busy.

A request may ask for more than a few milliseconds of work before the model sees it: a body of 2 MB to parse, a quarter
of a million line ends, a thousand chunks of one byte. All such work is cut into slices, each bounded by whoever hands
it in, and goes through here:

* slices of up to about two milliseconds run on the event loop, in the order in which they come, for all clients
  together no longer than :data:`TURN_SECONDS` in each turn of the loop. What is left waits for the next turn, so a
  probe waits for one turn and never for all clients;
* larger ones run on one thread, one after the other.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")
TURN_SECONDS = 0.004
"""How long slices may run in one turn of the event loop, all together; the last one ends later."""
SWITCH_SECONDS = 0.0005
"""How long the event loop waits for the interpreter while the thread is at work."""


class LoopWork:
    """Runs slices of work for all clients, in order. Lives on one event loop."""

    def __init__(self) -> None:
        self._slices: deque[Callable[[], object]] = deque()
        self._scheduled = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reading")

    def start(self) -> None:
        """Start the thread, so that the first large request does not have to."""
        self.begin_aside(int)

    def close(self) -> None:
        """End the thread after its current work."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def soon(self, work: Callable[[], object]) -> None:
        """Run a slice in its turn; it raises no error."""
        self._slices.append(work)
        self._schedule()

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Run a slice in its turn, and return or raise what it does."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.soon(partial(_settle, done, work))
        try:
            return await done
        finally:
            del done  # or an error that is raised here would hold this frame, and the frame the error

    async def aside(self, work: Callable[[], T]) -> T:
        """Run work on the thread. One call into C has to be bounded, too: it keeps the lock of the interpreter."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(_with_short_switches, work))

    def begin_aside(self, work: Callable[[], object]) -> None:
        """Run work on the thread that nobody waits for."""
        self._thread.submit(_with_short_switches, work)

    def _take_turn(self) -> None:
        """Run slices until the time of this turn is used up."""
        end = time.perf_counter() + TURN_SECONDS
        while self._slices:
            self._slices.popleft()()
            if time.perf_counter() >= end:
                break
        self._scheduled = False
        if self._slices:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._take_turn)


def _with_short_switches(work: Callable[[], T]) -> T:
    """Do work on the thread. Whenever the event loop wakes up meanwhile, it gets the interpreter ten times as soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return work()
    finally:
        sys.setswitchinterval(before)


def _settle(done: "asyncio.Future[T]", work: Callable[[], T]) -> None:
    """Do work for whoever waits for it, unless nobody does any more."""
    if done.done():
        return
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)
    finally:
        del done  # as above: what only the garbage collector can free costs the event loop its time
