"""The search: fair, blind to the test corpus, the same whether it was interrupted or not; and what it leaves behind."""

import json
import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean

import pytest

from fenestra.cli.main import main
from fenestra.model.errors import ConfigError, InputError, RunError
from fenestra.training.config import load_config
from fenestra.training.job import train
from fenestra.training.tune import tune as tune_module
from fenestra.training.tune.record import RECORD
from fenestra.training.tune.search_page import render_search
from fenestra.training.tune.space import configure, load_space
from fenestra.training.tune.tune import BEST, PAGE, REPORT, NoWatch, tune
from tests.conftest import ROOT, SAMPLE
from tests.training.test_report import EVIL, Page

TRAIN = """\
Ada\tB-PER
Moss\tI-PER
met\tO
Siemens\tB-ORG
in\tO
Kiel\tB-LOC
.\tO

Kiel\tB-LOC
is\tO
small\tO

New\tB-LOC
York\tI-LOC
and\tO
Ada\tB-PER

it\tO
rains\tO

"""
DEV = "Ada\tB-PER\nsaw\tO\nKiel\tB-LOC\n.\tO\n\nYork\tB-LOC\nrains\tO\n\nSiemens\tB-ORG\nmet\tO\nMoss\tB-PER\n\n"
JOB = """\
seed = 3
threads = 1
[data]
train = ["train.conll"]
dev = ["dev.conll"]
test = ["there_is_no_such_file.conll"]
[vectors]
source = "none"
[model]
labels = ["LOC", "ORG", "PER"]
hidden = [16]
context = 1
features = {vectors = false, word = 8, case = 4, ngram = 6, ngram_buckets = 50}
[training]
epochs = 4
batch_tokens = 6
min_count = 1
warmup_steps = 2
learning_rate = 0.02
average = 0.5
hidden_dropout = 0.0
input_dropout = 0.0
"""
SPACE = """\
[training]
learning_rate = {low = 1e-3, high = 1e-1, log = true}
[model]
context = {low = 0, high = 2}
hidden = {choices = [[8], [16], [16, 8]]}
[study]
trials = 8
seeds = [1, 2]
pruning_trials = 3
pruning_epochs = 1
random_trials = 4
"""


class Stopped(Exception):
    """Thrown by the observer, as if the process had died in the middle of a trial."""


class Stopping(NoWatch):
    def __init__(self, epochs):
        self.left = epochs

    def epoch(self, trial, seed, epoch):
        self.left -= 1
        if not self.left:
            raise Stopped


def stop_after(epochs):
    @contextmanager
    def observe(_done):
        yield Stopping(epochs)

    return observe


def outcomes(report):
    """The trials without what a clock says."""
    return [{**trial, "seconds": None} for trial in report["trials"]]


class Search:
    """A job, a space and an output in one folder."""

    def __init__(self, folder, space=SPACE, job=JOB):
        self.folder, self.output = folder, folder / "out"
        (folder / "train.conll").write_text(TRAIN)
        (folder / "dev.conll").write_text(DEV)
        (folder / "job.toml").write_text(job)
        (folder / "space.toml").write_text(space)

    @property
    def config(self):
        return load_config(self.folder / "job.toml")

    def run(self, **options):
        space = load_space(self.folder / "space.toml", self.config, options.pop("trials", None))
        return tune(self.config, space, self.output, command="fenestra tune …", **options)


