"""The models that are served, and their reloads.

A reload loads the new model while the old one serves. The new one replaces it, in one assignment, only after it has
been verified against its manifest and has passed its self-test; a request keeps the model that it started with. If
anything fails before that, the old model stays.
"""

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fenestra.app.engine.jobs import TagsText
from fenestra.app.engine.reloads import Reloads
from fenestra.app.errors import Problem, log
from fenestra.app.label_map import check_setting
from fenestra.app.learning.lineage import serving
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import NamedFolder, Settings
from fenestra.model import checkpoint
from fenestra.model.errors import CheckpointError, FenestraError
from fenestra.model.manifest import MANIFEST
from fenestra.model.progress import Pause, no_pause
from fenestra.model.tagger import Tagger

T = TypeVar("T")
Fingerprint = frozenset[tuple[str, int, int, int]]
"""Name, inode, size and modification time of the manifest and of every file that it lists: it changes when one of them
is written."""
OpenModel = Callable[[Path, TagsText | None], TagsText]
"""Loads the model of a folder; the second argument is the one that serves meanwhile, None at the start."""
RELOAD_FAILED = "the folder holds no usable model, so the one before serves on; the log says what is wrong"


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

    @property
    def language(self) -> str:
        """The language that it reads, ISO 639-1, such as ``en``."""
        return self.tagger.language.code


Reload = Callable[[str], Awaitable[tuple[ServedModel, ServedModel]]]
"""Loads the model of that name anew; returns the old one and the new one."""


class Models:
    """All models by name, the default one first; empty until :meth:`load`."""

    def __init__(
        self, settings: Settings, metrics: Metrics, open_model: OpenModel, reload: Reload | None = None
    ) -> None:
        """Set up.

        Args:
            settings: name the models.
            metrics: count reloads.
            open_model: loads a model.
            reload: loads a model anew, everywhere; None if this process is the only one.
        """
        self._settings = settings
        self._metrics = metrics
        self._open_model = open_model
        self._served: dict[str, ServedModel] = {}
        self._reloads = Reloads(reload or self._reload, settings.max_waiting, metrics)

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
            InputError: a folder, the device or the label map is not usable; says why.
            RunError: a model's scores are not numbers.
        """
        loaded = {}
        for served in self._settings.served:
            now = serving(self._settings, served.name)
            loaded[served.name] = await run_in_thread(read_model, now, None, self._open_model)
        check_label_map(self._settings, loaded)
        for model in loaded.values():
            log.info("model %s %s is ready", model.name, model.version)
        self.serve(loaded)
        await run_in_thread(freeze_objects)

    def serve(self, loaded: Mapping[str, ServedModel]) -> None:
        """Serve these models, by name, the default one first."""
        for model in loaded.values():
            self._metrics.model_loaded(model.name, model.version)
        self._served = dict(loaded)

    async def read_again(self, name: str) -> ServedModel:
        """Load a model from its folder again, without serving it.

        Raises:
            FenestraError: it is not usable, or the start with it would fail; says why.
        """
        old = self.get(name)
        now = serving(self._settings, name)
        new = await run_in_thread(read_model, now, old.tagger, self._open_model)
        check_label_map(self._settings, self._served | {name: new})
        return new

    async def replace(self, new: ServedModel) -> ServedModel:
        """Serve a model in the place of the one of its name, which is returned."""
        old = self.get(new.name)
        self._served[new.name] = new
        self._metrics.model_loaded(new.name, new.version)
        await run_in_thread(freeze_objects)
        return old

    async def reload(
        self, name: str, is_disconnected: Callable[[], bool] | None = None
    ) -> tuple[ServedModel, ServedModel]:
        """Load a model from its folder again, and serve it.

        Requests for the same model that come before its reload has begun share one.

        Args:
            name: of the model.
            is_disconnected: whether the client has disconnected; None after a signal, or when a folder has changed.

        Returns:
            The old model and the new one.

        Raises:
            Problem: ``not_found``; ``overloaded``: too many clients wait for a reload; ``reload_failed``: the old model
                serves on, and the log names the reason.
            ClientGone: the client disconnected before the reload began.
        """
        self.get(name)
        return await self._reloads.ask(name, is_disconnected)

    def close(self) -> None:
        """Stop waiting for reloads: the service ends."""
        self._reloads.close()

    async def _reload(self, name: str) -> tuple[ServedModel, ServedModel]:
        """Load a model anew; see :meth:`reload`."""
        old = self.get(name)
        try:
            new = await self.read_again(name)
        except Exception as error:
            self._metrics.reloaded(name, ok=False)
            log.error("model %s stays at %s: %s", name, old.version, reason_of(error))
            raise Problem("reload_failed", RELOAD_FAILED) from error
        await self.replace(new)
        self._metrics.reloaded(name, ok=True)
        log.info("model %s %s takes the place of %s", name, new.version, old.version)
        return old, new

    async def watch(self, seconds: float) -> None:
        """Check the folders every so many seconds; reload a model when its files have changed and are stable again."""
        async with asyncio.TaskGroup() as group:
            for model in self:
                group.create_task(self._watch(model, seconds))

    async def _watch(self, model: ServedModel, seconds: float) -> None:
        """Watch one folder."""
        seen = tried = model.files
        while True:
            await asyncio.sleep(seconds)
            files = await run_in_thread(fingerprint, self.get(model.name).folder)
            if files == seen and files not in (tried, self.get(model.name).files):
                tried = files
                with suppress(Problem):  # logged and counted; the model before serves on
                    await self.reload(model.name)
            seen = files


def read_model(served: NamedFolder, before: TagsText | None, open_model: OpenModel) -> ServedModel:
    """Load the model of a folder; ``before`` is the one that serves meanwhile.

    Raises:
        FenestraError: it is not usable; says why.
    """
    files = fingerprint(served.folder)
    return ServedModel(served.name, served.folder, open_model(served.folder, before), files)


def check_label_map(settings: Settings, models: Mapping[str, ServedModel]) -> None:
    """Check that the models have the labels that the settings rename.

    Raises:
        InputError: they do not.
    """
    check_setting(settings.label_map, {name: model.labels for name, model in models.items()})


def reason_of(error: BaseException) -> str:
    """What may be logged of an error: Fenestra's own name files and reasons, of any other only the type is safe."""
    return str(error) if isinstance(error, FenestraError) else type(error).__name__


