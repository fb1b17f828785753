"""The record of a search: finished trials are there, whatever happens; the next one follows from them."""

import json
from dataclasses import replace
from statistics import fmean

import pytest

from fenestra.model.errors import ConfigError, StorageError
from fenestra.training.tune.record import RECORD
from fenestra.training.tune.space import Choices, Range, Space, StudyConfig
from fenestra.training.tune.study import Study
from fenestra.training.tune.trial import SeedScore, Trial, best_of

SPACE = Space(
    study=StudyConfig(seeds=(1,), random_trials=3, pruning_trials=1, pruning_epochs=1),
    domains={"rate": Range(low=0.0, high=1.0), "size": Choices(choices=([8], [16])), "context": Range(low=1, high=3)},
)
INPUTS = {"config": {"seed": 1}, "vectors": ["abc"]}


def finished(attempt, dev_f1, **changes):
    """Record the outcome of an attempt, and return it."""
    plain = Trial(
        number=attempt.number, values=attempt.values, state="complete", dev_f1=dev_f1,
        by_seed=(SeedScore(seed=1, dev_f1=dev_f1 or 0.0, epoch=2),), epochs=3, seconds=1.5,
    )  # fmt: skip
    attempt.finish(replace(plain, **changes))
    return replace(plain, **changes)


def search(study, trials, score=lambda values: values["rate"]):
    while len(study.trials) < trials:
        attempt = study.ask()
        finished(attempt, score(attempt.values))
    return study.trials


@pytest.fixture
def study(tmp_path):
    return Study.open(tmp_path, SPACE, INPUTS)


def test_finished_trials_are_there_when_it_is_opened_again(study, tmp_path):
    trials = [
        finished(study.ask(), 0.5),
        finished(study.ask(), None, state="failed", by_seed=(), why="diverged"),
        finished(study.ask(), 0.25, state="pruned", by_seed=()),
    ]
    assert study.trials == trials
    assert Study.open(tmp_path, SPACE, INPUTS).trials == trials


@pytest.mark.parametrize("stop", [0, 2, 5, 9])
@pytest.mark.parametrize("torn", [b"", b'{"op_code":5,"worker_id":"x","trial_id"'])
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(stop, torn, tmp_path):
    """Whether the process died in a trial, or in the middle of a line of the record."""
    whole = search(Study.open(tmp_path / "..", SPACE, INPUTS), 10)
    killed = Study.open(tmp_path, SPACE, INPUTS)
    search(killed, stop)
    killed.ask().should_prune(1, 0.1)
    with (tmp_path / RECORD).open("ab") as record:
        record.write(torn)
    assert search(Study.open(tmp_path, SPACE, INPUTS), 10) == whole
    assert Study.open(tmp_path, SPACE, INPUTS).trials == whole


def test_a_trial_that_was_noted_when_the_process_died_counts_once(study, tmp_path, monkeypatch):
    attempt = study.ask()
    with monkeypatch.context() as patch:
        patch.setattr("fenestra.training.tune.study._tell", lambda *_: None)
        trial = finished(attempt, 0.5)
    assert Study.open(tmp_path, SPACE, INPUTS).trials == [trial]
    assert len(search(Study.open(tmp_path, SPACE, INPUTS), 4)) == 4


def test_the_first_trial_may_be_chosen_also_after_an_interruption(study, tmp_path):
    first = {"rate": 0.75, "size": [16], "context": 2}
    assert study.ask(first).values == first
    again = Study.open(tmp_path, SPACE, INPUTS)
    attempt = again.ask(first)
    assert attempt.values == first
    finished(attempt, 0.5)
    assert again.ask(first).values != first


