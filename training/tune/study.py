"""A search under way, kept by Optuna: the trials so far, their outcomes, and the sampler of the next.

Every event is in the record before the search continues (:mod:`fenestra.training.tune.record`), so no finished trial is
lost whatever stops the search; an unfinished one is dropped, and its number is drawn again.

Trials are numbered from 1, and a search of 40 trials has the numbers 1 to 40, each once, however many processes work on
it. Optuna counts trials in the order in which they were begun, dropped ones among them; its number decides between two
processes that begin the same number at the same moment: the later one gives way.

Samples depend on the seed, the number and the finished trials only, so an interrupted search of one process continues
with the same trials.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from fenestra.model.errors import ConfigError, InputError, StorageError
from fenestra.training.config import differences
from fenestra.training.tune.record import Record, open_file
from fenestra.training.tune.space import Choices, Domain, Space, StudyConfig, Values
from fenestra.training.tune.trial import FEWEST_FOR_IMPORTANCE, SeedScore, Trial
from fenestra.training.tune.workers import Alone, Workers

_INPUTS, _OUTCOME, _NUMBER, _WORKER, _BEAT = "inputs", "outcome", "number", "worker", "beat "
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

_FINISHED = (UpdateFinishedTrialError, ValueError)  # what Optuna raises when a trial is finished already
_BEST_SHARE = 0.25  # of the complete trials, whose values are compared with all others


class TrialLost(Exception):
    """Other processes took this one for dead, and its trial has been dropped."""


class Study:
    """A search under way. Open it with :meth:`open`; if other processes may have it open, too, then :meth:`join`."""

    def __init__(self, study: optuna.Study, space: Space, record: Record, inputs: Mapping[str, Any]) -> None:
        self._study, self._space, self._record, self._inputs = study, space, record, inputs
        self._workers: Workers = Alone()
        self._begun: set[int] = set()  # Optuna's numbers of the trials of this process

    @classmethod
    def open(cls, record: Path | Record, space: Space, inputs: Mapping[str, Any], *, resume: bool = True) -> "Study":
        """Begin a search, or continue the one that is recorded.

        Args:
            record: of the search, or the folder that holds it.
            space: what is searched.
            inputs: what the trials depend on: configuration, space, corpora, vectors.
            resume: whether there may be a search already.

        Raises:
            InputError: there is a search already.
            ConfigError: it has other inputs, or its record is damaged; says what differs.
            StorageError: the disk or the database refused.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the command line reports progress itself
        record = open_file(record) if isinstance(record, Path) else record
        with record.guarded():
            study = optuna.create_study(
                storage=record.storage,
                study_name=record.search,
                direction="maximize",
                pruner=_pruner(space.study),
                load_if_exists=True,
            )
            was_there = _INPUTS in study.user_attrs
            if not was_there:
                study.set_user_attr(_INPUTS, inputs)
        if was_there and not resume:
            raise InputError(
                f"the search {record.search!r} is there already; go on with --resume, or choose another --study"
            )
        found = cls(study, space, record, json.loads(json.dumps(inputs)))
        found._refuse_other_inputs()
        return found

    def join(self, workers: Workers) -> None:
        """Share the search with other processes."""
        self._workers = workers

    @property
    def trials(self) -> list[Trial]:
        """All finished trials, by number."""
        found: dict[int, Trial] = {}
        for trial in self._read():
            if _OUTCOME in trial.user_attrs:
                outcome = _trial(trial.user_attrs[_OUTCOME])
                found.setdefault(outcome.number, outcome)
        return [found[number] for number in sorted(found)]

    def ask(self, first: Values | None = None) -> "Attempt | None":
        """Begin the next trial.

        Args:
            first: values of the first trial; sampled like all others if omitted.

        Returns:
            The trial; None if every number is taken by a trial that is finished or under way.

        Raises:
            ConfigError: another process began the search at the same moment with other inputs.
            StorageError: the disk or the database refused.
        """
        self._refuse_other_inputs()
        with self._record.guarded():
            while True:
                self._settle()
                if not self._enqueue(first):
                    return None
                trial = self._study.ask()
                self._begun.add(trial.number)
                with suppress(UpdateFinishedTrialError):  # dropped by others already
                    if self._is_ours(trial):
                        return self._sample(trial)
                _drop(self._study, trial.number)

    def others(self) -> list[int]:
        """Numbers of the trials that other processes are working on."""
        return sorted(trial.user_attrs[_NUMBER] for trial in self._read() if self._is_elsewhere(trial))

    def twins(self, attempt: "Attempt") -> list[int]:
        """Numbers of the trials of other processes, begun earlier, that have the same values, or none as yet."""
        return [
            trial.user_attrs[_NUMBER]
            for trial in self._read()
            if trial.number < attempt.place
            and self._is_elsewhere(trial)
            and (len(trial.params) < len(self._space.domains) or trial.params == attempt.params)
        ]

    def heartbeats(self) -> dict[str, int]:
        """The last number of each process that changes one."""
        with self._record.guarded():
            attributes = self._study.user_attrs
        return {name.removeprefix(_BEAT): beat for name, beat in attributes.items() if name.startswith(_BEAT)}

    def record_heartbeat(self, worker: str, beat: int) -> None:
        """Change the number of a process."""
        with self._record.guarded():
            self._study.set_user_attr(_BEAT + worker, beat)

    def importances(self) -> dict[str, float]:
        """How much each searched field had to do with being among the best quarter of the complete trials.

        PED-ANOVA (Watanabe et al. 2023), as shares that sum to 1, the largest first. Empty if there are fewer than
        ``FEWEST_FOR_IMPORTANCE`` complete trials, or no quarter of them is better than the rest.
        """
        scores = sorted((t.dev_f1 for t in self.trials if t.state == "complete" and t.dev_f1 is not None), reverse=True)
        if len(scores) < FEWEST_FOR_IMPORTANCE or scores[math.ceil(_BEST_SHARE * len(scores)) - 1] == scores[-1]:
            return {}
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances  # and all of scikit-learn

        evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
        with self._record.guarded():
            return get_param_importances(self._study, evaluator=evaluator)

    def _read(self) -> list[FrozenTrial]:
        with self._record.guarded():
            return self._study.get_trials(deepcopy=False)

    def _refuse_other_inputs(self) -> None:
        """Compare the inputs with the recorded ones.

        Also before every trial: of two processes that begin a search at the same moment, the later one's are recorded.
        """
        with self._record.guarded():
            recorded = self._study.user_attrs[_INPUTS]
        if changed := differences(recorded, self._inputs):
            raise ConfigError("cannot resume: the search was started with other inputs: " + "; ".join(changed))

    def _settle(self) -> None:
        """Close the trials whose process is dead: with their recorded outcome, or else as dropped."""
        for trial in self._read():
            if trial.state != TrialState.RUNNING or trial.number in self._begun or self._is_elsewhere(trial):
                continue
            outcome = trial.user_attrs.get(_OUTCOME)
            if outcome:
                _tell(self._study, trial.number, _trial(outcome))
            else:
                _drop(self._study, trial.number)

    def _enqueue(self, first: Values | None) -> bool:
        """Prepare a trial with the smallest free number, unless one is prepared; False if no number is free.

        One that a dead process has prepared is begun, dropped, and prepared again: a trial names its process from the
        moment that it appears, and never another one.
        """
        trials = self._read()
        waiting = {t.user_attrs.get(_WORKER) for t in trials if t.state == TrialState.WAITING}
        if any(worker in (None, self._workers.name) or not self._workers.alive(worker) for worker in waiting):
            return True
        taken = {_number(trial) for trial in trials if not _is_dropped(trial)}
        number = next((n for n in range(1, self._space.study.trials + 1) if n not in taken), None)
        if number is None:
            return False
        values = first if first and number == 1 else {}
        parameters = {name: self._space.domains[name].parameter(value) for name, value in values.items()}
        self._study.enqueue_trial(parameters, user_attrs={_NUMBER: number, _WORKER: self._workers.name})
        return True

    def _is_ours(self, trial: optuna.Trial) -> bool:
        """Whether this process has prepared the trial that it has begun, and no earlier trial has the same number."""
        number, worker = trial.user_attrs.get(_NUMBER), trial.user_attrs.get(_WORKER)
        if number is None or number > self._space.study.trials or worker != self._workers.name:
            return False
        earlier = (t for t in self._read() if t.number < trial.number and not _is_dropped(t))
        return number not in map(_number, earlier)

    def _is_elsewhere(self, trial: FrozenTrial) -> bool:
        """Whether a living process other than this one is working on a trial."""
        worker = trial.user_attrs.get(_WORKER)
        return (
            trial.state == TrialState.RUNNING
            and worker not in (None, self._workers.name)
            and _NUMBER in trial.user_attrs
            and self._workers.alive(worker)
        )

    def _sample(self, trial: optuna.Trial) -> "Attempt":
        """Draw the values of a trial."""
        study, number = self._space.study, trial.user_attrs[_NUMBER]
        digest = hashlib.sha256(f"{study.sampler_seed} {number - 1}".encode()).digest()
        self._study.sampler = TPESampler(
            seed=int.from_bytes(digest[:4], "big"),
            n_startup_trials=study.random_trials,
            constant_liar=bool(self.others()),  # keeps away from values that other processes are trying
        )
        domains = self._space.domains
        values = {name: domain.drawn(_suggest(trial, name, domain)) for name, domain in domains.items()}
        return Attempt(trial, number, values, self._record)