def open_model(folder: Path, before: TagsText | None, settings: Settings, pause: Pause | None = None) -> TagsText:
    """Load a checkpoint, and let it pass its self-test before it serves.

    Args:
        folder: the checkpoint.
        before: the tagger that serves meanwhile, if there is one. The requests that it answers come first, and what has
            not changed since it was loaded is shared with it; if nothing has, it is what is returned.
        settings: of the service.
        pause: called between any two pieces of the work; unless given, it rests as long as it works if ``before``
            serves meanwhile.

    Raises:
        InputError: the folder or the device is not usable; says why.
        RunError: its scores are not numbers.
    """
    pause = pause or (no_pause if before is None else Pacer())
    known = before if isinstance(before, Tagger) else None
    model = checkpoint.load(folder, pause, known.checkpoint if known else None)
    if known and model.version == known.version:
        return known
    tagger = Tagger(
        model,
        folder=folder,
        device=settings.device,
        threads=settings.threads,
        cache_mb=settings.cache_mb,
        cache_numbers=settings.cache_numbers,
    )
    tagger.self_test(pause)
    return tagger


class Pacer:
    """Lets a thread rest as long as it has worked, so that the threads that answer requests need not wait for it.

    They all share Python's interpreter lock: without rests, each step of a request would wait up to 5 ms for it.
    """

    def __init__(self) -> None:
        self._worked = time.thread_time()

    def __call__(self) -> None:
        """Rest, if there was work for a noticeable time."""
        worked = time.thread_time() - self._worked
        if worked >= _SHORTEST_WORK:
            time.sleep(worked)
            self._worked = time.thread_time()


_SHORTEST_WORK = 0.0002  # seconds; a rest of less is not worth its cost
_NEW_OBJECTS = 20_000
"""New objects until the garbage collector runs. Reference counting frees those of a request, so the collector is only
needed for rare reference cycles; Python's default takes a tenth of the time."""


def freeze_objects() -> None:
    """Exclude the objects that are there now, those of loaded models among them, from garbage collection.

    A collection that visits all of them stops every thread for up to a tenth of a second. So what was excluded before
    is not visited again. Reference counting still frees it when nothing refers to it any more, and a model is in no
    reference cycle.
    """
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
    """The fingerprint of a checkpoint; empty if there is none.

    Other files in the folder do not count: editors and copying programs leave and take away what they like.
    """
    try:
        names = (MANIFEST, *checkpoint.describe(folder)["files"])
    except CheckpointError:
        names = (MANIFEST,)
    return frozenset(state for name in names if (state := _state(folder, name)))


def _state(folder: Path, name: str) -> tuple[str, int, int, int] | None:
    """What changes when a file is written; None if it is not there."""
    try:
        stat = (folder / name).stat()
    except OSError:
        return None
    return name, stat.st_ino, stat.st_size, stat.st_mtime_ns
