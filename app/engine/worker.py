"""The one thread that computes.

What waits together is tagged together, up to a budget of tokens; nothing waits for company. A request larger than the
budget is taken a step at a time, with a batch of the others between any two of its steps, so that neither holds up
the other:

    small    ▇▇▇ ▇▇ ▇▇▇▇ ▇ …     all that wait, one batch
    large       ▅    ▅     ▅ …   one step

One thread, because two would share the cores and slow each other down; and whatever order things are computed in, an
answer has the same bits (``model/tiles.py``).
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from fenestra.app.engine.jobs import ClientGone, Job
from fenestra.app.observability.metrics import Metrics
from fenestra.model.steps import Step, run

_END = object()

Answers = Sequence[tuple[Job, bytes | BaseException]]


class Worker:
    """Takes jobs off a queue on a thread of its own, and hands their answers back in groups."""

    def __init__(self, metrics: Metrics, *, batch_tokens: int, deliver: Callable[[Answers], None]) -> None:
        """Start the thread.

        Args:
            metrics: counts batches and times stages.
            batch_tokens: what a batch holds at most, about.
            deliver: called on the worker's thread with finished jobs and their answers, or what went wrong.
        """
        self._metrics = metrics
        self._budget = batch_tokens
        self._deliver = deliver
        self._inbox: queue.SimpleQueue[Sequence[Job]] = queue.SimpleQueue()
        self._small: deque[Job] = deque()
        self._large: deque[Job] = deque()
        self._closed = False
        self._busy_since: float | None = None
        # A daemon: a step that never ends must not keep the process from ending.
        threading.Thread(target=self._run, name="inference", daemon=True).start()

    def put(self, jobs: Sequence[Job]) -> None:
        """Queue jobs."""
        self._inbox.put(jobs)

    def close(self) -> None:
        """End the thread after the step that it is in."""
        self._closed = True
        self._inbox.put(())

    @property
    def busy_seconds(self) -> float:
        """How long the current step has taken so far; 0 between steps."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        """Alternate between the two lanes until closed."""
        large: Iterator[None] = iter(())
        under_way = False
        while not self._closed:
            self._fetch(wait=not (under_way or self._small or self._large))
            if batch := self._next_batch():
                self._answer(batch)
            del batch  # the worker may sleep for long now, and a request is up to megabytes
            if not under_way and self._large:
                large, under_way = self._answer_in_steps(self._large.popleft()), True
            if under_way:
                under_way = next(large, _END) is not _END

    def _fetch(self, *, wait: bool) -> None:
        """Sort what has come in into the lanes."""
        if wait:
            self._busy_since = None
        with suppress(queue.Empty):
            while jobs := self._inbox.get(block=wait):
                for job in jobs:
                    (self._large if job.tokens > self._budget else self._small).append(job)
                wait = False
        self._busy_since = time.monotonic()

    def _next_batch(self) -> list[Job]:
        """The first jobs for one model that fit into the budget together."""
        batch: list[Job] = []
        room = self._budget
        while self._small and (not batch or self._small[0].tagger is batch[0].tagger) and self._small[0].tokens <= room:
            job = self._small.popleft()
            if job.unwanted:
                self._deliver([(job, ClientGone())])
            else:
                batch.append(job)
                room -= job.tokens
        return batch

    def _answer(self, batch: Sequence[Job]) -> None:
        """Tag a batch. If that fails, tag each job alone: only the one at fault is to suffer."""
        try:
            answers = run(self._tag(batch))
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._answer([job])
            else:
                self._deliver([(batch[0], error)])
        else:
            self._deliver(list(zip(batch, answers, strict=True)))

    def _answer_in_steps(self, job: Job) -> Iterator[None]:
        """Tag one large job, giving way after every step."""
        try:
            answers = yield from self._tag([job])
        except Exception as error:
            self._deliver([(job, error)])
        else:
            self._deliver([(job, answers[0])])

    def _tag(self, batch: Sequence[Job]) -> Generator[None, None, list[bytes]]:
        """Tag jobs and write their answers; yields after every bounded piece of work.

        Raises:
            ClientGone: nobody wants any of the answers any more.
        """
        now = time.monotonic()
        for job in batch:
            self._metrics.waited(now - job.arrived)
        self._metrics.batch(len(batch), sum(job.tokens for job in batch))
        steps = batch[0].tagger.steps([item for job in batch for item in job.items])
        results = iter((yield from self._compute(batch, steps)))
        answers = []
        for job in batch:
            began = time.perf_counter()
            own = list(islice(results, len(job.items)))
            pieces = []
            for piece in job.render(own):
                pieces.append(piece)
                self._metrics.stage("render", time.perf_counter() - began)
                yield
                began = time.perf_counter()
            answers.append(b"".join(pieces))
            if job.trace is not None:
                job.trace.record("wait", job.arrived, now)
                job.trace.record("compute", now, time.monotonic(), tokens=job.tokens, requests=len(batch))
        return answers

    def _compute(
        self, batch: Sequence[Job], steps: Generator[Step, None, list[Any]]
    ) -> Generator[None, None, list[Any]]:
        """Take the tagger's steps, telling how long each took."""
        while True:
            if all(job.unwanted for job in batch):
                raise ClientGone
            self._busy_since = time.monotonic()
            began = time.perf_counter()
            try:
                step = next(steps)
            except StopIteration as end:
                results: list[Any] = end.value
                return results
            self._metrics.stage(step.stage, time.perf_counter() - began)
            if step.tokens:
                self._metrics.tokens(step.tokens, step.unknown)
            yield
