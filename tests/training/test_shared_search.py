"""Several processes on one search: every number once, the dead are replaced, the living are left alone."""

import json
import os
import shutil
import signal
import sqlite3
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from fenestra.cli.main import main
from fenestra.model.errors import ConfigError, InputError, StorageError
from fenestra.training.tune import workers
from fenestra.training.tune.record import RECORD, open_database, open_file, shown_url
from fenestra.training.tune.study import Study, TrialLost
from fenestra.training.tune.tune import REPORT
from fenestra.training.tune.workers import LOCKS, locked, sharing_database, sharing_folder
from tests.training.test_study import INPUTS, SPACE, finished
from tests.training.test_tune import SPACE as SEARCH_SPACE
from tests.training.test_tune import Search, start

SECRET = "hunter2"


class Process:
    """One process of a search; the others are alive unless they are listed as dead."""

    def __init__(self, record, trials=50, inputs=INPUTS, dead=()):
        self.name, self.dead = f"process {id(self)}", dead
        self.study = Study.open(record, replace(SPACE, study=replace(SPACE.study, trials=trials)), inputs)
        self.study.join(self)

    def alive(self, name):
        return name not in self.dead


def work_at_once(processes):
    """The numbers that threads ran, each with a connection of its own, as processes have."""
    counted = []

    def work(study):
        while attempt := study.ask():
            counted.append(attempt.number)
            attempt.should_prune(1, 0.5)
            finished(attempt, attempt.values["rate"])

    threads = [threading.Thread(target=work, args=(process.study,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(counted)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """An SQLite file whose tables are made, which takes longer than all that a test does there."""
    path = tmp_path_factory.mktemp("tables") / "search.db"
    open_database(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["folder", "sqlite"])
def place(request, tmp_path, tables):
    """Opens the record of a search once more, as another process would."""
    shutil.copy(tables, tmp_path)
    url = f"sqlite:///{tmp_path / 'search.db'}"
    return (lambda: open_file(tmp_path)) if request.param == "folder" else lambda: open_database(url)


class TestNumbers:
    def test_two_processes_take_turns(self, place):
        one, two = Process(place(), 4), Process(place(), 4)
        attempts = [one.study.ask(), two.study.ask(), one.study.ask(), two.study.ask()]
        assert [attempt.number for attempt in attempts] == [1, 2, 3, 4]
        assert one.study.ask() is None is two.study.ask()
        assert (one.study.others(), two.study.others()) == ([2, 4], [1, 3])
        for attempt in attempts:
            finished(attempt, 0.5)
        assert [trial.number for trial in one.study.trials] == [1, 2, 3, 4] == [t.number for t in two.study.trials]
        assert one.study.others() == []

    def test_the_first_trials_have_the_same_values_however_many_processes_there_are(self, place, tmp_path):
        (tmp_path / "alone").mkdir()
        study = Study.open(tmp_path / "alone", SPACE, INPUTS)
        alone = [finished(study.ask(), 0.5).values for _ in range(3)]  # SPACE draws three at random
        one, two = Process(place()), Process(place())
        together = [one.study.ask(), two.study.ask(), one.study.ask()]
        assert [attempt.values for attempt in together] == alone

    def test_the_number_of_a_dead_process_is_drawn_again(self, place):
        one, two = Process(place(), 3), Process(place(), 3)
        one.study.ask()
        lost = two.study.ask()
        one.dead = [two.name]
        assert one.study.ask().number == 2
        assert one.study.ask().number == 3
        assert one.study.ask() is None
        with pytest.raises(TrialLost):
            lost.should_prune(1, 0.5)
        with pytest.raises(TrialLost):
            finished(lost, 0.5)

    def test_an_outcome_that_was_recorded_before_the_process_died_counts(self, place, monkeypatch):
        one, two = Process(place(), 2), Process(place(), 2)
        with monkeypatch.context() as patch:
            patch.setattr("fenestra.training.tune.study._tell", lambda *_: None)
            trial = finished(two.study.ask(), 0.5)
        one.dead = [two.name]
        assert one.study.trials == [trial]
        assert one.study.ask().number == 2

    def test_a_dropped_trial_is_free_at_once(self, place):
        one, two = Process(place(), 2), Process(place(), 2)
        attempt = two.study.ask()
        attempt.drop()
        assert one.study.ask().number == 1
        attempt.drop()  # a second time changes nothing
        assert one.study.ask().number == 2

    def test_of_two_that_prepare_the_same_number_at_once_the_later_gives_way(self, place, monkeypatch):
        """Each looks before the other has written."""
        one, two = Process(place(), 5), Process(place(), 5)
        real = Study._enqueue

        def both(study, first):
            monkeypatch.setattr(Study, "_enqueue", real)
            seen = two.study._read()
            real(one.study, first)
            with monkeypatch.context() as patch:
                patch.setattr(Study, "_read", lambda _: seen)
                return real(two.study, first)

        monkeypatch.setattr(Study, "_enqueue", both)
        attempts = [one.study.ask(), two.study.ask(), one.study.ask()]
        assert [attempt.number for attempt in attempts] == [1, 2, 3]

    def test_a_prepared_trial_that_another_process_began_by_mistake_is_prepared_again(self, place, monkeypatch):
        one, two = Process(place(), 2), Process(place(), 2)
        real, taken = Study._enqueue, []

        def raced(study, first):
            monkeypatch.setattr(Study, "_enqueue", real)
            there = real(study, first)
            taken.append(two.study.ask())
            return there

        monkeypatch.setattr(Study, "_enqueue", raced)
        assert (one.study.ask().number, taken[0].number) == (1, 2)
        assert (one.study.others(), two.study.others()) == ([2], [1])

    def test_many_at_once_run_every_number_once(self, place):
        processes = [Process(place(), 12) for _ in range(3)]
        assert work_at_once(processes) == list(range(1, 13)) == [trial.number for trial in processes[0].study.trials]


class TestTwins:
    def test_an_earlier_trial_with_the_same_values_is_waited_for(self, place):
        values = {"rate": 0.5, "size": [16], "context": 2}
        one, two = Process(place()), Process(place())
        first = one.study.ask(values)
        second = two.study.ask()
        assert two.study.twins(second) == []
        second.params = dict(first.params)
        assert (two.study.twins(second), one.study.twins(first)) == ([1], [])
        finished(first, 0.5)
        assert two.study.twins(second) == []

    def test_one_whose_values_are_not_drawn_yet_might_have_the_same(self, place, monkeypatch):
        one, two = Process(place()), Process(place())
        with monkeypatch.context() as patch:
            patch.setattr(Study, "_sample", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                one.study.ask()
        assert two.study.twins(two.study.ask()) == [1]


class TestInputs:
    def test_other_inputs_are_refused_also_when_both_begin_at_once(self, place):
        one = Process(place())
        with pytest.raises(ConfigError, match=r"other inputs: config\.seed: 1 → 2"):
            Process(place(), inputs={**INPUTS, "config": {"seed": 2}})
        one.study._study.set_user_attr("inputs", {**INPUTS, "config": {"seed": 3}})  # by one that saw none either
        with pytest.raises(ConfigError, match=r"other inputs: config\.seed: 3 → 1"):
            one.study.ask()

    def test_a_search_that_is_not_to_be_resumed_is_left_alone(self, place):
        Study.open(place(), SPACE, INPUTS)
        with pytest.raises(InputError, match="is there already; go on with --resume, or choose another --study"):
            Study.open(place(), SPACE, INPUTS, resume=False)


def test_a_record_of_an_earlier_version_is_resumed(tmp_path):
    """It named neither numbers nor processes, and may hold a prepared trial without either."""
    study = Study.open(tmp_path, SPACE, INPUTS)
    trials = [finished(study.ask(), 0.5), finished(study.ask(), 0.25)]
    study.ask()
    lines = [json.loads(line) for line in (tmp_path / RECORD).read_text().splitlines()]
    for line in lines:
        attributes = line.get("user_attrs", {})
        attributes.pop("number", None)
        attributes.pop("worker", None)
    (tmp_path / RECORD).write_text("".join(f"{json.dumps(line)}\n" for line in [*lines, prepared(lines)]))
    again = Process(tmp_path)
    assert again.study.trials == trials
    assert [finished(again.study.ask(), 0.5).number for _ in range(2)] == [3, 4]


def prepared(lines):
    """A trial that waits to be begun."""
    return {**next(line for line in lines if line["op_code"] == 4), "user_attrs": {}}


class TestAlive:
    def test_a_process_that_shares_a_folder_is_alive_until_it_ends(self, tmp_path):
        with ExitStack() as stack:
            one = stack.enter_context(sharing_folder(tmp_path))
            with sharing_folder(tmp_path) as two:
                assert (one.alive(two.name), two.alive(one.name), one.alive("nobody")) == (True, True, False)
            assert not one.alive(two.name)
        assert list(tmp_path.iterdir()) == []

    def test_what_a_killed_process_leaves_is_dead_and_removed(self, tmp_path):
        child = os.fork()
        if not child:
            with sharing_folder(tmp_path):
                (tmp_path / "ready").touch()
                signal.pause()
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        (name,) = [path.name for path in (tmp_path / LOCKS).iterdir()]
        with sharing_folder(tmp_path) as other:
            assert other.alive(name)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            assert not other.alive(name)
            assert [path.name for path in (tmp_path / LOCKS).iterdir()] == [other.name]

    def test_a_file_system_without_locks_is_named(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(37, "No locks available")

        monkeypatch.setattr("fcntl.flock", refuse)
        with pytest.raises(StorageError, match="No locks available"), sharing_folder(tmp_path):
            raise AssertionError("not reached")

    def test_a_silent_process_is_dead_after_a_minute_by_the_clock_of_who_looks(self, monkeypatch):
        beats, now = {"two": 1}, [0.0]
        monkeypatch.setattr(workers.time, "monotonic", lambda: now[0])
        with sharing_database(lambda: beats, beats.__setitem__) as one:
            assert beats[one.name] == 1
            assert one.alive("two")
            now[0] = 59
            assert one.alive("two")
            beats["two"] = 2
            assert one.alive("two")
            now[0] = 118
            assert one.alive("two")
            now[0] = 119
            assert not one.alive("two")

    def test_a_process_that_shares_a_database_has_a_heartbeat(self):
        beats, third = {}, threading.Event()

        def beat(name, number):
            beats[name] = number
            if number == 2:
                raise StorageError("the database is away for a moment")
            if number == 3:
                third.set()

        with sharing_database(lambda: beats, beat, seconds=0.001):
            assert third.wait(10)
        assert not any(thread.name == "tune-beat" for thread in threading.enumerate())

    def test_a_lock_lets_one_in_at_a_time_and_leaves_no_file(self, tmp_path):
        path, inside, most = tmp_path / LOCKS / "x", [], []
        path.parent.touch()
        with pytest.raises(FileExistsError), locked(path):
            raise AssertionError("not reached")
        path.parent.unlink()

        def work():
            for _ in range(20):
                with locked(path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (max(most), len(most), path.exists()) == (1, 80, False)


class TestDatabase:
    def test_sqlite_writes_ahead(self, tmp_path):
        open_database(f"sqlite:///{tmp_path / 'search.db'}")
        with sqlite3.connect(tmp_path / "search.db") as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()

    def test_one_database_holds_several_searches(self, tmp_path):
        url = f"sqlite:///{tmp_path / 'search.db'}"
        trial = finished(Study.open(open_database(url, "one"), SPACE, INPUTS).ask(), 0.5)
        other = Study.open(open_database(url, "two"), SPACE, {**INPUTS, "vectors": []})
        assert other.trials == []
        assert Study.open(open_database(url, "one"), SPACE, INPUTS).trials == [trial]

    @pytest.mark.parametrize(
        "url",
        ["", SECRET, f"nosuch://ada:{SECRET}@host/x", f"sqlite://{SECRET}:1:2/x", "sqlite://", "sqlite:///:memory:"],
    )
    def test_what_is_no_url_is_refused_without_being_shown(self, url):
        with pytest.raises(InputError, match="--storage: ") as caught:
            open_database(url)
        assert SECRET not in str(caught.value)

    def test_a_missing_driver_is_named(self):
        with pytest.raises(
            InputError, match=r"--storage: the driver (MySQLdb|cx_Oracle|oracledb) is not there"
        ) as caught:
            open_database(f"mysql://ada:{SECRET}@host/x")
        assert SECRET not in str(caught.value)

    def test_a_database_that_cannot_be_had_is_named(self, tmp_path):
        with pytest.raises(StorageError, match="unable to open database file"):
            open_database(f"sqlite:///{tmp_path / 'none' / 'search.db'}")

    def test_a_database_that_goes_away_is_named(self, tmp_path):
        study = Study.open(open_database(f"sqlite:///{tmp_path / 'search.db'}"), SPACE, INPUTS)
        with sqlite3.connect(tmp_path / "search.db") as connection:
            connection.execute("DROP TABLE trials")
        connection.close()
        with pytest.raises(StorageError, match=r"sqlite:///.*search\.db: no such table: trials"):
            study.ask()

    def test_who_may_enter_is_not_shown(self):
        url = f"postgresql+psycopg://ada:{SECRET}@db.example/x?sslpassword={SECRET}"
        assert shown_url(url) == "postgresql+psycopg://db.example/x"


class TestCommand:
    def run(self, search, *more):
        words = ["tune", search.folder / "job.toml", search.folder / "space.toml", "--output", search.output, *more]
        return main([str(word) for word in [*words, "training.epochs=1"]])

    def test_a_search_in_a_database_has_its_reports_in_the_folder(self, tmp_path, capsys):
        search = Search(tmp_path)
        url = f"sqlite:///{tmp_path / 'search.db'}"
        assert self.run(search, "--storage", url, "--trials", 2) == 0
        report = json.loads((search.output / REPORT).read_text())
        assert [trial["number"] for trial in report["trials"]] == [1, 2]
        assert f"--storage {url}" in report["command"]
        assert sorted(path.name for path in search.output.iterdir()) == ["best.toml", "report.html", "report.json"]
        assert self.run(search, "--storage", url, "--trials", 3) == 2
        assert "holds a search; go on with --resume" in capsys.readouterr().err
        assert self.run(search, "--trials", 3, "--resume") == 2
        assert "holds the reports of a search in a database; say which with --storage" in capsys.readouterr().err
        assert self.run(search, "--storage", url, "--trials", 3, "--resume") == 0
        search.output = tmp_path / "elsewhere"  # another machine
        assert self.run(search, "--storage", url, "--trials", 3, "--resume") == 0
        assert len(json.loads((search.output / REPORT).read_text())["trials"]) == 3
        search.output = tmp_path / "third"
        assert self.run(search, "--storage", url, "--trials", 3) == 2
        assert "the search 'search' is there already" in capsys.readouterr().err
        assert not search.output.exists()

    def test_a_name_without_a_database_is_bad_usage(self, tmp_path, capsys):
        assert self.run(Search(tmp_path), "--study", "mine") == 2
        assert "--study names a search in a database" in capsys.readouterr().err


@pytest.mark.training
def test_kill_9_of_one_of_two_processes_loses_its_trial_and_nothing_else(tmp_path):
    search = Search(tmp_path, SEARCH_SPACE)
    one, two = start(search, "--resume"), start(search, "--resume")
    two.stderr.readline()
    two.kill()
    two.communicate()
    _, err = one.communicate(timeout=120)
    assert one.returncode == 0, err
    assert [trial["number"] for trial in json.loads((search.output / REPORT).read_text())["trials"]] == list(
        range(1, 9)
    )
    assert sorted(p.name for p in search.output.iterdir()) == ["best.toml", "report.html", "report.json", RECORD]