@pytest.fixture
def search(tmp_path):
    return Search(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A search that nothing disturbed, and its report."""
    made = Search(tmp_path_factory.mktemp("search"))
    return made, made.run()


class TestSearch:
    def test_every_trial_is_trained_with_every_seed_and_the_best_mean_wins(self, done):
        _, report = done
        complete = [trial for trial in report["trials"] if trial["state"] == "complete"]
        assert len(report["trials"]) == 8
        assert len(complete) > 1
        for trial in complete:
            assert [score["seed"] for score in trial["by_seed"]] == [1, 2]
            assert trial["dev_f1"] == pytest.approx(fmean(score["dev_f1"] for score in trial["by_seed"]))
            assert trial["epochs"] == 8
        assert report["best"]["dev_f1"] == max(trial["dev_f1"] for trial in complete) > 0

    def test_the_first_trial_is_the_configuration_as_it_stands(self, done):
        assert done[1]["trials"][0]["values"] == {
            "training.learning_rate": 0.02, "model.context": 1, "model.hidden": [16]
        } == done[1]["as_it_stands"]  # fmt: skip

    def test_a_configuration_outside_of_the_space_is_not_tried(self, search):
        (search.folder / "space.toml").write_text("model.context = {low = 2, high = 3}\n[study]\ntrials = 2")
        assert {trial["values"]["model.context"] for trial in search.run()["trials"]} <= {2, 3}

    def test_the_best_file_is_a_whole_job_and_trains_to_the_same_score(self, done):
        """The oracle is the trainer: the same values, seed and data have the same dev F1 there."""
        made, report = done
        best = load_config(made.output / BEST)
        assert best == configure(made.config, report["best"]["values"])
        assert best.data.test == ("there_is_no_such_file.conll",)
        assert set(tomllib.loads((made.output / BEST).read_text())) >= {"data", "model", "vectors", "training", "seed"}
        for score in report["best"]["by_seed"]:
            again = replace(best, seed=score["seed"], data=replace(best.data, test=()))
            trained = json.loads((train(again, made.folder / f"best{score['seed']}") / "report.json").read_text())
            assert trained["best_epoch"] == score["epoch"]
            assert trained["epochs"][score["epoch"] - 1]["dev_f1"] == score["dev_f1"]

    def test_what_is_read_is_read_once(self, search, monkeypatch):
        calls = []
        for name in ("read", "load_vectors"):
            real = getattr(tune_module, name)
            monkeypatch.setattr(
                tune_module, name, lambda *given, real=real, name=name: calls.append(name) or real(*given)
            )
        search.run(trials=3)
        assert sorted(calls) == ["load_vectors", "read"]

    def test_vectors_are_searched_too_and_all_of_them_are_there_before_the_first_trial(self, search):
        for name, number in (("one", "1 0"), ("two", "0 1")):
            (search.folder / f"{name}.txt").write_text(f"ada {number}\nkiel 0.5 {number[0]}\n")
        choices = (
            'vectors.source = {choices = ["one.txt", "two.txt"]}\nmodel.features.vectors = {choices = [true, false]}'
        )
        (search.folder / "space.toml").write_text(f"{choices}\n[study]\ntrials = 6")
        report = search.run()
        assert [vectors["name"] for vectors in report["vectors"]] == ["one.txt", "none", "two.txt"]
        assert str(search.folder) not in json.dumps({**report, "command": ""})
        assert {trial["state"] for trial in report["trials"]} <= {"complete", "pruned"}
        best = load_config(search.output / BEST)
        assert best == configure(search.config, {**report["best"]["values"], "vectors.source": best.vectors.source})
        assert (search.output / BEST).parent.joinpath(best.vectors.source).is_file()
        (search.folder / "two.txt").unlink()
        search.output = search.folder / "other"
        with pytest.raises(InputError, match=r"two\.txt"):
            search.run()
        assert not search.output.exists()

    def test_values_that_were_tried_are_not_trained_again(self, search):
        (search.folder / "space.toml").write_text("model.context = {low = 1, high = 2}\n[study]\ntrials = 6")
        report = search.run()
        trained = [trial for trial in report["trials"] if trial["repeats"] is None]
        repeated = [trial for trial in report["trials"] if trial["repeats"]]
        assert (len(trained), len(repeated)) == (2, 4)
        for trial in repeated:
            before = report["trials"][trial["repeats"] - 1]
            assert (trial["values"], trial["dev_f1"]) == (before["values"], before["dev_f1"])
            assert (trial["seconds"], trial["epochs"]) == (0, 0)

    def test_no_trial_begins_when_time_is_up(self, search):
        with (search.folder / "space.toml").open("a") as space:
            space.write("minutes = 1e-9\n")
        assert len(search.run()["trials"]) == 1
        assert len(search.run(resume=True)["trials"]) == 1


class TestTrialsThatEndEarly:
    def test_a_trial_below_the_median_is_pruned_and_costs_no_second_seed(self, search):
        (search.folder / "space.toml").write_text(
            "training.learning_rate = {choices = [2e-2, 3e-2, 1e-7]}\n"
            "[study]\ntrials = 8\nseeds = [1, 2]\npruning_trials = 2\npruning_epochs = 1\nsampler_seed = 3"
        )
        report = search.run()
        pruned = [trial for trial in report["trials"] if trial["state"] == "pruned"]
        assert pruned
        for trial in pruned:
            assert trial["values"] == {"training.learning_rate": 1e-7}
            assert (trial["epochs"], trial["by_seed"], trial["why"]) == (2, [], "below the median after epoch 2")
        assert report["best"]["values"] != {"training.learning_rate": 1e-7}

    DIVERGING = JOB.replace("[training]", '[training]\noptimizer = "sgd"\nweight_decay = 10.0')

    def test_a_trial_that_diverges_has_failed_and_the_search_goes_on(self, tmp_path):
        made = Search(
            tmp_path,
            "training.learning_rate = {choices = [1000.0, 2e-2]}\n[study]\ntrials = 4\nsampler_seed = 5",
            self.DIVERGING,
        )
        trials = made.run()["trials"]
        failed = [trial for trial in trials if trial["state"] == "failed"]
        assert {trial["values"]["training.learning_rate"] for trial in failed} == {1000.0}
        assert all(trial["dev_f1"] is None for trial in failed)
        assert "seed 3, epoch" in failed[0]["why"]
        assert any(trial["state"] == "complete" for trial in trials[failed[0]["number"] :])
        assert "failed: seed 3, epoch" in " ".join(Page((made.output / PAGE).read_text()).text)

    def test_a_search_whose_trials_all_failed_says_so_and_can_go_on(self, tmp_path):
        made = Search(
            tmp_path, "training.learning_rate = {low = 900.0, high = 1000.0}\n[study]\ntrials = 2", self.DIVERGING
        )
        with pytest.raises(RunError, match=r"none of 2 trials was completed; the last: seed 3, epoch"):
            made.run()
        assert json.loads((made.output / REPORT).read_text())["best"] is None
        assert not Page((made.output / PAGE).read_text()).open
        assert not (made.output / BEST).exists()
        with pytest.raises(RunError, match="none of 3 trials"):
            made.run(trials=3, resume=True)

    def test_values_that_do_not_go_together_are_a_failed_trial(self, search):
        (search.folder / "job.toml").write_text(JOB.replace("ngram = 6, ", ""))
        (search.folder / "space.toml").write_text(
            "model.features = {word = {choices = [0, 8]}, case = {choices = [0, 4]}}\n[study]\ntrials = 12"
        )
        trials = search.run()["trials"]
        failed = [trial for trial in trials if trial["state"] == "failed"]
        assert failed
        assert all(set(trial["values"].values()) == {0} for trial in failed)
        assert failed[0]["why"] == "model.features: expected at least one feature switched on"


class TestResume:
    @pytest.mark.parametrize("epochs", [1, 9, 30])
    def test_an_interrupted_search_ends_as_one_that_was_left_alone(self, epochs, search, done):
        with pytest.raises(Stopped):
            search.run(observe=stop_after(epochs))
        report = search.run(resume=True)
        assert outcomes(report) == outcomes(done[1])
        assert report["best"]["values"] == done[1]["best"]["values"]

    def test_what_is_complete_is_published_when_the_search_is_stopped(self, search):
        with pytest.raises(Stopped):
            search.run(observe=stop_after(10))
        assert len(json.loads((search.output / REPORT).read_text())["trials"]) == 1
        assert load_config(search.output / BEST) == search.config

    def test_a_search_can_be_made_longer(self, search, done):
        search.run(trials=5)
        assert outcomes(search.run(trials=8, resume=True)) == outcomes(done[1])

    def test_a_finished_search_is_not_searched_again(self, search):
        first = search.run(trials=2)
        again = search.run(trials=2, resume=True)
        assert {**again, "created": None} == {**first, "created": None}

    def test_a_search_is_not_thrown_away_unasked(self, search):
        search.run(trials=1)
        with pytest.raises(InputError, match="holds a search; go on with --resume"):
            search.run(trials=2)

    @pytest.mark.parametrize(
        ("file", "old", "new", "message"),
        [
            ("job.toml", "epochs = 4", "epochs = 5", r"config\.training\.epochs: 4 → 5"),
            ("space.toml", "high = 2}", "high = 3}", r"space\.domains\.model\.context\.high: 2 → 3"),
            ("space.toml", "seeds = [1, 2]", "seeds = [1]", r"space\.study\.seeds: \[1, 2\] → \[1\]"),
            ("train.conll", "rains", "pours", r"corpora\.train: \w+ → \w+"),
            ("dev.conll", "rains", "pours", r"corpora\.dev: \w+ → \w+"),
        ],
    )
    def test_other_inputs_are_refused_with_the_difference(self, file, old, new, message, search):
        search.run(trials=1)
        path = search.folder / file
        path.write_text(path.read_text().replace(old, new, 1))
        with pytest.raises(ConfigError, match=message):
            search.run(resume=True)

    def test_somebody_elses_files_are_left_alone(self, search):
        search.output.mkdir()
        (search.output / "mine.txt").write_text("precious")
        for options in ({}, {"resume": True}):
            with pytest.raises(InputError, match="holds files that are not a search"):
                search.run(**options)
        assert [path.name for path in search.output.iterdir()] == ["mine.txt"]

    def test_a_file_in_the_place_of_the_folder_is_named(self, search):
        search.output.write_text("")
        with pytest.raises(InputError, match="out: is a file"):
            search.run()


class TestPage:
    def test_it_is_well_formed_refers_to_nothing_outside_and_shows_the_search(self, done):
        made, report = done
        page = Page((made.output / PAGE).read_text())
        assert not page.open
        assert not page.references
        text = " ".join(page.text)
        for shown in (
            "best F1 on dev", "as the configuration stands", "training.learning_rate", "0.001 to 0.1, logarithmic",
            "complete", "fenestra tune …", "[16, 8]", "dev.conll", f"{report['best']['dev_f1']:.2%}",
        ):  # fmt: skip
            assert shown in text
        assert json.loads((made.output / REPORT).read_text()) == report

    def test_markup_in_data_is_shown_and_not_run(self, done):
        report = json.loads(json.dumps(done[1]))
        report |= {"name": EVIL, "command": EVIL}
        report["trials"][1] |= {"state": "failed", "why": EVIL, "values": dict.fromkeys(report["space"], EVIL)}
        report["vectors"][0] |= {"name": EVIL, "width": 3}
        page = Page(render_search(report))
        assert "script" not in page.names
        assert not page.open
        assert sum(EVIL in text for text in page.text) >= 4

    def test_from_three_trials_on_the_best_stand_side_by_side_and_each_field_has_its_picture(self, done):
        report = json.loads(json.dumps(done[1]))
        plain = {"state": "complete", "repeats": None, "why": ""}
        for trial, dev_f1 in zip(report["trials"], (0.5, 0.75, 0.625), strict=False):
            trial |= {**plain, "dev_f1": dev_f1}
        text = " ".join(Page(render_search({**report, "trials": report["trials"][:3]})).text)
        assert "best: trial 2 second: trial 3 third: trial 1" in text
        page = render_search({**report, "trials": report["trials"][:3]})
        for field in report["space"]:
            assert f'aria-label="Dev F1 by {field}"' in page
        assert "Dev F1 by" not in render_search({**report, "trials": report["trials"][:2]})

    def test_what_mattered_is_drawn_once_it_is_known(self, done):
        assert "8 complete trials or more" in render_search({**done[1], "importances": {}})
        text = " ".join(Page(render_search({**done[1], "importances": {"model.context": 0.75, "x": 0.25}})).text)
        assert "75%" in text
        assert "PED-ANOVA" in text


class TestCommand:
    def test_results_go_to_standard_output_and_trials_to_standard_error(self, search, capsys):
        words = ["tune", search.folder / "job.toml", search.folder / "space.toml", "--output", search.output]
        words += ["--trials", 2, "training.epochs=2"]
        assert main([str(word) for word in words]) == 0
        out, err = capsys.readouterr()
        heading, *values, configuration, report = out.splitlines()
        assert heading.startswith("dev F1 ")
        assert "mean of seeds 1, 2: trial " in heading
        assert heading.endswith(" of 2")
        assert [line.split(" = ")[0] for line in values] == ["training.learning_rate", "model.context", "model.hidden"]
        assert (configuration, report) == (
            f"configuration: {search.output / BEST}",
            f"report: {search.output / PAGE}",
        )
        assert [line.split("  ")[0] for line in err.splitlines()] == ["trial 1/2", "trial 2/2"]
        command = json.loads((search.output / REPORT).read_text())["command"]
        assert command.startswith("fenestra tune ")
        assert command.endswith(f"space.toml training.epochs=2 --output {search.output} --trials 2")

    def test_a_wrong_space_ends_with_two_and_leaves_nothing(self, search, capsys):
        (search.folder / "space.toml").write_text("training.lerning_rate = {low = 1e-3, high = 1e-2}")
        words = ["tune", search.folder / "job.toml", search.folder / "space.toml", "--output", search.output]
        assert main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        assert not out
        said = "training.lerning_rate: unknown field; did you mean learning_rate?"
        assert err == f"fenestra: {search.folder / 'space.toml'}: {said}\n"
        assert not search.output.exists()


def start(search, *more):
    words = ["tune", search.folder / "job.toml", search.folder / "space.toml", "--output", search.output, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "fenestra", *map(str, words)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.training
def test_kill_9_again_and_again_costs_nothing_but_time(search, done):
    for _ in range(2):
        process = start(search, "--resume")
        process.stderr.readline()
        process.kill()
        process.communicate()
    process = start(search, "--resume")
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err.count("unexpected")) == (0, 0)
    assert outcomes(json.loads((search.output / REPORT).read_text())) == outcomes(done[1])


@pytest.mark.training
def test_ctrl_c_keeps_complete_trials_and_ends_with_130(search):
    process = start(search, "--trials", 500)
    assert process.stderr.readline().startswith("trial 1/500")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert f"complete trials are kept; go on with --output {search.output} --resume" in err
    assert (search.output / RECORD).exists()
    assert load_config(search.output / BEST).model.labels == search.config.model.labels


def test_the_sample_job_can_be_searched(tmp_path):
    """A job whose corpora lie elsewhere is found again from the folder of the search."""
    (tmp_path / "space.toml").write_text("training.epochs = {choices = [1]}\n[study]\ntrials = 1")
    config = load_config(
        SAMPLE, ["vectors.source=none", "model.features.vectors=false", "model.hidden=[8]", "threads=1"]
    )
    tune(config, load_space(tmp_path / "space.toml", config), tmp_path / "out", command="")
    assert load_config(tmp_path / "out" / BEST) == configure(config, {"training.epochs": 1})
