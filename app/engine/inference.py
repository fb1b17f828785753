"""The one way from a request to the model: a bounded queue in front of one thread.

Routes await :meth:`Inference.answer` and know nothing of how the work is done. Here, on the event loop, it is decided
who may join the queue, who has waited too long, and who gets which answer; the computing is in
:mod:`fenestra.app.engine.worker`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fenestra.app.engine.jobs import ClientGone, Item, Job, Works
from fenestra.app.engine.worker import Answers, Worker
from fenestra.app.errors import Problem
from fenestra.app.observability.metrics import Metrics
from fenestra.app.observability.traces import Trace
from fenestra.app.settings import Settings

_RESERVED = 2  # streams fill one part in two of the queue, and leave the rest to requests that wait for an answer


class Inference:
    """Asks taggers, within a bounded queue and a deadline. Lives on one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._most = settings.max_waiting
        self._most_tokens = settings.max_waiting_tokens
        self._deadline = settings.deadline_seconds
        self._metrics = metrics
        self._open: set[Job] = set()
        self._tokens = 0
        self._arrived: list[Job] = []
        self._patient: deque[asyncio.Future[None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(metrics, batch_tokens=settings.batch_tokens, deliver=self._deliver_soon)
        metrics.queue(lambda: self.depth, self._most)

    @property
    def depth(self) -> int:
        """Requests at work or waiting."""
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether the next request would be refused."""
        return len(self._open) >= self._most or self._tokens >= self._most_tokens

    @property
    def busy_seconds(self) -> float:
        """How long the model has been in one step of work."""
        return self._worker.busy_seconds

    async def answer(
        self,
        tagger: Works,
        items: Sequence[Item],
        render: Callable[[list[Any]], Iterator[bytes]],
        gone: Callable[[], bool] = lambda: False,
        *,
        trace: Trace | None = None,
        patient: bool = False,
    ) -> bytes:
        """Tag items, and write the answer; both on the worker's thread.

        Args:
            tagger: the model, which stays this one whatever is loaded meanwhile.
            items: texts and sentences of words.
            render: makes the answer, in pieces, from one result an item.
            gone: whether the client has hung up.
            trace: of the request, if it is traced.
            patient: wait for room in the queue, and leave some of it to the others.

        Raises:
            Problem: ``overloaded`` when the queue is full, ``timeout`` after the deadline.
            ClientGone: the client hung up first.
        """
        job = Job(tagger, items, render, gone, self._loop.create_future(), trace, time.monotonic())
        if patient:
            await self._room()
        elif not self._fits(job):
            self._dismiss_gone()
            if not self._fits(job):
                self._metrics.refused("overloaded")
                raise Problem("overloaded", "too many requests are waiting; try again in a moment")
        self._open.add(job)
        self._tokens += job.tokens
        if not self._arrived:
            self._loop.call_soon(self._hand_over)
        self._arrived.append(job)
        expiry = self._loop.call_later(self._deadline, self._expire, job)
        try:
            return await job.answer
        finally:
            expiry.cancel()
            self._leave(job)

    def give_up(self) -> None:
        """Tell all that wait, and all that come, that the model does not answer any more."""
        self._most = 0
        for job in tuple(self._open):
            self._expire(job)
        self._call_patient(len(self._patient))

    def close(self) -> None:
        """Let the worker end after the step that it is in."""
        self._worker.close()

    def _hand_over(self) -> None:
        """Pass on what has arrived in this turn of the loop, all at once: waking the worker costs more than a job."""
        arrived, self._arrived = self._arrived, []
        self._worker.put(arrived)

    async def _room(self) -> None:
        """Wait until less than half of the queue is taken.

        Raises:
            Problem: ``overloaded``: there will be no room any more.
        """
        while len(self._open) * _RESERVED >= self._most or self._tokens * _RESERVED >= self._most_tokens:
            if not self._most:
                raise Problem("overloaded", "the model does not answer; try again in a moment")
            turn = self._loop.create_future()
            self._patient.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # it was called and leaves all the same: its place is for the next one
                    self._call_patient(1)
                raise

    def _fits(self, job: Job) -> bool:
        """Whether there is room for a job; into an empty queue goes one of any size."""
        return not self.full and (not self._open or self._tokens + job.tokens <= self._most_tokens)

    def _leave(self, job: Job) -> None:
        if job not in self._open:
            return
        self._open.remove(job)
        self._tokens -= job.tokens
        self._call_patient(1)

    def _call_patient(self, count: int) -> None:
        """Let some of those that wait for room look whether there is any."""
        while self._patient and count:
            turn = self._patient.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1

    def _dismiss_gone(self) -> None:
        """Make room: whoever hung up needs no place."""
        for job in tuple(self._open):
            if not job.answer.done() and job.gone():
                job.answer.set_exception(ClientGone())
                self._leave(job)

    def _expire(self, job: Job) -> None:
        if not job.answer.done():
            self._metrics.refused("timeout")
            problem = Problem("timeout", f"no answer within {self._deadline:g} seconds; send less at once")
            job.answer.set_exception(problem)

    def _deliver_soon(self, answers: Answers) -> None:
        """On the worker's thread: hand answers to the event loop, which may be gone when a stop was hasty."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(partial(_deliver, answers))


def _deliver(answers: Answers) -> None:
    for job, answer in answers:
        if job.answer.done():
            continue
        if isinstance(answer, BaseException):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)
