"""The models that are served, and how one takes the place of another.

A reload loads beside the old model, which answers on. Only when the new one has been verified against its manifest
and has tagged a few texts does it take the name over, in one assignment; a request keeps the model that it started
with. Whatever goes wrong before that leaves everything as it was.
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
"""Name, inode, size and time of change of every file in a folder: what tells that someone wrote there."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model that answers."""

    name: str
    folder: Path
    tagger: TagsText
    files: Fingerprint
    """Of its folder, before it was read."""

    @property
    def version(self) -> str:
        """What changes with any of its weights."""
        return self.tagger.version

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it can give."""
        return tuple(self.tagger.labels)


class Models:
    """All models by name, the default one first; none until :meth:`load`."""

    def __init__(self, settings: Settings, metrics: Metrics, open_model: Callable[[Path], TagsText]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._open_model = open_model
        self._served: dict[str, Served] = {}
        self._changing = asyncio.Lock()

    def __iter__(self) -> Iterator[Served]:
        return iter(tuple(self._served.values()))

    def get(self, name: str | None = None) -> Served:
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
        """Load all that the settings name; all of them or none.

        Raises:
            InputError: a folder or the device is not usable; says why.
            RunError: a model's scores are not numbers.
        """
        loaded = {}
        for wanted in self._settings.served:
            loaded[wanted.name] = await aside(self._read, wanted)
        for model in loaded.values():
            self._metrics.model_loaded(model.name, model.version)
            log.info("model %s %s is ready", model.name, model.version)
        self._served = loaded
        await aside(settle)

    async def reload(self, name: str) -> tuple[Served, Served]:
        """Read a model's folder again and serve what is there now; one reload at a time.

        Returns:
            The model before and the model now.

        Raises:
            Problem: ``not_found``; ``reload_failed`` for whatever reason, which the log has; the old one serves on.
        """
        self.get(name)
        async with self._changing:
            before = self.get(name)
            try:
                now = await aside(self._read, NamedFolder(name, before.folder))
            except Exception as error:
                self._metrics.reloaded(name, ok=False)
                # Ours name files and reasons; of any other, only the kind is safe to show.
                reason = str(error) if isinstance(error, FenestraError) else type(error).__name__
                log.error("model %s stays at %s: %s", name, before.version, reason)
                message = "the folder holds no usable model, so the one before serves on; the log says what is wrong"
                raise Problem("reload_failed", message) from error
            self._served[name] = now
            await aside(settle)
        self._metrics.model_loaded(name, now.version)
        self._metrics.reloaded(name, ok=True)
        log.info("model %s %s takes the place of %s", name, now.version, before.version)
        return before, now

    async def watch(self, seconds: float) -> None:
        """Reload each model when its folder has changed and then held still for one look."""
        seen = {model.name: model.files for model in self}
        tried = dict(seen)
        while True:
            await asyncio.sleep(seconds)
            for model in self:
                files = await aside(fingerprint, model.folder)
                if files == seen.get(model.name) and files not in (tried.get(model.name), model.files):
                    tried[model.name] = files
                    await self._try_reload(model.name)
                seen[model.name] = files

    async def _try_reload(self, name: str) -> None:
        """Reload without a client to tell: :meth:`reload` has counted and logged what went wrong."""
        try:
            await self.reload(name)
        except Problem as problem:
            log.debug("model %s: %s", name, problem.code)

    def _read(self, wanted: NamedFolder) -> Served:
        """Open a folder and make its model prove itself."""
        files = fingerprint(wanted.folder)
        return Served(wanted.name, wanted.folder, self._open_model(wanted.folder), files)


def open_model(folder: Path, settings: Settings) -> TagsText:
    """Load a checkpoint, and let it tag a few texts before anyone else's.

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
"""Objects that are made before the collector looks at them. Those of a request die by themselves: a few batches' worth
is soon enough for the odd circle, and saves a tenth of the time."""


def settle() -> None:
    """Put what lives long out of the garbage collector's way.

    A model is hundreds of thousands of objects, and a collection that looks at all of them stops every thread for a
    tenth of a second. They are freed when nothing refers to them any more, collector or not.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


async def aside(function: Callable[..., T], *arguments: object) -> T:
    """Call something that takes long on a thread of its own, which a stop of the process does not wait for.

    It may hang on a file system that does not answer; the event loop's own threads would be waited for.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def tell(value: T | None, error: BaseException | None) -> None:
        if result.done():  # nobody waits any more
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def call() -> None:
        try:
            told: tuple[T | None, BaseException | None] = function(*arguments), None
        except BaseException as error:
            told = None, error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, *told)

    threading.Thread(target=call, name="loading", daemon=True).start()
    return await result


def fingerprint(folder: Path) -> Fingerprint:
    """What tells whether someone wrote to a folder; empty if it cannot be read."""
    try:
        stats = [(path.name, path.stat()) for path in folder.iterdir()]
    except OSError:
        return frozenset()
    return frozenset((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
