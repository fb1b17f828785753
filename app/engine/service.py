"""The lifecycle of the service: loading models, readiness, draining, failure."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from starlette.requests import Request

from fenestra.app.engine.heap import release_memory
from fenestra.app.engine.inference import Inference
from fenestra.app.engine.jobs import TagsText
from fenestra.app.engine.learning import Learning
from fenestra.app.engine.link import Link
from fenestra.app.engine.loop_work import LoopWork
from fenestra.app.engine.memory import MemoryBudget
from fenestra.app.engine.models import Models, freeze_objects, open_model, reason_of, run_in_thread
from fenestra.app.errors import Problem, log
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings

_CHECK_SECONDS = 0.25  # how often to check whether the model is stuck
_STUCK_CHECKS = 2  # in a row that have to find it stuck


class Service:
    """The state that all routes share: settings, metrics, the models and the inference queue."""

    inference: Inference
    long_line: asyncio.Lock
    """Held by the one stream whose long line is parsed or waits, parsed, for room in the queue."""

    def __init__(self, settings: Settings, tagger: TagsText | None, link: Link | None = None) -> None:
        """Set up.

        Args:
            settings: of the service.
            tagger: serves instead of the models that the settings name.
            link: to the supervisor, if this process is one of several workers.
        """
        self.settings = settings
        self._link = link
        self.metrics = Metrics()
        self.memory = MemoryBudget(settings.max_buffered_mb * 2**20)
        """Of bodies that are read and responses that are sent."""
        self.work = LoopWork()
        """Everything that could keep the event loop busy."""
        read = partial(open_model, settings=settings) if tagger is None else lambda *_: tagger
        self.models = Models(settings, self.metrics, read, link.reload if link else None)
        self.learning = Learning(settings, self.models, self.metrics)
        self.failure: str | None = None
        """Why the process has to end; None as long as it works."""
        self.exit_code = 0
        """The exit code that belongs to the failure."""
        self.stopping = asyncio.Event()
        """Set when a shutdown has begun: requests are still answered, but ``/readyz`` fails."""
        self.limits_connections = False
        """Whether the server that runs the application limits connections, and has deadlines for them."""
        self._reloading: asyncio.Task[None] | None = None
        self._reload_again = False
        self.stuck = False
        """Whether the model has stopped responding."""

    @property
    def overloaded(self) -> bool:
        """Whether the next request to the model would be refused."""
        return self.inference.full and not self.inference.make_room()

    def check_alive(self) -> None:
        """Check liveness.

        Raises:
            Problem: ``not_ready``: the model is stuck.
        """
        if self.stuck:
            raise Problem("not_ready", "the model does not answer")

    def check_ready(self) -> None:
        """Check readiness.

        Raises:
            Problem: ``not_ready``, saying why.
        """
        if self.stopping.is_set():
            raise Problem("not_ready", "the service is stopping")
        self.check_alive()
        self.models.get()

    def drain(self) -> None:
        """Begin the shutdown: ``/readyz`` fails from now on, while all requests are still answered."""
        self.stopping.set()
        self.metrics.draining(True)
        log.info("stopping: not ready from now on")

    def reload_all(self) -> None:
        """Begin to reload all models, as SIGHUP asks for; if that is under way, do it once more afterwards."""
        self._reload_again = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_all())

    async def _reload_all(self) -> None:
        while self._reload_again:
            self._reload_again = False
            log.info("SIGHUP: all models are loaded again")
            for model in self.models:
                with suppress(Problem):  # logged and counted; the model before serves on
                    await self.models.reload(model.name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the models, serve, and stop.

        The start waits ``start_wait_seconds`` for the models, so that a bad folder stops it and a small model is ready
        for the first request. A large model goes on loading in its thread while the probes are answered already.

        Raises:
            FenestraError: a model cannot be loaded.
        """
        self.inference = Inference(self.settings, self.metrics, self.memory)
        self.long_line = asyncio.Lock()
        self.work.start()
        self.memory.relieved = partial(self.work.begin_aside, release_memory)
        loading = asyncio.create_task(self._load())
        done, _ = await asyncio.wait({loading}, timeout=self.settings.start_wait_seconds)
        if done:
            loading.result()
        else:
            loading.add_done_callback(self._loaded_late)
        tasks = [loading, asyncio.create_task(self._watch_folders(loading)), asyncio.create_task(self._watch_model())]
        try:
            yield
        finally:
            await self.learning.close()
            if self._reloading is not None:
                tasks.append(self._reloading)
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
            self.models.close()
            self.inference.close()
            self.memory.relieved = lambda: None
            self.work.close()

    async def exposition(self) -> bytes:
        """The metrics in Prometheus' text format, of all workers together.

        Raises:
            Problem: ``not_ready``: the supervisor does not answer.
        """
        if self._link is not None:
            return await self._link.exposition()
        return await self.work.aside(self.metrics.exposition)

    async def _load(self) -> None:
        """Load the models, or take those that were loaded before this process began."""
        if self._link is None:
            await self.models.load()
        else:
            self.models.serve(self._link.loaded)
            self._link.serve_models(self.models)
            await run_in_thread(freeze_objects)

    def _loaded_late(self, loading: asyncio.Task[None]) -> None:
        """End the process if a model that was still loading after the start cannot be loaded."""
        if loading.cancelled() or (error := loading.exception()) is None:
            return
        self._end(f"the model cannot be loaded: {reason_of(error)}", 2)

    async def _watch_folders(self, loading: asyncio.Task[None]) -> None:
        """Reload models whose folders change, if the settings ask for it."""
        if self.settings.watch_seconds and (self._link is None or self._link.watches):
            await asyncio.wait({loading})
            await self.models.watch(self.settings.watch_seconds)

    async def _watch_model(self) -> None:
        """End the process when the model is stuck: its thread cannot be stopped, but the process can be restarted.

        One check is not enough: a process that was suspended, for instance to migrate its machine, seems to have been
        busy all the time when it resumes.
        """
        stuck_checks = 0
        while stuck_checks < _STUCK_CHECKS:
            await asyncio.sleep(_CHECK_SECONDS)
            stuck_checks = stuck_checks + 1 if self.inference.busy_seconds >= self.settings.stuck_seconds else 0
        self.stuck = True
        self.inference.give_up()
        self._end(f"the model has not answered for {self.settings.stuck_seconds:g} seconds", 1)

    def _end(self, reason: str, exit_code: int) -> None:
        """Shut the server down, if there is one that handles SIGTERM."""
        self.failure, self.exit_code = reason, exit_code
        log.critical("%s", reason)
        if callable(signal.getsignal(signal.SIGTERM)):
            signal.raise_signal(signal.SIGTERM)


def service_of(request: Request) -> Service:
    """The service of a request's application."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
