"""Learning in the background: one model at a time, in a process of its own, and then a verified swap.

The state of the last learning is a file, so that each of several workers can tell it. A learning that ended with the
process that had begun it is known by its lock, which nobody holds any more.
"""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from fenestra.app.engine.models import Models, ServedModel, run_in_thread
from fenestra.app.errors import Problem, frames, log
from fenestra.app.learning.corrections import Correction, Corrections
from fenestra.app.learning.files import locked, private_folder, read_json, write_json
from fenestra.app.learning.lineage import LOCK, Lineage, configured
from fenestra.app.learning.process import Limits, Stopped, run_bounded
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from fenestra.model import checkpoint
from fenestra.model.errors import FenestraError, StorageError
from fenestra.model.storage import replace_durably, storage_error

T = TypeVar("T")

_WHO, _STATE, _CANCEL, _LOG, _GIVEN, _FIGURES = (
    "who.json", "state.json", "cancel", "learning.log", "learning.jsonl", "figures.json",
)  # fmt: skip
_NICE = 10
_CANCEL_SECONDS = 10.0
_LOOKS, _LOOK_SECONDS = 5, 0.02  # at the lock, which whoever asks for the state shares for a moment
_NEEDED = "torch", "seqeval"  # of the extra train
_REFUSED = 2  # exit code of `fenestra learn` with figures that say why
_UNKNOWN = "nobody knows what it forgot: there was no text to ask; FENESTRA_LEARN_REPLAY is not set or has none for it"
_STEPS = ("held out", "learning", "checking")

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """How to learn."""

    force: bool = False
    seed: int = 1


