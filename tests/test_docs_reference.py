"""The reference pages are what the code says now, and leave nothing out."""

import re
from dataclasses import fields, is_dataclass
from typing import get_args, get_origin, get_type_hints

import pytest

import fenestra
from docs.website import generate, training_settings
from fenestra.app.codes import STATUS
from fenestra.app.main import ROUTERS
from fenestra.cli.main import main
from fenestra.client import __all__ as client_names
from fenestra.training.config import RunConfig
from tests.conftest import ROOT

TRAINING = (ROOT / "docs" / "training-settings.md").read_text(encoding="utf-8")
PYTHON = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
HTTP = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
COMMAND = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_up_to_date(name):
    made = generate.PAGES[name]()
    assert made == (generate.DOCS / name).read_text(encoding="utf-8"), "generate it: python -m docs.website.generate"


def settings(kind, prefix=""):
    """The dotted names of all fields of a class, with their types."""
    for field in fields(kind):
        hint = get_type_hints(kind)[field.name]
        if is_dataclass(hint):
            yield from settings(hint, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", hint


class TestTrainingSettings:
    ROWS = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", TRAINING, re.MULTILINE)

    def test_every_field_of_a_job_is_there_once_with_an_effect(self):
        told = [name for name, *_ in self.ROWS if not name.startswith("study.")]
        assert sorted(told) == sorted(name for name, _ in settings(RunConfig))
        assert all(effect.strip().endswith(".") for *_, effect in self.ROWS)

    def test_what_is_counted_has_a_unit_and_a_range(self):
        whole = {name for name, hint in settings(RunConfig) if hint is int}
        assert len(whole) > 20
        rows = {name: (allowed, unit) for name, allowed, _, unit, _ in self.ROWS}
        assert {name for name in whole if rows[name][1] == "–"} == {"seed"}
        assert [name for name in whole if not re.search(r"\d", rows[name][0])] == []

    def test_a_choice_lists_what_can_be_chosen(self):
        rows = {name: allowed for name, allowed, *_ in self.ROWS}
        choices = {
            name: get_args(hint) for name, hint in settings(RunConfig) if str(get_origin(hint)) == "typing.Literal"
        }
        assert len(choices) > 10
        assert {name: tuple(re.findall(r"`([^`]+)`", rows[name])) for name in choices} == choices

    def test_ranges_in_words(self):
        rows = {name: allowed for name, allowed, *_ in self.ROWS}
        assert rows["training.members"] == "whole number, 1 to 16"
        assert rows["training.label_smoothing"] == "number, 0 to below 1"
        assert rows["training.learning_rate"] == "number, above 0 to 1000"
        assert rows["model.features.word"] == "whole number, 0 to 10000"
        assert training_settings.unit("training.optimizer", str) == "–"


class TestPython:
    def test_every_public_name_is_there(self):
        told = set(re.findall(r"^\.\. auto\w+:: fenestra\.(\w+)$", PYTHON, re.MULTILINE))
        assert told == set(fenestra.__all__) - {"__version__"}

    def test_every_name_of_the_client_that_is_not_an_object_of_the_interface_is_there(self):
        told = set(re.findall(r"^\.\. auto\w+:: fenestra\.client\.(\w+)$", PYTHON, re.MULTILINE))
        objects = set(re.findall(r"^### (\w+)$", HTTP, re.MULTILINE))
        assert set(client_names) - objects == told


class TestHttp:
    def test_every_route_of_the_interface_is_there(self):
        told = set(re.findall(r"^### `\w+ (\S+)`$", HTTP, re.MULTILINE))
        served = {
            route.path for router in ROUTERS for route in router.routes if getattr(route, "include_in_schema", True)
        }
        assert told == served

    def test_every_error_is_there_with_its_status(self):
        told = re.findall(r"^\| (\d+) \| `(\w+)` \|$", HTTP, re.MULTILINE)
        assert {code: int(status) for status, code in told} == STATUS


def test_every_verb_of_the_command_is_there_with_its_options(capsys):
    for verb in re.findall(r"^## `fenestra (.+)`$", COMMAND, re.MULTILINE):
        assert main([*verb.split(), "--help"]) == 0
        section = COMMAND.partition(f"## `fenestra {verb}`")[2].partition("\n## ")[0]
        options = set(re.findall(r"^  (?:-\w [\w-]+, |-\w, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE)) - {
            "--help"
        }
        assert options <= set(re.findall(r"`(--[\w-]+)", section)), verb
