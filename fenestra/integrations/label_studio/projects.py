"""The model of each project: the one that all begin with, until annotations have made one of its own.

OUTPUT/annotations.sqlite3      what annotators said (`store`)
       project-7/model/         the model of project 7, an ordinary checkpoint
                 previous/      the one before
                 training.log   what the last training wrote
                 training-…/    corpora and job, while one runs
"""

import logging
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fenestra.app.errors import frames
from fenestra.integrations.label_studio.examples import collect
from fenestra.integrations.label_studio.label_config import Control, read_label_config
from fenestra.integrations.label_studio.labels import LabelMap
from fenestra.integrations.label_studio.predictions import text_of
from fenestra.integrations.label_studio.retraining import NotRetrained, checked, run, write_job
from fenestra.integrations.label_studio.store import Store
from fenestra.integrations.taggers import shared_tagger
from fenestra.model.errors import FenestraError, StorageError
from fenestra.model.tagger import Tagger

log = logging.getLogger("fenestra.label_studio")

_MOST_REMARKS = 1_000  # of what is not shown, in the life of the process
_MOST_LOADED = 8  # models in memory, besides the one that all begin with

controls_of = lru_cache(maxsize=64)(read_label_config)


@dataclass(frozen=True, slots=True)
class Options:
    """How the backend works."""

    output: Path
    model: Path
    job: Path | None = None
    label_map: Mapping[str, str] = field(default_factory=dict)
    """Label of the model → label of the project."""
    after: int = 5
    """Changed annotations that start a training; 0 leaves it to START_TRAINING."""
    most_texts: int = 2_000
    """Texts of tasks that are kept for each project, against forgetting."""
    tagger: Mapping[str, Any] = field(default_factory=dict)
    """Options of :meth:`Tagger.load`."""


class Projects:
    """The projects that this backend serves. Safe from several threads."""

    def __init__(self, options: Options) -> None:
        """Load the model that all begin with.

        Raises:
            FenestraError: it is not usable, or the output folder is not.
        """
        self.options = options
        self.base = shared_tagger(options.model, **options.tagger)
        self.base.self_test()
        self.store = Store(options.output / "annotations.sqlite3", most_texts=options.most_texts)
        self._loaded: OrderedDict[str, Tagger] = OrderedDict()
        self._lock = threading.Lock()
        self._said: set[tuple[str, str]] = set()
        self.last: dict[str, dict[str, Any]] = {}
        """How the last training of each project ended."""

    def folder(self, key: str) -> Path:
        """Where the files of a project lie."""
        return self.options.output / f"project-{key}"

    def tagger(self, key: str) -> Tagger:
        """The model of a project."""
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key]
            model, previous = self.folder(key) / "model", self.folder(key) / "previous"
            if not model.exists() and previous.exists():  # the process was killed between two renames
                previous.rename(model)
            if not model.exists():
                return self.base
            try:
                return self._keep(key, Tagger.load(model, **self.options.tagger))
            except FenestraError as error:
                log.error("project %s: its model cannot be used (%s); the first one serves", key, type(error).__name__)
                return self._keep(key, self.base)

    def maps(self, key: str, tagger: Tagger, controls: Sequence[Control]) -> list[LabelMap]:
        """The labels of each control; what has no counterpart is logged once."""
        found = [LabelMap.of(tagger.labels, control.labels, self.options.label_map) for control in controls]
        known = {name for labels in found for name in labels.to_project}
        unknown = tuple(label for label in tagger.labels if label not in known)
        if unknown:
            self._remark(key, f"no label for {', '.join(unknown)} of the model, so these are not shown")
        return found

    def note_texts(self, key: str, controls: Sequence[Control], tasks: Sequence[Mapping[str, Any]]) -> None:
        """Log once that no task has the field that is asked for: of several tasks, some may well be without."""
        for control in controls:
            if tasks and all(text_of(data, control.field) is None for data in tasks):
                self._remark(key, f"there are tasks without a text in their field {control.field!r}")

    def _remark(self, key: str, remark: str) -> None:
        if (key, remark) not in self._said and len(self._said) < _MOST_REMARKS:
            self._said.add((key, remark))
            log.warning("project %s: %s", key, remark)

    def retrain(self, key: str, stop: threading.Event) -> None:
        """Train on what is known of a project, and let the result serve if it may; never raises.

        Args:
            key: of the project.
            stop: ends the training when it is set.
        """
        begun, cpu, changes = time.monotonic(), _cpu_of_children(), 0
        try:
            changes = self.store.pending(key)
            new = self._retrain(key, stop)
            outcome: dict[str, Any] = {"state": "done", "model_version": new.version}
        except NotRetrained as error:
            outcome = {"state": "failed", "reason": str(error)}
        except Exception as error:  # whatever it was, the model before serves on; its message may quote a text
            log.error("project %s: training failed with %s", key, frames(error))
            outcome = {"state": "failed", "reason": type(error).__name__}
        outcome["seconds"] = round(time.monotonic() - begun, 1)
        outcome["cpu_seconds"] = round(_cpu_of_children() - cpu, 1)
        self.last[key] = outcome
        if not stop.is_set():
            try:
                self.store.learnt(key, changes)
            except StorageError as error:  # the next change asks for a training again
                log.error("project %s: what was learnt is not noted: %s", key, error)
        log.log(logging.INFO if outcome["state"] == "done" else logging.ERROR, "project %s: training %s", key, outcome)

    def forget(self, key: str) -> None:
        """Remove all that is known of a project, its model too."""
        self.store.forget(key)
        with self._lock:  # who looks for the model meanwhile would load it again
            self._loaded.pop(key, None)
            shutil.rmtree(self.folder(key), ignore_errors=True)
        self.last.pop(key, None)

    def _retrain(self, key: str, stop: threading.Event) -> Tagger:
        label_config = self.store.label_config(key)
        if label_config is None:
            raise NotRetrained("the project's labelling configuration is not known yet")
        controls, folder = controls_of(label_config), self.folder(key)
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.glob("training-*"):  # by a process that was killed; its training may run on, and fails now
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix="training-", dir=folder))
        try:
            maps = self.maps(key, self.base, controls)
            examples = collect(self.store.annotations(key), self.store.texts(key), controls, maps, self.base)
            job = write_job(work, self.base, examples, self.options.job)
            run(job, work / "model", folder / "training.log", stop)
            checked(work / "model", self.base, examples, **self.options.tagger)
            if self.store.label_config(key) is None:
                raise NotRetrained("the project was deleted meanwhile")
            return self._put_in_place(key, work / "model")
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _put_in_place(self, key: str, made: Path) -> Tagger:
        """Serve a new model; the one before is kept beside it."""
        model, previous = self.folder(key) / "model", self.folder(key) / "previous"
        with self._lock:  # who looks for the model meanwhile would put the one before back
            shutil.rmtree(previous, ignore_errors=True)
            if model.exists():
                model.rename(previous)
            made.rename(model)
            return self._keep(key, Tagger.load(model, **self.options.tagger))

    def _keep(self, key: str, tagger: Tagger) -> Tagger:
        self._loaded[key] = tagger
        self._loaded.move_to_end(key)
        while len(self._loaded) > _MOST_LOADED:
            self._loaded.popitem(last=False)
        return tagger


def _cpu_of_children() -> float:
    """Processor seconds of all processes of ours that have ended; there is one training at a time."""
    times = os.times()
    return times.children_user + times.children_system