class Learning:
    """Corrections, learning and undoing, of all models of the service."""

    def __init__(self, settings: Settings, models: Models, metrics: Metrics) -> None:
        self._settings, self._models, self._metrics = settings, models, metrics
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def corrections(self, name: str) -> Corrections:
        """The corrections of a model.

        Raises:
            Problem: ``learning_off``, ``not_found``, or ``not_ready``.
        """
        return Corrections(self._root(name), name, self._settings.max_corrections)

    async def state(self, name: str) -> State:
        """How the last learning of a model went, and what serves."""
        return await on_disk(self._state, self._root(name), self._models.get(name))

    async def begin(self, name: str, options: LearnOptions) -> State:
        """Begin to learn from all corrections.

        Raises:
            Problem: ``learning_off``, ``not_found``, ``not_installed``, or ``conflict``.
        """
        root, model = self._root(name), self._models.get(name)
        if missing := [module for module in _NEEDED if find_spec(module) is None]:
            raise Problem("not_installed", f"{missing[0]} is missing here; install: pip install 'fenestra-ner[train]'")
        given = await on_disk(self.corrections(name).all)
        if not given:
            raise Problem("conflict", "there are no corrections to learn from")
        held = await on_disk(self._claim, root, name)
        lineage = Lineage(root, name)
        try:
            begun = await on_disk(self._prepare, lineage, given)
        except BaseException:
            held.close()
            raise
        self._task = asyncio.create_task(self._learn(name, lineage, options, held, begun))
        return await on_disk(self._state, root, model)

    async def cancel(self, name: str) -> State:
        """End the learning that runs.

        Raises:
            Problem: ``learning_off``, ``not_found``, or ``conflict``: none runs.
        """
        root, model = self._root(name), self._models.get(name)
        if (await on_disk(self._state, root, model))["state"] != "running":
            raise Problem("conflict", "nothing is learning")
        await on_disk(_touch, Lineage(root, name).folder / _CANCEL)
        ends = time.monotonic() + _CANCEL_SECONDS
        while (found := await on_disk(self._state, root, model))["state"] == "running":
            if time.monotonic() > ends:  # a swap that is under way is not broken off
                break
            await asyncio.sleep(0.05)
        return found

    async def undo(self, name: str) -> tuple[ServedModel, ServedModel]:
        """Let the model before serve; returns the old one and the new one.

        Raises:
            Problem: ``learning_off``, ``not_found``, ``conflict``: there is none, or one learns; ``reload_failed``.
        """
        root = self._root(name)
        lineage = Lineage(root, name)
        with await on_disk(self._claim, root, name):
            folders = await on_disk(lineage.folders)
            if not folders:
                raise Problem("conflict", "nothing was learnt that could be undone")
            await on_disk(lineage.pop)
            try:
                found = await self._models.reload(name)
            except BaseException:
                await on_disk(lineage.restore, folders)
                raise
            with suppress(Problem):  # which is logged; the next learning cleans up
                await on_disk(lineage.clean)
        self._metrics.learned(name, "undone")
        return found

    async def close(self) -> None:
        """End what is learning: the service ends."""
        self._stopping = True
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task

    def _root(self, name: str) -> Path:
        """The folder of all that is learnt, if there is one and such a model."""
        if self._settings.learn_folder is None:
            raise Problem("learning_off", "this service does not learn: FENESTRA_LEARN_FOLDER is not set")
        self._models.get(name)
        return self._settings.learn_folder

    def _claim(self, root: Path, name: str) -> ExitStack:
        """Take the one place to learn, for a model; whoever closes it gives it back.

        Raises:
            Problem: ``conflict``.
        """
        for _ in range(_LOOKS):
            with ExitStack() as stack:
                if stack.enter_context(locked(private_folder(root) / LOCK, wait=False)):
                    write_json(root / _WHO, name)
                    return stack.pop_all()
            time.sleep(_LOOK_SECONDS)
        raise Problem("conflict", "a model is learning already; GET …/learn says how it stands")

    def _prepare(self, lineage: Lineage, given: list[Correction]) -> State:
        """Write what the process reads; returns the state that it begins with."""
        private_folder(lineage.models)
        lineage.clean()
        (lineage.folder / _CANCEL).unlink(missing_ok=True)
        (lineage.folder / _FIGURES).unlink(missing_ok=True)
        (lineage.folder / _LOG).unlink(missing_ok=True)
        lines = "".join(json.dumps(as_annotated(one), ensure_ascii=False) + "\n" for one in given)
        replace_durably(lineage.folder / _GIVEN, lines.encode(), mode=0o600)
        begun = {"state": "running", "started": _now(), "began": time.time()}
        write_json(lineage.folder / _STATE, begun)
        return begun

    async def _learn(self, name: str, lineage: Lineage, options: LearnOptions, held: ExitStack, begun: State) -> None:
        """Learn, and swap; whatever happens is in the state in the end."""
        state: State = {**begun, "version": None, "reason": None}
        try:
            made = lineage.models / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
            code = await run_in_thread(self._run, name, lineage, made, options)
            state |= await self._outcome(name, lineage, made, code, begun, options)
        except Stopped as error:
            cancelled = (lineage.folder / _CANCEL).exists() and not self._stopping
            state |= {"state": "cancelled"} if cancelled else {"state": "failed", "reason": str(error)}
        except Problem as problem:
            state |= {"state": "failed", "reason": problem.message}
        except Exception as error:
            log.error("learning for model %s failed with %s", name, frames(error))
            state |= {"state": "failed", "reason": "something went wrong here; the log says where"}
        state["seconds"] = round(time.time() - state["began"], 1)
        self._metrics.learned(name, state["state"])
        log.info("learning for model %s: %s after %s s", name, state["state"], state["seconds"])
        with suppress(Problem):  # which is logged; the state is then that of a learning that did not come to its end
            await on_disk(self._finish, lineage, state, held)

    def _run(self, name: str, lineage: Lineage, made: Path, options: LearnOptions) -> int:
        """Run the training to its end, always from the model of the settings, so that mistakes do not pile up."""
        folder, settings = lineage.folder, self._settings
        command = [
            sys.executable, "-m", "fenestra", "learn", str(folder / _GIVEN), "--from",
            str(configured(settings, name).absolute()), "--output", str(made), "--seed", str(options.seed),
            "--json", str(folder / _FIGURES), "--attached", *["--force"] * options.force, *self._replayed(name),
        ]  # fmt: skip
        limits = Limits(settings.learn_seconds, settings.learn_mb, _NICE)
        return run_bounded(command, folder / _LOG, lambda: self._stopping or (folder / _CANCEL).exists(), limits)

    def _replayed(self, name: str) -> list[str]:
        """What names text of the kind that the model is used on, if the settings have such."""
        if self._settings.learn_replay is None:
            return []
        text = self._settings.learn_replay / f"{name}.txt"
        return ["--replay", str(text.absolute())] if text.exists() else []

    async def _outcome(
        self, name: str, lineage: Lineage, made: Path, code: int, begun: State, options: LearnOptions
    ) -> State:
        """What came of it; a new model serves in the end if all is well.

        Whether it does is decided by one file. The state says before what it then is to say, for whoever finds it if
        this process ends in between.
        """
        figures = await on_disk(read_json, lineage.folder / _FIGURES)
        if code == _REFUSED and figures:
            lost, bound = figures["elsewhere"]["lost"], figures["elsewhere"]["bound"]
            reason = f"it lost {lost:.2f} F1 points elsewhere, {bound:g} are allowed"
            return {"state": "refused", "figures": figures, "reason": reason}
        if code:
            return {"state": "failed", "reason": f"the training ended with code {code}; {_LOG} in its folder says why"}
        if figures["elsewhere"]["lost"] is None and not options.force:
            return {"state": "refused", "figures": figures, "reason": _UNKNOWN}
        before = await on_disk(lineage.folders)
        swap = {"folder": made.name, "figures": figures, "version": await on_disk(_version, made)}
        await on_disk(write_json, lineage.folder / _STATE, {**begun, "swap": swap})
        await on_disk(lineage.push, made)
        try:
            _, new = await self._models.reload(name)
        except BaseException:
            await on_disk(lineage.restore, before)
            raise
        return {"state": "done", "figures": figures, "version": new.version}

    def _finish(self, lineage: Lineage, state: State, held: ExitStack) -> None:
        """Remove what only the process needed, note how it ended, and give the place back: who sees it may begin."""
        with held:
            for name in (_GIVEN, _CANCEL, _FIGURES):
                (lineage.folder / name).unlink(missing_ok=True)
            lineage.clean()
            write_json(lineage.folder / _STATE, state)

    def _state(self, root: Path, model: ServedModel) -> State:
        lineage = Lineage(root, model.name)
        folders = lineage.folders()
        known: State = read_json(lineage.folder / _STATE) or {"state": "idle"}
        running = known["state"] == "running"
        if running:
            with locked(root / LOCK, wait=False, shared=True) as free:
                if free or read_json(root / _WHO) != model.name:  # its process is gone, or it has just ended
                    known = read_json(lineage.folder / _STATE) or {"state": "idle"}
                    running = False
                    folders = lineage.folders()
                    if known["state"] == "running":
                        known |= _left(known.get("swap"), folders, model)
        before = (folders[-2] if len(folders) > 1 else configured(self._settings, model.name)) if folders else None
        seconds = round(time.time() - known["began"], 1) if running else known.get("seconds")
        return {
            "model": model.name,
            "state": known["state"],
            "corrections": len(self.corrections(model.name).all()),
            "serves": {"version": model.version, "learned": model.folder in folders},
            "undo": _version(before),
            "started": known.get("started"),
            "seconds": seconds,
            "stage": _stage(lineage.folder / _LOG) if running else None,
            "version": known.get("version"),
            "reason": known.get("reason"),
            "figures": known.get("figures"),
        }