class Attempt:
    """A trial under way."""

    def __init__(self, trial: optuna.Trial, number: int, values: Values, record: Record) -> None:
        self._trial, self._record = trial, record
        self.number, self.values = number, values
        self.place, self.params = trial.number, trial.params

    def should_prune(self, epoch: int, dev_f1: float) -> bool:
        """Record the dev F1 of an epoch; returns whether the trial is pruned.

        Raises:
            TrialLost: other processes took this one for dead.
            StorageError: the disk or the database refused.
        """
        with self._record.guarded(), _still_ours():
            self._trial.report(dev_f1, epoch)
            return self._trial.should_prune()

    def finish(self, outcome: Trial) -> None:
        """Record the outcome.

        Raises:
            TrialLost: other processes took this one for dead.
            StorageError: the disk or the database refused.
        """
        with self._record.guarded():
            with _still_ours():
                self._trial.set_user_attr(_OUTCOME, asdict(outcome))
            _tell(self._trial.study, self._trial.number, outcome)

    def drop(self) -> None:
        """Let other processes have the number at once. What stopped the trial matters more than whether this works."""
        with suppress(StorageError), self._record.guarded():
            _drop(self._trial.study, self._trial.number)


@contextmanager
def _still_ours() -> Iterator[None]:
    try:
        yield
    except UpdateFinishedTrialError as error:
        raise TrialLost from error


