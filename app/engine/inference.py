"""A bounded queue with a deadline in front of the worker thread.

Routes await :meth:`Inference.run`, and what answers without a task calls :meth:`Inference.begin`. This class lives on
the event loop: it admits jobs to the queue, expires those that wait too long, and delivers the results. The worker
thread, which computes, is in :mod:`fenestra.app.engine.worker`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fenestra.app.engine.jobs import ClientGone, Done, Item, Job, Pieces, Works
from fenestra.app.engine.memory import MemoryBudget
from fenestra.app.engine.worker import Answers, Worker
from fenestra.app.errors import Problem
from fenestra.app.observability.metrics import Metrics
from fenestra.app.observability.traces import Trace
from fenestra.app.settings import Settings

_STREAM_SHARE = 2  # streams use at most one half of the queue, so that single requests find room


def _never() -> bool:
    return False


class Inference:
    """Runs jobs on a tagger, within a bounded queue and a deadline. Lives on one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics, memory: MemoryBudget) -> None:
        """Start the worker thread.

        Args:
            settings: of the service.
            metrics: count what is refused.
            memory: of bodies and responses; while it is full, no large request is taken.
        """
        self._max_jobs = settings.max_waiting
        self._max_tokens = settings.max_waiting_tokens
        self._deadline = settings.deadline_seconds
        self._metrics = metrics
        self._memory = memory
        self._memory.freed = partial(self._wake_waiters, 1)
        self._large = settings.batch_tokens
        self._jobs: dict[Job, None] = {}  # in the order in which they came
        self._expiry: asyncio.TimerHandle | None = None  # of the oldest of them, or of one that was it
        self._tokens = 0
        self._arrived: list[Job] = []
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(metrics, batch_tokens=settings.batch_tokens, deliver=self._deliver_soon)
        metrics.queue(lambda: self.depth, self._max_jobs)

    @property
    def depth(self) -> int:
        """Jobs that wait or are being computed."""
        return len(self._jobs)

    @property
    def full(self) -> bool:
        """Whether the next request would be refused."""
        return len(self._jobs) >= self._max_jobs or self._tokens >= self._max_tokens

    @property
    def busy_seconds(self) -> float:
        """How long the current step of the model has taken so far, in seconds."""
        return self._worker.busy_seconds

    async def run(
        self,
        tagger: Works,
        items: Sequence[Item],
        render: Callable[[list[Any]], Iterator[bytes]],
        is_disconnected: Callable[[], bool] = _never,
        *,
        trace: Trace | None = None,
    ) -> Pieces:
        """Tag items and render the response, both on the worker thread.

        Args:
            tagger: the model; a reload meanwhile does not change it.
            items: texts and sentences of words.
            render: makes the response, in pieces, from one result an item.
            is_disconnected: whether the client has disconnected; called from any thread.
            trace: of the request, if it is traced.

        Raises:
            Problem: ``overloaded`` when the queue is full, ``timeout`` after the deadline.
            ClientGone: the client disconnected first.
        """
        job, answer = self._awaited(tagger, items, render, is_disconnected, trace)
        self._check_room(job)
        self._submit_awaited(job, answer)
        try:
            return await answer
        finally:
            del job, answer  # or an error that is raised here would hold this frame, and the frame the error

    def begin(
        self,
        tagger: Works,
        items: Sequence[Item],
        render: Callable[[list[Any]], Iterator[bytes]],
        is_disconnected: Callable[[], bool],
        done: Done,
        *,
        trace: Trace | None = None,
    ) -> Job:
        """As :meth:`run`, without waiting: ``done`` is called with the response or what is raised there, but not yet.

        Raises:
            Problem: ``overloaded``.
        """
        job = Job(tagger, items, render, is_disconnected, done, trace, time.monotonic())
        self._check_room(job)
        self._submit(job)
        return job

    def run_after_room(
        self,
        tagger: Works,
        items: Sequence[Item],
        render: Callable[[list[Any]], Iterator[bytes]],
        is_disconnected: Callable[[], bool],
    ) -> "asyncio.Future[Pieces]":
        """As :meth:`run`, for a caller that has just awaited :meth:`room`; the job is in the queue at once.

        Returns:
            The response, or the error that :meth:`run` raises. Cancelling it takes the job out of the queue.
        """
        job, answer = self._awaited(tagger, items, render, is_disconnected, None)
        self._submit_awaited(job, answer)
        return answer

    def make_room(self) -> bool:
        """Remove the jobs whose clients have disconnected; returns whether the next request finds room."""
        for job in tuple(self._jobs):
            if job.gone():
                self._answer(job, ClientGone())
        return not self.full

    async def room(self) -> None:
        """Wait until half of the queue is free, as streams do instead of being refused, and memory for responses.

        Raises:
            Problem: ``overloaded``: the model is stuck.
        """
        waited = False
        while (
            len(self._jobs) * _STREAM_SHARE >= self._max_jobs
            or self._tokens * _STREAM_SHARE >= self._max_tokens
            or self._memory.crowded
        ):
            if not self._max_jobs:
                raise Problem("overloaded", "the model does not answer; try again in a moment")
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            waited = True
            try:
                await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():  # it was woken and will not use the room: wake the next one
                    self._wake_waiters(1)
                raise
        if waited:  # there may be room for the next one, too, and nobody knows whether this one will take any
            self._wake_waiters(1)

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue that nobody waits for any more, if it is in there."""
        job.is_done = True
        if job in self._jobs:
            del self._jobs[job]
            self._tokens -= job.tokens
            self._wake_waiters(1)

    def _awaited(
        self,
        tagger: Works,
        items: Sequence[Item],
        render: Callable[[list[Any]], Iterator[bytes]],
        is_disconnected: Callable[[], bool],
        trace: Trace | None,
    ) -> "tuple[Job, asyncio.Future[Pieces]]":
        """A job and its answer, to be awaited."""
        answer: asyncio.Future[Pieces] = self._loop.create_future()
        done = partial(_settle, answer)
        job = Job(tagger, items, render, lambda: answer.cancelled() or is_disconnected(), done, trace, time.monotonic())
        return job, answer

    def _submit_awaited(self, job: Job, answer: "asyncio.Future[Pieces]") -> None:
        """Add a job to the queue; cancelling its answer takes it out."""
        # Not before there is room: what was refused would be in a cycle, and be kept with its texts.
        answer.add_done_callback(lambda _: self.cancel(job))
        self._submit(job)

    def _submit(self, job: Job) -> None:
        """Add a job to the queue, until it is answered or nobody waits for it any more."""
        self._jobs[job] = None
        self._tokens += job.tokens
        if not self._arrived:
            self._loop.call_soon(self._submit_arrived)
        self._arrived.append(job)
        if self._expiry is None:
            self._expiry = self._loop.call_later(self._deadline, self._expire_oldest)

    def give_up(self) -> None:
        """Fail all jobs, now and from now on: the model is stuck."""
        self._max_jobs = 0
        for job in tuple(self._jobs):
            self._expire(job)
        self._wake_waiters(len(self._waiters))

    def close(self) -> None:
        """Let the worker thread end after its current step."""
        self._worker.close()

    def _submit_arrived(self) -> None:
        """Queue all jobs of one turn of the event loop at once: waking the worker costs more than a job."""
        arrived, self._arrived = self._arrived, []
        self._worker.put(arrived)

    def _check_room(self, job: Job) -> None:
        """Refuse a job if there is no room for it.

        Raises:
            Problem: ``overloaded``.
        """
        if not self._fits(job):
            self.make_room()
            if not self._fits(job):
                self._metrics.refused("overloaded")
                raise Problem("overloaded", "too many requests are waiting; try again in a moment")

    def _fits(self, job: Job) -> bool:
        """Whether there is room for a job; an empty queue takes a job of any size."""
        if self.full or (self._memory.full and job.tokens > self._large):
            return False
        return not self._jobs or self._tokens + job.tokens <= self._max_tokens

    def _answer(self, job: Job, answer: Pieces | BaseException) -> None:
        """Take a job out of the queue, and give its answer to whoever waits for it."""
        if job.is_done:
            return
        self.cancel(job)
        try:
            job.done(answer)
        except Exception as error:  # of this one: the others of its turn are to have their answers
            self._loop.call_exception_handler({"message": "a response could not be sent", "exception": error})

    def _wake_waiters(self, count: int) -> None:
        """Wake some of those that wait for room, to check again."""
        while self._waiters and count:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def _expire_oldest(self) -> None:
        """Expire the jobs whose deadline has passed; one timer, always that of the oldest job, is enough for all."""
        now = time.monotonic()
        for job in tuple(self._jobs):
            if job.arrived + self._deadline > now:
                break
            self._expire(job)  # the next request of its connection may begin meanwhile, and join the queue
        oldest = next(iter(self._jobs), None)
        left = 0.0 if oldest is None else max(oldest.arrived + self._deadline - now, 0.0)
        self._expiry = None if oldest is None else self._loop.call_later(left, self._expire_oldest)

    def _expire(self, job: Job) -> None:
        if not job.is_done:
            self._metrics.refused("timeout")
            self._answer(job, Problem("timeout", f"no answer within {self._deadline:g} seconds; send less at once"))

    def _deliver_soon(self, answers: Answers) -> None:
        """On the worker thread: pass results to the event loop, which may be closed after a forced shutdown."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, answers)

    def _deliver(self, answers: Answers) -> None:
        for job, answer in answers:
            self._answer(job, answer)


def _settle(answer: "asyncio.Future[Pieces]", with_what: Pieces | BaseException) -> None:
    """Give a result or an error to whoever awaits it, unless nobody does any more."""
    if answer.done():
        return
    if isinstance(with_what, BaseException):
        answer.set_exception(with_what)
    else:
        answer.set_result(with_what)
