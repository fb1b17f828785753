"""The life of the service: loading the models, being ready, draining, ending."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from starlette.requests import Request

from fenestra.app.engine.inference import Inference
from fenestra.app.engine.jobs import TagsText
from fenestra.app.engine.models import Models, open_model
from fenestra.app.errors import Problem, log
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from fenestra.model.errors import FenestraError

_LOOK_SECONDS = 0.25  # how often to look whether the model is stuck
_LATE_LOOKS = 2  # in a row that find it so


class Service:
    """What the routes share: settings, metrics, the models as soon as there are any, and the way to them."""

    inference: Inference

    def __init__(self, settings: Settings, tagger: TagsText | None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        read = partial(open_model, settings=settings) if tagger is None else lambda _: tagger
        self.models = Models(settings, self.metrics, read)
        self.failure: str | None = None
        """Why the process has to end; None as long as all is well."""
        self.exit_code = 0
        """What the process is to end with."""
        self.stopping = asyncio.Event()
        """Set when a stop has begun: what comes is still answered, but nobody should send more."""
        self.stuck = False
        """Whether the model has stopped answering."""

    @property
    def overloaded(self) -> bool:
        """Whether the next request to the model would be refused."""
        return self.inference.full

    def check_alive(self) -> None:
        """Tell whether the process is worth keeping.

        Raises:
            Problem: ``not_ready``: the model is stuck.
        """
        if self.stuck:
            raise Problem("not_ready", "the model does not answer")

    def check_ready(self) -> None:
        """Tell whether requests are welcome.

        Raises:
            Problem: ``not_ready``, saying why.
        """
        if self.stopping.is_set():
            raise Problem("not_ready", "the service is stopping")
        self.check_alive()
        self.models.get()

    def drain(self) -> None:
        """Begin to stop: not ready from now on, while everything that comes is still answered."""
        self.stopping.set()
        self.metrics.draining(True)
        log.info("stopping: not ready from now on")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the models, serve, and stop.

        The start waits a moment for the models, so that a bad folder ends it and a small model is there for
        the first request. A large one goes on loading in its thread while the probes are answered already.

        Raises:
            FenestraError: a model cannot be loaded.
        """
        self.inference = Inference(self.settings, self.metrics)
        loading = asyncio.create_task(self.models.load())
        done, _ = await asyncio.wait({loading}, timeout=self.settings.start_wait_seconds)
        if done:
            loading.result()
        else:
            loading.add_done_callback(self._loaded_late)
        tasks = [loading, asyncio.create_task(self._watch_folders(loading)), asyncio.create_task(self._watch_model())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)
            self.inference.close()

    def _loaded_late(self, loading: asyncio.Task[None]) -> None:
        """The server is up already, so a model that turns out bad takes it down again."""
        if loading.cancelled() or (error := loading.exception()) is None:
            return
        reason = str(error) if isinstance(error, FenestraError) else type(error).__name__
        self._end(f"the model cannot be loaded: {reason}", 2)

    async def _watch_folders(self, loading: asyncio.Task[None]) -> None:
        """Reload what changes on disk, if that is wanted."""
        if self.settings.watch_seconds:
            await asyncio.wait({loading})
            await self.models.watch(self.settings.watch_seconds)

    async def _watch_model(self) -> None:
        """End the process when the model is stuck: its thread cannot be stopped, but whoever runs it starts it anew.

        One look is not enough: a process that was halted as a whole, to move its machine for instance, seems to have
        been at work for all that time when it goes on.
        """
        late = 0
        while late < _LATE_LOOKS:
            await asyncio.sleep(_LOOK_SECONDS)
            late = late + 1 if self.inference.busy_seconds >= self.settings.stuck_seconds else 0
        self.stuck = True
        self.inference.give_up()
        self._end(f"the model has not answered for {self.settings.stuck_seconds:g} seconds", 1)

    def _end(self, reason: str, exit_code: int) -> None:
        """Take the server down, if there is one that listens for it."""
        self.failure, self.exit_code = reason, exit_code
        log.critical("%s", reason)
        if callable(signal.getsignal(signal.SIGTERM)):
            signal.raise_signal(signal.SIGTERM)


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
