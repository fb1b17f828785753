"""Spaces of configurations: what cannot be searched is named, before any work."""

from pathlib import Path

import pytest

from fenestra.model.errors import ConfigError
from fenestra.training.config import load_config, parse_config
from fenestra.training.tune.space import Choices, Range, configure, load_space, shown, standing

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
SPACES = sorted((CONFIGS / "spaces").glob("*.toml"))
JOB = parse_config({"data": {"train": ["a"], "dev": ["b"]}, "model": {"labels": ["PER"], "hidden": [300]}})


def space(tmp_path, text, job=JOB, **options):
    (tmp_path / "space.toml").write_text(text)
    return load_space(tmp_path / "space.toml", job, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.lerning_rate = {low = 1e-3, high = 1e-2}", r"training\.lerning_rate: unknown field"),
        ('"model.feature.word" = {low = 1, high = 2}', r"model\.feature\.word: unknown field"),
        ("model.features = {choices = [1]}", r"model\.features: is a section"),
        ("model.features.word.x = {low = 1, high = 2}", r"model\.features\.word\.x: unknown field"),
        ("training.learning_rate = {low = -1.0, high = 1e-2}", r"training\.learning_rate: .*greater than 0, got -1"),
        ("training.learning_rate = {low = 1e-3, high = 2000.0}", r"training\.learning_rate: .*got 2000"),
        ("training.input_dropout = {low = 0, high = 1}", r"training\.input_dropout: .*less than 1"),
        ("model.context = {low = 2, high = 60}", r"model\.context: expected between 0 and 50"),
        ("model.hidden = {choices = [[300], []]}", r"model\.hidden: expected one or more layers"),
        ('model.activation = {choices = ["relu", "relux"]}', r"model\.activation: .*got 'relux'"),
        ("model.features.topic = {choices = [true, 3]}", r"model\.features\.topic: .*got 3"),
        ("training.epochs = {choices = [2, 1979-05-27]}", r"training\.epochs: "),
        ("model.context = {low = 2.5, high = 4}", r"model\.context\.low: expected a whole number, got 2\.5"),
        ("model.context = {low = 4, high = 2}", r"model\.context\.high: expected more than low, 4"),
        ("model.context = {low = 2, high = 2}", r"model\.context\.high: expected more than low"),
        ('model.context = {low = "2", high = 4}', r"model\.context\.low\.\w+: "),
        ("model.context = {low = true, high = 4}", r"model\.context\.low\.\w+: "),
        ("model.context = {low = 2}", r"model\.context\.high: .*required"),
        ("model.context = {low = 2, high = 4, max = 3}", r"model\.context\.max: unknown field"),
        ("model.context = {low = 2, high = 5, step = 2}", r"model\.context\.step: expected a whole number of steps"),
        ("model.context = {low = 2, high = 4, step = 0}", r"model\.context\.step: expected a whole number of steps"),
        ("training.input_dropout = {low = 0.1, high = 0.4, step = 0.1, log = true}", r".*dropout\.step: .*no log"),
        ("training.input_dropout = {low = 0, high = 0.4, log = true}", r".*input_dropout\.log: expected low above 0"),
        ("training.input_dropout = {low = 0, high = inf}", r".*input_dropout\.high: expected a finite number"),
        ("model.hidden = {low = 100, high = 300}", r"model\.hidden: is no number, expected {choices"),
        ("model.features.topic = {low = 0, high = 1}", r"model\.features\.topic: is no number"),
        ("model.context = 3", r"model\.context: expected {low = …, high = …} or {choices = \[…\]}, got 3"),
        ("model.context = {choices = []}", r"model\.context\.choices: .*at least 1"),
        ("model.context = {choices = [2, 3, 2]}", r"model\.context\.choices: expected different ones, got 2, 3, 2"),
        ("training.clip_norm = {choices = [1, 1.0]}", r"training\.clip_norm\.choices: expected different ones"),
        ('"model.context" = {low = 2, high = 4}\nmodel.context = {low = 2, high = 3}', "model.context: is named twice"),
        ("seed = {low = 1, high = 4}", "seed: cannot be searched"),
        ('data.train = {choices = [["a"], ["b"]]}', r"data\.train: cannot be searched"),
        ('model.labels = {choices = [["PER"]]}', r"model\.labels: cannot be searched"),
        ('training.members = {low = 1, high = 3}', r"training\.members: cannot be searched"),
        ("vectors.limit = {low = 10, high = 20}", r"vectors\.limit: cannot be searched"),
        ("[study]\ntrials = 3", "expected fields to search, such as"),
        ("study = 3", "study: expected a section"),
        ("model.context = {low = 2, high = 4}\n[study]\ntrails = 3", r"study\.trails: unknown field"),
        ("model.context = {low = 2, high = 4}\n[study]\ntrials = 0", r"study\.trials: .*greater than or equal to 1"),
        ("model.context = {low = 2, high = 4}\n[study]\nseeds = [1, 1]", r"study\.seeds: expected different ones"),
        ("model.context = {low = 2, high = 4}\n[study]\nseeds = [-1]", r"study\.seeds\.0: "),
        ('model.context = {low = 2, high = 4}\n[study]\npruning = "mean"', r"study\.pruning: .*'median' or 'none'"),
        ("model.context = {low = 2, high = 4}\n[study]\nminutes = -1", r"study\.minutes: "),
        ("[model\n", "not valid TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_file_and_field(text, message, tmp_path):
    with pytest.raises(ConfigError, match=rf"space\.toml: {message}"):
        space(tmp_path, text)


def test_a_field_may_be_named_in_a_section_dotted_or_quoted(tmp_path):
    spellings = ("[model]\ncontext = {low = 2, high = 4}", "model.context = {low = 2, high = 4}",
                 '"model.context" = {low = 2, high = 4}')  # fmt: skip
    found = [space(tmp_path, text).domains for text in spellings]
    assert found == [{"model.context": Range(low=2, high=4)}] * 3


def test_numbers_are_whole_where_the_job_has_whole_ones(tmp_path):
    found = space(
        tmp_path, "training.clip_norm = {low = 0, high = 5}\nmodel.features.word = {low = 0, high = 5}"
    ).domains
    assert [type(found[name].low) for name in ("training.clip_norm", "model.features.word")] == [float, int]


def test_choices_are_held_as_the_job_holds_them(tmp_path):
    found = space(tmp_path, "training.clip_norm = {choices = [0, 5]}")
    assert found.domains["training.clip_norm"] == Choices(choices=(0.0, 5.0))
    assert found.holds(standing(JOB, found))


def test_a_space_holds_its_ends_and_what_lies_on_its_steps(tmp_path):
    found = space(tmp_path, "training.input_dropout = {low = 0.1, high = 0.7, step = 0.2}")
    held = [found.holds({"training.input_dropout": value}) for value in (0.1, 0.3, 0.7, 0.2, 0.0, 0.9, True, "x")]
    assert held == [True, True, True, False, False, False, False, False]


def test_vectors_that_are_files_start_beside_the_space(tmp_path):
    (tmp_path / "spaces").mkdir()
    found = space(tmp_path / "spaces", 'vectors.source = {choices = ["glove", "../more.txt"]}')
    assert found.domains["vectors.source"].choices == ("glove", str(tmp_path / "more.txt"))
    assert found.describe()["vectors.source"]["choices"] == ["glove", "more.txt"]


def test_the_seed_is_the_jobs_and_the_trials_are_the_files_unless_shown_otherwise(tmp_path):
    text = "model.context = {low = 2, high = 4}\n"
    assert space(tmp_path, text).study.seeds == (JOB.seed,)
    more = f"{text}[study]\nseeds = [3, 4]\ntrials = 7"
    assert (space(tmp_path, more).study.seeds, space(tmp_path, more).study.trials) == ((3, 4), 7)
    assert space(tmp_path, more, trials=9).study.trials == 9


def test_values_that_are_tried_change_their_fields_and_nothing_else():
    changed = configure(JOB, {"model.features.word": 7, "model.hidden": [5, 4]})
    assert (changed.model.features.word, changed.model.hidden) == (7, (5, 4))
    assert configure(changed, {"model.features.word": 0, "model.hidden": [300]}) == JOB


def test_a_drawn_fraction_has_six_digits_and_stays_in_its_range():
    fractions = Range(low=0.12345649, high=0.2)
    assert fractions.drawn(0.12345649) == 0.12345649
    assert fractions.drawn(0.15000000000000002) == 0.15
    assert Range(low=1, high=3).drawn(2) == 2


@pytest.mark.parametrize(
    ("value", "text"), [([300, 100], "[300, 100]"), (0.00372618, "0.00372618"), (True, "true"), ("relu", '"relu"')]
)
def test_values_are_shown_as_in_toml(value, text):
    assert shown(value) == text


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_shipped_spaces_fit_the_job_of_their_name_and_hold_it_as_it_stands(path):
    job = load_config(CONFIGS / path.name)
    found = load_space(path, job)
    assert found.holds(standing(job, found))


def test_there_is_a_shipped_space():
    assert [path.name for path in SPACES] == ["conll2003.toml"]
