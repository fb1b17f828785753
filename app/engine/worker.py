"""The one thread that computes.

Jobs that wait at the same time are tagged as one batch, up to a budget of tokens; no job waits for a batch to fill. A
job larger than the budget yields control after each step, and a batch of small jobs runs between any two of its steps:
so neither delays the other.

    small    ▇▇▇ ▇▇ ▇▇▇▇ ▇ …     all small jobs that wait, one batch
    large       ▅    ▅     ▅ …   one step

One thread, because two would share the cores and slow each other down. Results are batch-invariant: whatever else is
computed with it, a response has the same bits (``model/engine/self_test.py``).
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any

from fenestra.app.engine.heap import release_memory
from fenestra.app.engine.jobs import ClientGone, Job, Pieces
from fenestra.app.observability.metrics import Metrics
from fenestra.model.progress import Progress, finish

_END = object()

Answers = Sequence[tuple[Job, Pieces | BaseException]]


class Worker:
    """Runs jobs on a thread of its own, and delivers their responses in groups."""

    def __init__(self, metrics: Metrics, *, batch_tokens: int, deliver: Callable[[Answers], None]) -> None:
        """Start the thread.

        Args:
            metrics: counts batches and times stages.
            batch_tokens: most tokens in a batch, about.
            deliver: called on the worker thread with finished jobs and their responses or errors.
        """
        self._metrics = metrics
        self._budget = batch_tokens
        self._deliver = deliver
        self._inbox: queue.SimpleQueue[Sequence[Job]] = queue.SimpleQueue()
        self._small: deque[Job] = deque()
        self._large: deque[Job] = deque()
        self._closed = False
        self._busy_since: float | None = None
        # A daemon thread: a step that never ends must not keep the process alive.
        threading.Thread(target=self._run, name="inference", daemon=True).start()

    def put(self, jobs: Sequence[Job]) -> None:
        """Queue jobs."""
        self._inbox.put(jobs)

    def close(self) -> None:
        """End the thread after its current step."""
        self._closed = True
        self._inbox.put(())

    @property
    def busy_seconds(self) -> float:
        """How long the current step has taken so far, in seconds; 0 between steps."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        """Alternate between the small and the large lane until closed."""
        large: Iterator[None] = iter(())
        under_way = False
        while not self._closed:
            self._fetch(wait=not (under_way or self._small or self._large))
            if batch := self._next_batch():
                self._answer(batch)
            del batch  # free it: the worker may now wait for long, and a request has up to megabytes
            if not under_way and self._large:
                large, under_way = self._answer_in_steps(self._large.popleft()), True
            if under_way:
                under_way = next(large, _END) is not _END

    def _fetch(self, *, wait: bool) -> None:
        """Sort new jobs into the lanes."""
        if wait:
            self._busy_since = None
        with suppress(queue.Empty):
            while jobs := self._inbox.get(block=wait):
                for job in jobs:
                    (self._large if job.tokens > self._budget else self._small).append(job)
                wait = False
        self._busy_since = time.monotonic()

    def _next_batch(self) -> list[Job]:
        """The first small jobs of one model that fit into the budget together."""
        batch: list[Job] = []
        room = self._budget
        while self._small and (not batch or self._small[0].tagger is batch[0].tagger) and self._small[0].tokens <= room:
            job = self._small.popleft()
            if job.abandoned:
                self._deliver([(job, ClientGone())])
            else:
                batch.append(job)
                room -= job.tokens
        return batch

    def _answer(self, batch: Sequence[Job]) -> None:
        """Tag a batch. If that fails, tag each job alone, so that only the one at fault fails."""
        try:
            answers = finish(self._tag(batch))
        except ClientGone:
            self._deliver([(job, ClientGone()) for job in batch])  # the one that was raised holds the frames
        except Exception as error:
            if len(batch) > 1:
                for job in batch:
                    self._answer([job])
            else:
                self._deliver([(batch[0], error)])
        else:
            self._deliver(list(zip(batch, answers, strict=True)))

    def _answer_in_steps(self, job: Job) -> Iterator[None]:
        """Tag one large job, yielding control after every step."""
        try:
            answers = yield from self._tag([job])
        except ClientGone:
            self._deliver([(job, ClientGone())])
        except Exception as error:
            self._deliver([(job, error)])
        else:
            self._deliver([(job, answers[0])])
        release_memory()

    def _tag(self, batch: Sequence[Job]) -> Generator[None, None, list[Pieces]]:
        """Tag jobs and render their responses; yields after every bounded piece of work.

        Raises:
            ClientGone: all clients have disconnected.
        """
        now = time.monotonic()
        for job in batch:
            self._metrics.waited(now - job.arrived)
        self._metrics.batch(len(batch), sum(job.tokens for job in batch))
        steps = batch[0].tagger.work([item for job in batch for item in job.items])
        results = yield from self._compute(batch, steps)
        results.reverse()
        answers, rendering = [], 0.0
        for job in batch:
            pieces = []
            began = time.perf_counter()
            for piece in job.render([results.pop() for _ in job.items]):  # from here on, the job alone has them
                pieces.append(piece)
                rendering += time.perf_counter() - began
                yield
                began = time.perf_counter()
            answers.append(pieces)
            if job.trace is not None:
                job.trace.record("wait", job.arrived, now)
                job.trace.record("compute", now, time.monotonic(), tokens=job.tokens, requests=len(batch))
        self._metrics.stage("render", rendering)
        return answers

    def _compute(
        self, batch: Sequence[Job], steps: Generator[Progress, None, list[Any]]
    ) -> Generator[None, None, list[Any]]:
        """Run the tagger's steps, and record how long each takes."""
        while True:
            if all(job.abandoned for job in batch):
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