def _tell(study: optuna.Study, number: int, outcome: Trial) -> None:
    """Let the sampler know an outcome, unless another process did or dropped the trial."""
    score = outcome.dev_f1 if outcome.state == "complete" else None
    with suppress(*_FINISHED):
        study.tell(number, score, state=_STATES[outcome.state])


def _drop(study: optuna.Study, number: int) -> None:
    """Give a trial up, unless it is finished."""
    with suppress(*_FINISHED):
        study.tell(number, state=TrialState.FAIL)


def _is_dropped(trial: FrozenTrial) -> bool:
    """Whether a trial was given up without an outcome."""
    return trial.state.is_finished() and _OUTCOME not in trial.user_attrs


def _number(trial: FrozenTrial) -> int | None:
    """The number of a trial; None for one that an earlier version of Fenestra left unfinished."""
    found: int | None = trial.user_attrs.get(_NUMBER, trial.user_attrs.get(_OUTCOME, {}).get("number"))
    return found


def _trial(outcome: Mapping[str, Any]) -> Trial:
    return Trial(**{**outcome, "by_seed": tuple(SeedScore(**score) for score in outcome["by_seed"])})


def _suggest(trial: optuna.Trial, name: str, domain: Domain) -> Any:  # noqa: ANN401 - a parameter of the sampler
    if isinstance(domain, Choices):
        return trial.suggest_categorical(name, [domain.parameter(choice) for choice in domain.choices])
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=int(domain.step or 1))
    return trial.suggest_float(name, float(domain.low), float(domain.high), log=domain.log, step=domain.step)


def _pruner(study: StudyConfig) -> BasePruner:
    if study.pruning == "none":
        return NopPruner()
    # an epoch's number is the step; those before n_warmup_steps are not pruned
    return MedianPruner(n_startup_trials=study.pruning_trials, n_warmup_steps=study.pruning_epochs + 1)