def test_the_process_may_die_before_the_chosen_trial_has_begun(study, tmp_path, monkeypatch):
    first = {"rate": 0.75, "size": [16], "context": 2}
    with monkeypatch.context() as patch:
        patch.setattr(study._study, "ask", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            study.ask(first)
    trials = [finished(Study.open(tmp_path, SPACE, INPUTS).ask(first), 0.5)]
    assert trials[0].values == first
    assert Study.open(tmp_path, SPACE, INPUTS).trials == trials


def test_another_seed_draws_other_values(tmp_path):
    drawn = []
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        other = replace(SPACE, study=replace(SPACE.study, sampler_seed=seed))
        drawn.append(Study.open(tmp_path / str(seed), other, INPUTS).ask().values)
    assert drawn[0] != drawn[1]


def test_the_search_comes_to_where_the_best_values_are(study):
    """Random numbers between 0 and 1 lie 0.29 away from 0.3 on average."""
    trials = search(study, 40, lambda values: 1 - abs(values["rate"] - 0.3))
    assert fmean(abs(trial.values["rate"] - 0.3) for trial in trials[20:]) < 0.2


def test_other_inputs_are_refused_with_what_differs(study, tmp_path):
    finished(study.ask(), 0.5)
    with pytest.raises(ConfigError, match=r"cannot resume: .*config\.seed: 1 → 2; vectors: \['abc'\] → \['def'\]"):
        Study.open(tmp_path, SPACE, {"config": {"seed": 2}, "vectors": ["def"]})


@pytest.mark.parametrize("damage", ["not JSON\n", '{"op_code":77}\n', "[]\n"])
def test_a_damaged_record_is_named(damage, study, tmp_path):
    finished(study.ask(), 0.5)
    lines = (tmp_path / RECORD).read_text().splitlines(keepends=True)
    (tmp_path / RECORD).write_text("".join([*lines[:2], damage, *lines[2:]]))
    with pytest.raises(ConfigError, match=r"trials\.jsonl: not the record of a search .*delete it to start again"):
        Study.open(tmp_path, SPACE, INPUTS)


def test_a_disk_that_refuses_is_named_and_loses_nothing(study, tmp_path, monkeypatch):
    trial, attempt = finished(study.ask(), 0.5), study.ask()

    def refuse(_handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(StorageError, match=r"trials\.jsonl: No space left on device"):
            finished(attempt, 0.6)
    assert Study.open(tmp_path, SPACE, INPUTS).trials[:1] == [trial]


def test_a_trial_below_the_median_of_its_epoch_is_pruned(study):
    first = study.ask()
    assert not any(first.should_prune(epoch, 0.5) for epoch in (1, 2, 3))
    finished(first, 0.5)
    second = study.ask()
    assert not second.should_prune(1, 0.1)  # never pruned
    assert second.should_prune(2, 0.2)


def test_without_pruning_nothing_is_pruned(tmp_path):
    study = Study.open(tmp_path, replace(SPACE, study=replace(SPACE.study, pruning="none")), INPUTS)
    first = study.ask()
    assert not any(first.should_prune(epoch, 0.5) for epoch in (1, 2, 3))
    finished(first, 0.5)
    second = study.ask()
    assert not any(second.should_prune(epoch, 0.0) for epoch in (1, 2, 3))


def test_what_decides_the_score_is_what_is_important(study):
    search(study, 7)
    assert study.importances() == {}
    search(study, 30)
    found = study.importances()
    assert next(iter(found)) == "rate"
    assert set(found) == set(SPACE.domains)
    assert sum(found.values()) == pytest.approx(1)


def test_where_all_trials_are_as_good_nothing_is_important(study):
    search(study, 10, lambda _: 0.5)
    assert study.importances() == {}


def test_the_best_trial_is_the_earliest_complete_one_with_the_best_score(study):
    for score, state in ((0.5, "complete"), (0.9, "pruned"), (0.7, "complete"), (0.7, "complete"), (None, "failed")):
        finished(study.ask(), score, state=state)
    assert best_of(study.trials).number == 3
    assert best_of([]) is None


def test_the_record_is_lines_of_json(study, tmp_path):
    finished(study.ask(), 0.5)
    assert all(isinstance(json.loads(line), dict) for line in (tmp_path / RECORD).read_text().splitlines())
