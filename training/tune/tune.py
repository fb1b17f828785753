"""A search of configurations: sample one, train it, record its dev F1, sample the next. The test corpus is never read.

OUTPUT/trials.jsonl   the record of the search, complete at any moment (:mod:`fenestra.training.tune.study`)
       best.toml      the best configuration so far, whole, for ``fenestra train``
       report.json    everything about the search so far
       report.html    the same as a page

The three are written anew after every trial, each in one step. Several processes may work on one search: they share the
folder, or a database, which then is the record.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch

from fenestra.model.errors import ConfigError, InputError, RunError, TrainingDiverged
from fenestra.model.storage import replace_durably, storage_error
from fenestra.training.config import RunConfig, VectorsConfig, publishable_config, write_config
from fenestra.training.data.corpus import Corpus
from fenestra.training.device import resolve_device
from fenestra.training.fit.epoch import Epoch
from fenestra.training.fit.loop import fit
from fenestra.training.job import Inputs, begin, prepare, rare_garbage_collection, read, used_vectors, words_of
from fenestra.training.output import LOCK
from fenestra.training.tune.record import RECORD, SEARCH, open_database
from fenestra.training.tune.search_page import render_search
from fenestra.training.tune.search_report import SearchReport, build_search_report
from fenestra.training.tune.space import SOURCE, Space, StudyConfig, Values, configure, standing
from fenestra.training.tune.study import Attempt, Study, TrialLost
from fenestra.training.tune.trial import SeedScore, State, Trial, best_of
from fenestra.training.tune.workers import LOCKS, locked, sharing_database, sharing_folder
from fenestra.training.vectors.vectors import WordVectors, load_vectors

BEST, REPORT, PAGE = "best.toml", "report.json", "report.html"

_POLL = 1.0  # seconds between two looks at what other processes do


class Watch(Protocol):
    """Observes a search."""

    def epoch(self, trial: int, seed: int, epoch: Epoch) -> None:
        """An epoch of a trial is over."""

    def trial(self, trial: Trial, *, is_best: bool, done: int) -> None:
        """A trial is over; ``is_best`` if no earlier one had as good a dev F1; ``done`` of all processes together."""

    def lost(self, number: int) -> None:
        """Other processes took this one for dead, and do its trial again."""

    def waiting(self, numbers: Sequence[int]) -> None:
        """Nothing is left to do but trials that other processes are working on; called again and again."""


class NoWatch:
    """Observes nothing."""

    def epoch(self, trial: int, seed: int, epoch: Epoch) -> None:
        """Do nothing."""

    def trial(self, trial: Trial, *, is_best: bool, done: int) -> None:
        """Do nothing."""

    def lost(self, number: int) -> None:
        """Do nothing."""

    def waiting(self, numbers: Sequence[int]) -> None:
        """Do nothing."""


Observe = Callable[[int], AbstractContextManager[Watch]]
"""Called with the number of trials already done; its context observes the search."""


def unobserved(_done: int) -> AbstractContextManager[Watch]:
    """Observe nothing."""
    return nullcontext(NoWatch())


@dataclass(frozen=True, slots=True)
class Material:
    """The corpora and vectors of all trials, read once."""

    corpora: dict[str, Corpus]
    vectors: dict[VectorsConfig, WordVectors]
    """By their configuration, standardisation left out."""

    @classmethod
    def read(cls, config: RunConfig, space: Space) -> "Material":
        """Read corpora, and every set of vectors that a trial may start from."""
        corpora = read(config)
        words = words_of(corpora)
        deciding = [name for name in (SOURCE, "model.features.vectors") if name in space.domains]
        found: dict[VectorsConfig, WordVectors] = {}
        for values in product(*(space.domains[name].ends() for name in deciding)):
            key = _key(configure(config, dict(zip(deciding, values, strict=True))))
            if key not in found:
                found[key] = load_vectors(key, words)
        return cls(corpora, found)

    def inputs(self, config: RunConfig) -> Inputs:
        """What a job starts from."""
        return prepare(config, self.corpora, self.vectors[_key(config)])

    def fingerprint(self) -> dict[str, Any]:
        """What was read, by sha256."""
        return {
            "corpora": {split: corpus.sha256 for split, corpus in self.corpora.items()},
            "vectors": [vectors.sha256 for vectors in self.vectors.values()],
        }


def _key(config: RunConfig) -> VectorsConfig:
    return replace(used_vectors(config), standardise=True)


def tune(
    config: RunConfig,
    space: Space,
    output: Path,
    *,
    command: str,
    resume: bool = False,
    storage: str | None = None,
    search: str = SEARCH,
    observe: Observe = unobserved,
) -> SearchReport:
    """Search a space of configurations for the best dev F1, alone or together with other processes.

    Args:
        config: the job whose fields are searched.
        space: which fields, and how.
        output: folder of the search; must not hold anything yet.
        command: how the search was asked for, for the report.
        resume: continue a search in the same folder or database, if there is one, whether or not other processes work
            on it. The number of trials and the time limit may be changed.
        storage: URL of a database that is the record, in place of a file in the folder.
        search: its name in the database.
        observe: is called with epochs and trials.

    Returns:
        The report.

    Raises:
        InputError: configuration, corpora or vectors are wrong, or the folder is taken.
        RunError: no trial was completed, or the disk or the database refused.
    """
    torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    with _claimed(output, resume=resume, in_database=storage is not None), rare_garbage_collection():
        record = open_database(storage, search) if storage else output
        blind = replace(config, data=replace(config.data, test=()))
        material = Material.read(blind, space)
        inputs = {"config": publishable_config(blind), "space": space.fingerprint(), **material.fingerprint()}
        study = Study.open(record, space, inputs, resume=resume)
        publish = partial(_publish, config, space, material, study, output, command)

        def work(attempt: Attempt, watch: Watch) -> None:
            trial = _repeated(attempt, study.trials) or _run(attempt, blind, space.study, material, device, watch)
            attempt.finish(trial)
            publish()
            trials = study.trials
            watch.trial(trial, is_best=best_of(trials) == trial, done=len(trials))

        with _shared(study, output, in_database=storage is not None), observe(len(study.trials)) as watch:
            _search(study, space, standing(blind, space), work, watch)
        report = publish()
    if report["best"] is None:
        raise RunError(f"none of {len(report['trials'])} trials was completed; the last: {report['trials'][-1]['why']}")
    return report


def _search(study: Study, space: Space, first: Values, work: Callable[[Attempt, Watch], None], watch: Watch) -> None:
    """Work on trials until those of all processes are over, so that the report is about the whole search."""
    first_or_none = first if space.holds(first) else None
    while len(trials := study.trials) < space.study.trials:
        time_is_up = 0 < space.study.minutes * 60 <= sum(trial.seconds for trial in trials)
        attempt = None if time_is_up else study.ask(first_or_none)
        if attempt:
            with _under_way(attempt, watch):
                while study.twins(attempt):  # the same values: their outcome serves for both
                    time.sleep(_POLL)
                work(attempt, watch)
            continue
        others = study.others()
        if time_is_up and not others:
            return
        watch.waiting(others)
        time.sleep(_POLL)


@contextmanager
def _under_way(attempt: Attempt, watch: Watch) -> Iterator[None]:
    """Let others have the number of a trial that is interrupted."""
    try:
        yield
    except TrialLost:
        watch.lost(attempt.number)
    except BaseException:
        attempt.drop()
        raise


@contextmanager
def _shared(study: Study, output: Path, *, in_database: bool) -> Iterator[None]:
    """Let other processes know that this one is alive."""
    database = sharing_database(study.heartbeats, study.record_heartbeat)
    with database if in_database else sharing_folder(output) as workers:
        study.join(workers)
        yield


def _repeated(attempt: Attempt, trials: Sequence[Trial]) -> Trial | None:
    """The outcome of an earlier trial with the same values, which training would only repeat."""
    for trial in trials:
        if trial.values == attempt.values and trial.state != "pruned" and trial.repeats is None:
            return replace(trial, number=attempt.number, seconds=0.0, epochs=0, repeats=trial.number)
    return None


def _run(
    attempt: Attempt,
    base: RunConfig,
    study: StudyConfig,
    material: Material,
    device: torch.device,
    watch: Watch,
) -> Trial:
    """Train with every seed, unless one diverges or the trial is pruned with the first seed."""
    started = time.perf_counter()
    best: dict[int, Epoch] = {}
    epochs = 0

    def outcome(state: State, dev_f1: float | None, why: str = "") -> Trial:
        return Trial(
            number=attempt.number,
            values=attempt.values,
            state=state,
            dev_f1=dev_f1,
            by_seed=tuple(SeedScore(seed=seed, dev_f1=e.dev_f1, epoch=e.number) for seed, e in best.items()),
            epochs=epochs,
            seconds=time.perf_counter() - started,
            why=why,
        )

    try:
        config = configure(base, attempt.values)
        for seed in study.seeds:
            for epoch in _epochs(config, seed, material, device):
                epochs += 1
                watch.epoch(attempt.number, seed, epoch)
                if epoch.is_best:
                    best[seed] = epoch
                if seed == study.seeds[0] and attempt.should_prune(epoch.number, epoch.dev_f1):
                    reached = best.pop(seed).dev_f1
                    return outcome("pruned", reached, f"below the median after epoch {epoch.number}")
    except TrainingDiverged as error:
        best.pop(seed, None)
        return outcome("failed", None, f"seed {seed}, {error}")
    except ConfigError as error:  # values that are valid, but not together
        return outcome("failed", None, str(error))
    return outcome("complete", fmean(epoch.dev_f1 for epoch in best.values()))


def _epochs(config: RunConfig, seed: int, material: Material, device: torch.device) -> Iterator[Epoch]:
    """One job, an epoch at a time."""
    config = replace(config, seed=seed)
    progress, train, dev = begin(config, material.inputs(config), device)
    yield from fit(progress, train, dev, config, device)


def _publish(
    config: RunConfig, space: Space, material: Material, study: Study, output: Path, command: str
) -> SearchReport:
    """Write the best configuration so far, if there is one, and the report.

    One process at a time, so that none writes about fewer trials than are in the files already.
    """
    with _writing(output), locked(output / LOCKS / "reports"):
        return _write(config, space, material, study, output, command)


def _write(
    config: RunConfig, space: Space, material: Material, study: Study, output: Path, command: str
) -> SearchReport:
    """Write the files; their drafts have fixed names."""
    trials = study.trials
    best = best_of(trials)
    if best is not None:
        text = f"{_heading(best, len(trials), command)}{write_config(configure(config, best.values), output)}"
        replace_durably(output / BEST, text.encode("utf-8"))
    report = build_search_report(
        config=replace(config, data=replace(config.data, test=())),
        space=space,
        corpora=material.corpora,
        vectors=list(material.vectors.values()),
        trials=trials,
        best=best,
        first=standing(config, space),
        importances=study.importances(),
        command=command,
    )
    replace_durably(output / REPORT, (json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode("utf-8"))
    replace_durably(output / PAGE, render_search(report).encode("utf-8"))
    return report


def _heading(best: Trial, trials: int, command: str) -> str:
    """Where a configuration comes from, as a comment of the file."""
    seeds = ", ".join(str(score.seed) for score in best.by_seed)
    return (
        f"# Trial {best.number} of {trials}: dev F1 {best.dev_f1:.2%}, mean of seeds {seeds}. Found by\n#   {command}\n"
    )


@contextmanager
def _claimed(output: Path, *, resume: bool, in_database: bool) -> Iterator[None]:
    """Make the folder of a search; it is removed in the end if it is empty.

    Raises:
        InputError: there is something else, or a search that is not to be resumed.
        StorageError: the folder cannot be made.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file, expected a folder that does not exist yet")
    ours = not output.exists()
    try:
        with _writing(output):
            output.mkdir(parents=True, exist_ok=True)
            files = {path.name.removesuffix(".new") for path in output.iterdir()} - {LOCKS, LOCK}
        _refuse_taken(output, files, resume=resume, in_database=in_database)
        yield
    finally:
        if ours and output.is_dir() and not any(output.iterdir()):
            output.rmdir()


def _refuse_taken(output: Path, files: set[str], *, resume: bool, in_database: bool) -> None:
    reports = {BEST, REPORT, PAGE}
    if files and RECORD not in files and not files <= reports:
        raise InputError(f"{output}: holds files that are not a search; choose another --output")
    if files and not resume:
        raise InputError(f"{output}: holds a search; go on with --resume, or choose another --output")
    if in_database and RECORD in files:
        raise InputError(f"{output}: holds a search that is not in a database; choose another --output")
    if files and RECORD not in files and not in_database:
        raise InputError(f"{output}: holds the reports of a search in a database; say which with --storage")


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(output, 0, error) from error
