"""Who waits for a reload: those that ask for the same model before it has begun share one.

    asked   1 ─▶ begins            done ▷ 1
            2, 3, 4 ─▶ wait        ─▶ one reload for all of them, if one is still there
                     5 … (limit) ─▶ refused

A reload that has begun may have read files that were written before the request came, so it answers nobody who came
later. Models do not wait for one another: the folder of one may lie on a file system that does not respond.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from fenestra.app.engine.jobs import ClientGone
from fenestra.app.errors import Problem
from fenestra.app.observability.metrics import Metrics

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Waiter(Generic[T]):
    """A request for a reload that has not begun."""

    gone: Callable[[], bool]
    """Whether nobody waits for the answer any more."""
    answer: asyncio.Future[T]


class Reloads(Generic[T]):
    """Runs reloads, one at a time for each model. Lives on one event loop."""

    def __init__(self, reload: Callable[[str], Awaitable[T]], most_waiting: int, metrics: Metrics) -> None:
        """Set up.

        Args:
            reload: loads the model of that name anew.
            most_waiting: requests that may wait for reloads that have not begun, all models together.
            metrics: counts refusals.
        """
        self._reload = reload
        self._most_waiting = most_waiting
        self._metrics = metrics
        self._waiting: dict[str, list[_Waiter[T]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def waiting(self) -> int:
        """Requests that wait for a reload that has not begun."""
        return sum(map(len, self._waiting.values()))

    async def ask(self, name: str, gone: Callable[[], bool] | None = None) -> T:
        """Reload a model, together with others that ask for the same.

        Args:
            name: of the model.
            gone: whether the client has disconnected; None if it is no client that asks but the service itself, which
                is not refused.

        Raises:
            Problem: ``overloaded``: too many wait; or what the reload raises.
            ClientGone: the client disconnected before the reload began.
        """
        if gone is not None:
            self._check_room()
        waiter: _Waiter[T] = _Waiter(gone or _never, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(name, []).append(waiter)
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._run(name))
        return await waiter.answer

    def close(self) -> None:
        """Stop waiting for what is under way, and begin nothing more."""
        for waiter in chain.from_iterable(self._waiting.values()):
            waiter.answer.cancel()
        for task in self._tasks.values():
            task.cancel()

    def _check_room(self) -> None:
        """Refuse a request if there is no room for it.

        Raises:
            Problem: ``overloaded``.
        """
        if self.waiting >= self._most_waiting:
            for name, waiters in self._waiting.items():
                self._waiting[name] = _still_there(waiters)
        if self.waiting >= self._most_waiting:
            self._metrics.refused("overloaded")
            raise Problem("overloaded", "too many requests wait for a reload; try again in a moment")

    async def _run(self, name: str) -> None:
        """Reload a model as long as somebody waits for it."""
        try:
            while waiters := self._waiting.pop(name, []):
                if waiters := _still_there(waiters):
                    await self._answer(name, waiters)
        finally:
            del self._tasks[name]

    async def _answer(self, name: str, waiters: list[_Waiter[T]]) -> None:
        """Reload a model once, for all of these."""
        try:
            found = await self._reload(name)
        except Exception as error:
            for waiter in _unanswered(waiters):
                waiter.answer.set_exception(error)
        except asyncio.CancelledError:
            for waiter in _unanswered(waiters):
                waiter.answer.cancel()
            raise
        else:
            for waiter in _unanswered(waiters):
                waiter.answer.set_result(found)


def _never() -> bool:
    return False


def _unanswered(waiters: list[_Waiter[T]]) -> list[_Waiter[T]]:
    """Those whose requests have not been cut off meanwhile."""
    return [waiter for waiter in waiters if not waiter.answer.done()]


def _still_there(waiters: list[_Waiter[T]]) -> list[_Waiter[T]]:
    """Those whose clients are there; tells the others that they are not."""
    there = []
    for waiter in _unanswered(waiters):
        if waiter.gone():
            waiter.answer.set_exception(ClientGone())
        else:
            there.append(waiter)
    return there
