"""The models that are served, and their reloads.

A reload loads the new model while the old one serves. The new one replaces it, in one assignment, only after it has
been verified against its manifest and has passed its self-test; a request keeps the model that it started with. If
anything fails before that, the old model stays.
"""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fenestra.app.engine.jobs import TagsText
from fenestra.app.errors import Problem, log
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import NamedFolder, Settings
from fenestra.model.errors import FenestraError
from fenestra.model.tagger import Tagger

T = TypeVar("T")
Fingerprint = frozenset[tuple[str, int, int, int]]
"""Name, inode, size and modification time of every file in a folder: it changes when a file is written."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that is loaded."""

    name: str
    folder: Path
    tagger: TagsText
    files: Fingerprint
    """The fingerprint of its folder before it was read."""

    @property
    def version(self) -> str:
        """Changes with any of its weights."""
        return self.tagger.version

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that its entities can have."""
        return tuple(self.tagger.labels)


class Models:
    """All models by name, the default one first; empty until :meth:`load`."""

    def __init__(self, settings: Settings, metrics: Metrics, open_model: Callable[[Path], TagsText]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._open_model = open_model
        self._served: dict[str, ServedModel] = {}
        self._reloading = asyncio.Lock()

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(tuple(self._served.values()))

    def get(self, name: str | None = None) -> ServedModel:
        """The model of that name, or the default one.

        Raises:
            Problem: ``not_ready`` while there is none, ``not_found`` if there is none of that name.
        """
        if not self._served:
            raise Problem("not_ready", "the model is not loaded yet")
        if name is None:
            return next(iter(self._served.values()))
        if name not in self._served:
            raise Problem("not_found", "no model of that name; GET /models lists them")
        return self._served[name]

    async def load(self) -> None:
        """Load all models that the settings name; all of them or none.

        Raises:
            InputError: a folder or the device is not usable; says why.
            RunError: a model's scores are not numbers.
        """
        loaded = {}
        for served in self._settings.served:
            loaded[served.name] = await run_in_thread(self._read, served)
        for model in loaded.values():
            self._metrics.model_loaded(model.name, model.version)
            log.info("model %s %s is ready", model.name, model.version)
        self._served = loaded
        await run_in_thread(freeze_objects)

    async def reload(self, name: str) -> tuple[ServedModel, ServedModel]:
        """Load a model from its folder again, and serve it; one reload at a time.

        Returns:
            The old model and the new one.

        Raises:
            Problem: ``not_found``; ``reload_failed``: the old model serves on, and the log names the reason.
        """
        self.get(name)
        async with self._reloading:
            old = self.get(name)
            try:
                new = await run_in_thread(self._read, NamedFolder(name, old.folder))
            except Exception as error:
                self._metrics.reloaded(name, ok=False)
                # Fenestra's own errors name files and reasons; of any other error, only the type is safe to log.
                reason = str(error) if isinstance(error, FenestraError) else type(error).__name__
                log.error("model %s stays at %s: %s", name, old.version, reason)
                message = "the folder holds no usable model, so the one before serves on; the log says what is wrong"
                raise Problem("reload_failed", message) from error
            self._served[name] = new
            await run_in_thread(freeze_objects)
        self._metrics.model_loaded(name, new.version)
        self._metrics.reloaded(name, ok=True)
        log.info("model %s %s takes the place of %s", name, new.version, old.version)
        return old, new

    async def watch(self, seconds: float) -> None:
        """Check the folders every so many seconds; reload a model when its folder has changed and is stable again."""
        seen = {model.name: model.files for model in self}
        tried = dict(seen)
        while True:
            await asyncio.sleep(seconds)
            for model in self:
                files = await run_in_thread(fingerprint, model.folder)
                if files == seen.get(model.name) and files not in (tried.get(model.name), model.files):
                    tried[model.name] = files
                    await self._try_reload(model.name)
                seen[model.name] = files

    async def _try_reload(self, name: str) -> None:
        """Reload without a client: :meth:`reload` has counted and logged what went wrong."""
        try:
            await self.reload(name)
        except Problem as problem:
            log.debug("model %s: %s", name, problem.code)

    def _read(self, served: NamedFolder) -> ServedModel:
        """Load the model of a folder."""
        files = fingerprint(served.folder)
        return ServedModel(served.name, served.folder, self._open_model(served.folder), files)


def open_model(folder: Path, settings: Settings) -> TagsText:
    """Load a checkpoint, and let it pass its self-test before it serves.

    Raises:
        InputError: the folder or the device is not usable; says why.
        RunError: its scores are not numbers.
    """
    tagger = Tagger.load(
        folder,
        device=settings.device,
        threads=settings.threads,
        cache_mb=settings.cache_mb,
        cache_numbers=settings.cache_numbers,
    )
    tagger.self_test()
    return tagger


_NEW_OBJECTS = 20_000
"""New objects until the garbage collector runs. Reference counting frees those of a request, so the collector is only
needed for rare reference cycles; Python's default takes a tenth of the time."""


def freeze_objects() -> None:
    """Exclude the objects of loaded models from garbage collection.

    A model has hundreds of thousands of objects, and a collection that visits all of them stops every thread for a
    tenth of a second. Reference counting still frees them when nothing refers to them any more.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


async def run_in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call a slow function on a daemon thread, which the end of the process does not wait for.

    The function may hang on a file system that does not respond; the event loop's own executor would be waited for.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def deliver(value: T | None, error: BaseException | None) -> None:
        if result.done():  # the caller was cancelled
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def call() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = function(*arguments), None
        except BaseException as error:
            outcome = None, error
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(deliver, *outcome)

    threading.Thread(target=call, name="loading", daemon=True).start()
    return await result


def fingerprint(folder: Path) -> Fingerprint:
    """The fingerprint of a folder; empty if it cannot be read."""
    try:
        stats = [(path.name, path.stat()) for path in folder.iterdir()]
    except OSError:
        return frozenset()
    return frozenset((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
