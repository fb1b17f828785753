"""The life of the service: loading the model, being ready, ending."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from app.edge.problems import Problem, log
from app.engine.inference import Inference, TagsText
from app.settings import Settings
from app.sight.metrics import Metrics
from model import InputError, Tagger
from model.bundled import bundled_model


@dataclass(frozen=True, slots=True)
class Served:
    """A model that answers."""

    name: str
    version: str
    labels: tuple[str, ...]
    inference: Inference


class Service:
    """What the routes share: settings, metrics, and the model as soon as there is one."""

    def __init__(self, settings: Settings, tagger: TagsText | None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.failure: str | None = None
        """Why the model could not be loaded; None as long as all is well."""
        self._given = tagger
        self._served: Served | None = None

    def model(self, name: str | None = None) -> Served:
        """The model of that name, or the default one.

        Raises:
            Problem: ``not_ready`` while there is none, ``not_found`` if there is none of that name.
        """
        if self._served is None:
            raise Problem("not_ready", "the model is not loaded yet")
        if name is not None and name != self._served.name:
            raise Problem("not_found", "no model of that name; GET /models lists them")
        return self._served

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the model, serve, and stop.

        The start waits a moment for the model, so that a bad folder ends it and a small model is there for
        the first request. A large one goes on loading in its thread while the probes are answered already.

        Raises:
            InputError: the model cannot be loaded.
        """
        loading = asyncio.create_task(self._load())
        done, _ = await asyncio.wait({loading}, timeout=self.settings.start_wait_seconds)
        if done:
            loading.result()
        else:
            loading.add_done_callback(self._loaded_late)
        try:
            yield
        finally:
            loading.cancel()
            if self._served is not None:
                self._served.inference.close()
                self._served = None

    async def _load(self) -> None:
        limits = self.settings
        tagger = self._given if self._given is not None else await asyncio.to_thread(load_tagger, limits)
        inference = Inference(tagger, max_waiting=limits.max_waiting, deadline_seconds=limits.deadline_seconds)
        self._served = Served(limits.name, tagger.version, tuple(tagger.labels), inference)
        self.metrics.model_loaded(self._served.name, self._served.version, lambda: inference.depth)
        log.info("model %s %s is ready", self._served.name, self._served.version)

    def _loaded_late(self, loading: asyncio.Task[None]) -> None:
        """The server is up already, so a model that turns out bad takes it down again."""
        if loading.cancelled() or (error := loading.exception()) is None:
            return
        self.failure = str(error) if isinstance(error, InputError) else type(error).__name__
        log.critical("the model cannot be loaded: %s", self.failure)
        if callable(signal.getsignal(signal.SIGTERM)):  # a server listens for it; without one nobody is to be stopped
            signal.raise_signal(signal.SIGTERM)


def load_tagger(settings: Settings) -> TagsText:
    """Open the checkpoint that the settings name.

    Raises:
        InputError: the folder or the device is not usable; says why.
    """
    return Tagger.load(settings.model or bundled_model(), device=settings.device, threads=settings.threads)


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
