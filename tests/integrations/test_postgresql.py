"""``fenestra tune --storage postgresql+psycopg://…`` with a server of its own: one search, every number once."""

import json
import sys
import threading
from dataclasses import replace
from subprocess import PIPE, Popen

import pytest

from tests import postgres

if postgres.why_not():
    pytest.skip(postgres.why_not(), allow_module_level=True)

from fenestra.cli.main import main
from fenestra.model.errors import StorageError
from fenestra.training.tune.record import open_database
from fenestra.training.tune.study import Study
from fenestra.training.tune.tune import REPORT
from tests.conftest import ROOT
from tests.training.test_shared_search import Process, work_at_once
from tests.training.test_study import INPUTS, SPACE, finished
from tests.training.test_tune import Search


@pytest.fixture(scope="module")
def url():
    with postgres.own_folder() as folder, postgres.server(folder) as url:
        yield url


def test_processes_that_make_the_tables_at_once_all_get_them(url):
    opened = []
    threads = [threading.Thread(target=lambda: opened.append(open_database(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4


def test_many_at_once_run_every_number_once(url):
    processes = [Process(open_database(url, "many"), 8) for _ in range(3)]
    assert work_at_once(processes) == list(range(1, 9)) == [trial.number for trial in processes[0].study.trials]


def test_the_values_are_those_of_a_search_in_a_folder(url, tmp_path):
    studies = Study.open(open_database(url, "same"), SPACE, INPUTS), Study.open(tmp_path, SPACE, INPUTS)
    for _ in range(4):
        one, two = (finished(attempt, attempt.values["rate"]) for attempt in [study.ask() for study in studies])
        assert one == two


def test_a_wrong_password_is_refused_and_not_shown(url, tmp_path, capsys):
    wrong = url.replace("s3cret", "hunter2")
    with pytest.raises(StorageError, match="password authentication failed") as caught:
        open_database(wrong)
    search = Search(tmp_path)
    words = ["tune", search.folder / "job.toml", search.folder / "space.toml", "--output", search.output]
    assert main(["--debug", *map(str, words), "--storage", wrong]) == 1
    for said in (str(caught.value), *capsys.readouterr()):
        assert "hunter2" not in said
        assert "tuner" not in said


def test_two_processes_share_a_search_and_nothing_tells_the_password(url, tmp_path):
    search = Search(tmp_path)
    words = ["tune", search.folder / "job.toml", search.folder / "space.toml", "training.epochs=1", "--resume"]
    command = [
        sys.executable,
        "-m",
        "fenestra",
        *map(str, words),
        "--trials",
        "3",
        "--storage",
        url,
        "--study",
        "shared",
    ]
    processes = [
        Popen([*command, "--output", str(tmp_path / name)], cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True)
        for name in ("here", "there")
    ]
    for process, name in zip(processes, ("here", "there"), strict=True):
        said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        written = "".join(path.read_text() for path in (tmp_path / name).iterdir())
        assert not [secret for secret in ("s3cret", "tuner") if secret in written or secret in "".join(said)]
        report = json.loads((tmp_path / name / REPORT).read_text())
        assert [trial["number"] for trial in report["trials"]] == [1, 2, 3]


def test_a_space_of_more_trials_goes_on(url):
    longer = replace(SPACE, study=replace(SPACE.study, trials=9))
    study = Study.open(open_database(url, "many"), longer, INPUTS)
    assert study.ask().number == 9
