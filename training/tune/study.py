"""The record of a search, kept by Optuna: the trials so far, their outcomes, and the sampler of the next.

One text file, a JSON object a line. Every event is appended and synced to disk before the search continues, so no
finished trial is lost whatever stops the search; an unfinished one is dropped and sampled again.

Samples depend on the seed and on the finished trials only, so an interrupted search continues with the same trials.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from fenestra.model.errors import ConfigError
from fenestra.model.storage import storage_error
from fenestra.training.config import differences
from fenestra.training.tune.space import Choices, Domain, Space, StudyConfig, Values
from fenestra.training.tune.trial import FEWEST_FOR_IMPORTANCE, SeedScore, Trial

RECORD = "trials.jsonl"

_NAME, _INPUTS, _OUTCOME = "search", "inputs", "outcome"
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

_BEST_SHARE = 0.25  # of the complete trials, whose values are compared with all others


class Study:
    """A search under way. Open it with :meth:`open`, in a folder that the caller has locked."""

    def __init__(self, study: optuna.Study, space: Space, path: Path) -> None:
        self._study, self._space, self._path = study, space, path
        self._distributions = {name: _distribution(domain) for name, domain in space.domains.items()}

    @classmethod
    def open(cls, folder: Path, space: Space, inputs: Mapping[str, Any]) -> "Study":
        """Begin a search, or continue the one in the folder.

        Args:
            folder: where the record is.
            space: what is searched.
            inputs: what the trials depend on: configuration, space, corpora, vectors.

        Raises:
            ConfigError: the search there had other inputs, or its record is damaged; says what differs.
            StorageError: the disk refused.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # the command line reports progress itself
        path = folder / RECORD
        with _writing(path):
            _cut_torn_line(path)
            study = optuna.create_study(
                storage=_storage(path),
                study_name=_NAME,
                direction="maximize",
                pruner=_pruner(space.study),
                load_if_exists=True,
            )
            before = study.user_attrs.get(_INPUTS)
            if before is None:
                study.set_user_attr(_INPUTS, inputs)
        if before is not None and (changed := differences(before, json.loads(json.dumps(inputs)))):
            raise ConfigError("cannot resume: the search was started with other inputs: " + "; ".join(changed))
        found = cls(study, space, path)
        found._settle()
        return found

    @property
    def trials(self) -> list[Trial]:
        """All finished trials, in order."""
        return [_trial(t.user_attrs[_OUTCOME]) for t in self._study.get_trials(deepcopy=False) if _counts(t)]

    def ask(self, first: Values | None = None) -> "Attempt":
        """Sample the next trial.

        Args:
            first: values of the first trial; sampled like all others if omitted.
        """
        done = len(self.trials)
        digest = hashlib.sha256(f"{self._space.study.sampler_seed} {done}".encode()).digest()
        self._study.sampler = TPESampler(
            seed=int.from_bytes(digest[:4], "big"),
            n_startup_trials=self._space.study.random_trials,
            constant_liar=False,  # trials run one at a time
        )
        with _writing(self._path):
            waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))  # since an interruption
            if first is not None and not done and not waiting:
                self._study.enqueue_trial({n: self._space.domains[n].parameter(v) for n, v in first.items()})
            trial = self._study.ask(self._distributions)
        values = {name: domain.drawn(trial.params[name]) for name, domain in self._space.domains.items()}
        return Attempt(trial, done + 1, values, self._path)

    def importances(self) -> dict[str, float]:
        """How much each searched field had to do with being among the best quarter of the complete trials.

        PED-ANOVA (Watanabe et al. 2023), as shares that sum to 1, the largest first. Empty if there are fewer than
        ``FEWEST_FOR_IMPORTANCE`` complete trials, or no quarter of them is better than the rest.
        """
        scores = sorted((t.dev_f1 for t in self.trials if t.state == "complete" and t.dev_f1 is not None), reverse=True)
        if len(scores) < FEWEST_FOR_IMPORTANCE or scores[math.ceil(_BEST_SHARE * len(scores)) - 1] == scores[-1]:
            return {}
        evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
        return get_param_importances(self._study, evaluator=evaluator)

    def _settle(self) -> None:
        """Close the trials that an interrupted search left open: with their recorded outcome, or else as failed."""
        with _writing(self._path):
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                outcome = trial.user_attrs.get(_OUTCOME)
                if outcome:
                    _tell(self._study, trial.number, _trial(outcome))
                else:
                    self._study.tell(trial.number, state=TrialState.FAIL)


class Attempt:
    """A trial under way."""

    def __init__(self, trial: optuna.Trial, number: int, values: Values, path: Path) -> None:
        self._trial, self._path = trial, path
        self.number, self.values = number, values

    def should_prune(self, epoch: int, dev_f1: float) -> bool:
        """Record the dev F1 of an epoch; returns whether the trial is pruned."""
        with _writing(self._path):
            self._trial.report(dev_f1, epoch)
        return self._trial.should_prune()

    def finish(self, outcome: Trial) -> None:
        """Record the outcome."""
        with _writing(self._path):
            self._trial.set_user_attr(_OUTCOME, asdict(outcome))
            _tell(self._trial.study, self._trial.number, outcome)


class _NoLock(JournalFileOpenLock):
    """No lock of the record: the folder of a study is locked already, and Optuna's own lock would outlive a kill."""

    def acquire(self) -> bool:
        """It is held already."""
        return True

    def release(self) -> None:
        """It stays held."""


def _tell(study: optuna.Study, number: int, outcome: Trial) -> None:
    score = outcome.dev_f1 if outcome.state == "complete" else None
    study.tell(number, score, state=_STATES[outcome.state])


def _counts(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial of the record is finished."""
    return trial.state.is_finished() and _OUTCOME in trial.user_attrs


def _trial(outcome: Mapping[str, Any]) -> Trial:
    return Trial(**{**outcome, "by_seed": tuple(SeedScore(**score) for score in outcome["by_seed"])})


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Choices):
        return CategoricalDistribution([domain.parameter(choice) for choice in domain.choices])
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=int(domain.step or 1))
    return FloatDistribution(float(domain.low), float(domain.high), log=domain.log, step=domain.step)


def _pruner(study: StudyConfig) -> BasePruner:
    if study.pruning == "none":
        return NopPruner()
    # an epoch's number is the step; those before n_warmup_steps are not pruned
    return MedianPruner(n_startup_trials=study.pruning_trials, n_warmup_steps=study.pruning_epochs + 1)


def _storage(path: Path) -> JournalStorage:
    """Read the record.

    Raises:
        ConfigError: it is damaged.
    """
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=_NoLock(str(path))))
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise ConfigError(f"{path}: not the record of a search ({error}); delete it to start again") from error


def _cut_torn_line(path: Path) -> None:
    """Remove an incomplete last line, which a kill may leave: Optuna would append the next event to it."""
    if path.exists():
        whole = path.read_bytes().rfind(b"\n") + 1
        if whole < path.stat().st_size:
            os.truncate(path, whole)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Name the file that could not be written.

    Raises:
        StorageError: the disk refused.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(path, 0, error) from error
