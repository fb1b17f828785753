"""The one way from a request to the model: a short queue in front of one worker.

Routes await :meth:`Inference.texts` and :meth:`Inference.sentences` and know nothing of how the work is done.
Today each request is one call of the tagger, on one thread of its own: the event loop stays free to answer
probes, and two calls never compete for the same cores.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from app.edge.problems import Problem
from model import Analysis

T = TypeVar("T", str, Sequence[str])


class TagsText(Protocol):
    """What the service needs of a tagger. :class:`model.Tagger` has it; tests bring a stub."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that entities can have."""

    @property
    def version(self) -> str:
        """Which model this is, down to the weights."""

    def analyse(self, texts: Sequence[str], /) -> list[Analysis]:
        """Tag raw texts; one analysis each, in order, with code-point offsets."""

    def analyse_tokens(self, sentences: Sequence[Sequence[str]], /) -> list[Analysis]:
        """Tag sentences that are words already; offsets count words."""


class Inference:
    """Asks the tagger, one request after another, within a bounded queue and a deadline."""

    def __init__(self, tagger: TagsText, *, max_waiting: int, deadline_seconds: float) -> None:
        self._tagger = tagger
        self._places = max_waiting + 1  # one at work, the rest waiting
        self._deadline = deadline_seconds
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._lock = threading.Lock()
        self._depth = 0

    @property
    def depth(self) -> int:
        """Requests at work or waiting, those included whose client was told that it took too long."""
        return self._depth

    async def texts(self, texts: Sequence[str]) -> list[Analysis]:
        """Analyse raw texts; one analysis each, in order.

        Raises:
            Problem: ``overloaded`` when the queue is full, ``timeout`` after the deadline.
        """
        return await self._ask(self._tagger.analyse, texts)

    async def sentences(self, sentences: Sequence[Sequence[str]]) -> list[Analysis]:
        """Analyse sentences that are words already.

        Raises:
            Problem: as :meth:`texts`.
        """
        return await self._ask(self._tagger.analyse_tokens, sentences)

    def close(self) -> None:
        """Drop what waits and let the worker end after what it is doing."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, work: Callable[[Sequence[T]], list[Analysis]], items: Sequence[T]) -> list[Analysis]:
        self._enter()
        job = self._worker.submit(work, items)
        # Not in a `finally` here: a job given up by its client holds its place until the worker is rid of it.
        job.add_done_callback(lambda _: self._leave())
        try:
            async with asyncio.timeout(self._deadline) as deadline:
                return await asyncio.wrap_future(job)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Problem("timeout", f"no answer within {self._deadline:g} seconds; send less at once") from None

    def _enter(self) -> None:
        with self._lock:
            if self._depth >= self._places:
                raise Problem("overloaded", "too many requests are waiting; try again in a moment")
            self._depth += 1

    def _leave(self) -> None:
        with self._lock:
            self._depth -= 1
