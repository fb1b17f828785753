"""What the documents say is there is there."""

import re

import pytest

from tests.conftest import ROOT

DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "model" / "README.md", ROOT / "data" / "README.md"]
)
LECTURE = (ROOT / "docs" / "lecture.md").read_text(encoding="utf-8")
TUNING = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
SPEED = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_document_names_exist(document):
    text = document.read_text(encoding="utf-8")
    named = set(
        re.findall(r"`((?:app|model|training|tests|benchmarks|docs|data)/[\w./-]+\.(?:py|md|toml|html|conll))", text)
    )
    named |= set(re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text))
    beside = [name for name in named if not (ROOT / name).exists() and not (document.parent / name).exists()]
    assert beside == []


def test_every_test_that_the_lecture_table_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", LECTURE)
    assert len(named) > 15
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()] == []


def test_every_setting_that_the_lecture_table_names_exists():
    from fenestra.training.config import dump_config, load_config

    config = dump_config(load_config(ROOT / "training" / "configs" / "lecture.toml"))
    named = re.findall(r"`(training|vectors|model|data)\.(\w+)`", LECTURE)
    assert len(named) > 8
    assert [f"{section}.{key}" for section, key in named if key not in config[section]] == []


def test_commands_of_measurements_take_the_options_that_they_are_shown_with():
    import importlib

    lines = re.findall(r"^    python -m (benchmarks\.\w+)(?: (--.+))?$", SPEED, re.MULTILINE)
    assert len(lines) > 5
    for module, words in lines:
        importlib.import_module(module)._parser().parse_args(words.split())


def test_the_space_that_the_page_on_tuning_shows_can_be_searched(tmp_path):
    from fenestra.training.config import load_config
    from fenestra.training.tune.space import load_space, standing

    (tmp_path / "space.toml").write_text(re.search(r"```toml\n(.+?)```", TUNING, re.DOTALL)[1], encoding="utf-8")
    job = load_config(ROOT / "training" / "configs" / "sample.toml")
    found = load_space(tmp_path / "space.toml", job)
    assert found.holds(standing(job, found))


def test_the_page_on_tuning_tells_of_every_field_of_the_study_with_its_default():
    from dataclasses import asdict

    from fenestra.training.tune.space import StudyConfig

    told = dict(re.findall(r"^\| `(\w+)` \| (?:`(.+?)`|.+?) \|", TUNING, re.MULTILINE))
    defaults = asdict(StudyConfig())
    assert set(told) == set(defaults)
    shown = {name: str(value).removesuffix(".0") for name, value in defaults.items() if name != "seeds"}
    assert {name: told[name].strip('"') for name in shown} == shown


def test_verbs_of_make_that_are_shown_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [
        verb for verb in re.findall(r"^    make ([\w-]+)", SPEED, re.MULTILINE) if f"\n{verb}:" not in makefile
    ] == []
