"""Learning in the background: one model at a time, in a process of its own, and then a verified swap.

The state of the last learning is a file, so that each of several workers can tell it. A learning that ended with the
process that had begun it is known by its lock, which nobody holds any more.
"""

import asyncio
import json
import secrets
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fenestra.app.engine.models import Models, ServedModel, run_in_thread
from fenestra.app.errors import Problem, frames, log
from fenestra.app.learning.corrections import Correction, Corrections
from fenestra.app.learning.files import locked, private_folder, read_json, write_json
from fenestra.app.learning.lineage import Lineage, configured
from fenestra.app.learning.process import Limits, Stopped, run_bounded
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from fenestra.model import checkpoint
from fenestra.model.errors import FenestraError

_LOCK, _WHO, _STATE, _CANCEL, _LOG, _GIVEN, _FIGURES = (
    "lock", "who.json", "state.json", "cancel", "learning.log", "learning.jsonl", "figures.json",
)  # fmt: skip
_NICE = 10
_CANCEL_SECONDS = 10.0
_NEEDED = "torch", "seqeval"  # of the extra train
_REFUSED = 2  # exit code of `fenestra learn` with figures that say why
_STEPS = ("held out", "learning", "checking")

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
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
            Problem: ``learning_off``, ``not_found`` or ``not_ready``.
        """
        return Corrections(self._root(name), name, self._settings.max_corrections)

    async def state(self, name: str) -> State:
        """How the last learning of a model went, and what serves."""
        return await run_in_thread(self._state, self._root(name), self._models.get(name))

    async def begin(self, name: str, wanted: Wanted) -> State:
        """Begin to learn from all corrections.

        Raises:
            Problem: ``learning_off``, ``not_found``, ``not_installed``, or ``conflict``.
        """
        root, model = self._root(name), self._models.get(name)
        if missing := [module for module in _NEEDED if find_spec(module) is None]:
            raise Problem("not_installed", f"{missing[0]} is missing here; install: pip install 'fenestra-ner[train]'")
        given = await run_in_thread(self.corrections(name).all)
        if not given:
            raise Problem("conflict", "there are no corrections to learn from")
        held = await run_in_thread(self._claim, root, name)
        lineage = Lineage(root, name)
        try:
            await run_in_thread(self._prepare, lineage, given)
        except BaseException:
            held.close()
            raise
        self._task = asyncio.create_task(self._learn(lineage, wanted, held))
        return await run_in_thread(self._state, root, model)

    async def cancel(self, name: str) -> State:
        """End the learning that runs.

        Raises:
            Problem: ``learning_off``, ``not_found``, or ``conflict``: none runs.
        """
        root, model = self._root(name), self._models.get(name)
        if (await run_in_thread(self._state, root, model))["state"] != "running":
            raise Problem("conflict", "nothing is learning")
        folder = Lineage(root, name).folder
        await run_in_thread((folder / _CANCEL).touch)
        ends = time.monotonic() + _CANCEL_SECONDS
        while (found := await run_in_thread(self._state, root, model))["state"] == "running":
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
        with await run_in_thread(self._claim, root, name):
            folders = await run_in_thread(lineage.folders)
            if not folders:
                raise Problem("conflict", "nothing was learnt that could be undone")
            await run_in_thread(lineage.pop)
            try:
                found = await self._models.reload(name)
            except BaseException:
                await run_in_thread(lineage.push, folders[-1])
                raise
            await run_in_thread(lineage.clean)
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
        with ExitStack() as stack:
            if not stack.enter_context(locked(private_folder(root) / _LOCK, wait=False)):
                raise Problem("conflict", "a model is learning already; GET …/learn says how it stands")
            write_json(root / _WHO, name)
            return stack.pop_all()

    def _prepare(self, lineage: Lineage, given: list[Correction]) -> None:
        """Write what the process reads."""
        private_folder(lineage.models)
        lineage.clean()
        (lineage.folder / _CANCEL).unlink(missing_ok=True)
        (lineage.folder / _FIGURES).unlink(missing_ok=True)
        (lineage.folder / _LOG).unlink(missing_ok=True)
        lines = "".join(json.dumps(as_annotated(one), ensure_ascii=False) + "\n" for one in given)
        descriptor = lineage.folder / _GIVEN
        descriptor.touch(mode=0o600)
        descriptor.write_text(lines, encoding="utf-8")
        write_json(lineage.folder / _STATE, {"state": "running", "started": _now(), "began": time.time()})

    async def _learn(self, lineage: Lineage, wanted: Wanted, held: ExitStack) -> None:
        """Learn, and swap; whatever happens is in the state in the end."""
        name = lineage.folder.name.removesuffix(".learn")
        state: State = {**read_json(lineage.folder / _STATE), "version": None, "reason": None}
        try:
            made = lineage.models / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
            code = await run_in_thread(self._run, name, lineage, made, wanted)
            state |= await self._outcome(name, lineage, made, code)
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
        await run_in_thread(self._finish, lineage, state, held)

    def _run(self, name: str, lineage: Lineage, made: Path, wanted: Wanted) -> int:
        """Run the training to its end, always from the model of the settings, so that mistakes do not pile up."""
        folder, settings = lineage.folder, self._settings
        command = [
            sys.executable, "-m", "fenestra", "learn", str(folder / _GIVEN), "--from",
            str(configured(settings, name).absolute()), "--output", str(made), "--seed", str(wanted.seed),
            "--json", str(folder / _FIGURES), "--attached", *["--force"] * wanted.force,
        ]  # fmt: skip
        limits = Limits(settings.learn_seconds, settings.learn_mb, _NICE)
        return run_bounded(command, folder / _LOG, lambda: self._stopping or (folder / _CANCEL).exists(), limits)

    async def _outcome(self, name: str, lineage: Lineage, made: Path, code: int) -> State:
        """What came of it; a new model serves in the end if all is well."""
        figures = await run_in_thread(read_json, lineage.folder / _FIGURES)
        if code == _REFUSED and figures:
            lost, bound = figures["elsewhere"]["lost"], figures["elsewhere"]["bound"]
            reason = f"it lost {lost:.2f} F1 points elsewhere, {bound:g} are allowed"
            return {"state": "refused", "figures": figures, "reason": reason}
        if code:
            return {"state": "failed", "reason": f"the training ended with code {code}; {_LOG} in its folder says why"}
        await run_in_thread(lineage.push, made)
        try:
            _, new = await self._models.reload(name)
        except BaseException:
            await run_in_thread(lineage.pop)
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
        known: State = read_json(lineage.folder / _STATE) or {"state": "idle"}
        running = known["state"] == "running"
        if running:
            with locked(root / _LOCK, wait=False) as free:
                if free or read_json(root / _WHO) != model.name:  # its process is gone, or it has just ended
                    known = read_json(lineage.folder / _STATE) or {"state": "idle"}
                    running = False
                    if known["state"] == "running":
                        known |= {"state": "failed", "reason": "the service ended meanwhile"}
        folders = lineage.folders()
        before = (folders[-2] if len(folders) > 1 else configured(self._settings, model.name)) if folders else None
        seconds = round(time.time() - known["began"], 1) if running else known.get("seconds")
        return {
            "model": model.name,
            "state": known["state"],
            "corrections": len(self.corrections(model.name).all()),
            "serves": {"version": model.version, "learned": bool(folders)},
            "undo": _version(before),
            "started": known.get("started"),
            "seconds": seconds,
            "stage": _stage(lineage.folder / _LOG) if running else None,
            "version": known.get("version"),
            "reason": known.get("reason"),
            "figures": known.get("figures"),
        }


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


def _version(folder: Path | None) -> str | None:
    if folder is None:
        return None
    try:
        return checkpoint.version_in(folder)
    except FenestraError:
        return None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