async def on_disk(work: Callable[..., T], *arguments: object) -> T:
    """Read or write what is kept, on a thread.

    Raises:
        Problem: ``not_ready``: the disk refused; the log says why. Or what the work raises.
    """
    try:
        return await run_in_thread(work, *arguments)
    except StorageError as error:
        log.error("what is learnt cannot be kept: %s", error)
        raise Problem("not_ready", "corrections and models cannot be kept now; the log says why") from error


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise storage_error(path, 0, error) from error


def as_annotated(correction: Correction) -> dict[str, Any]:
    """A correction as training reads it."""
    entities = [{"start": start, "end": end, "label": label} for start, end, label in correction.entities]
    return {"text": correction.text, "entities": entities}


def _stage(path: Path) -> str:
    """What the process is doing, by the last line that it wrote."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    steps = [line.removeprefix("fenestra: ") for line in lines]
    last = next((step for step in reversed(steps) if step.startswith(_STEPS)), "starting")
    return "swapping" if any(line.startswith("checkpoint: ") for line in lines) else last.partition(",")[0]


def _left(swap: State | None, folders: list[Path], model: ServedModel) -> State:
    """What a learning has left whose process is gone: a new model, if that serves, or nothing."""
    if swap and folders and folders[-1].name == swap["folder"] and model.folder == folders[-1]:
        return {"state": "done", "figures": swap["figures"], "version": swap["version"]}
    return {"state": "failed", "reason": "the service ended meanwhile"}


def _version(folder: Path | None) -> str | None:
    if folder is None:
        return None
    try:
        return checkpoint.version_in(folder)
    except FenestraError:
        return None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
