"""Short texts made of contexts and names."""

import re
import tomllib
from pathlib import Path
from random import Random

import pytest

from benchmarks import probe
from fenestra.model.errors import DataError
from fenestra.model.text.tokens import tokenize
from fenestra.training.data.contexts import Contexts
from fenestra.training.data.names import Names
from tests.training.test_perturbations import named

LABELS = ("LOC", "ORG", "PER")
PHRASES = {"city": ["New Rome"], "company": ["Initech"], "first": ["Kofi"], "last": ["Mensah"]}
NAMES = Names.collect([], [], PHRASES, LABELS, 1.0)
ENGLISH = Path(__file__).parents[2] / "training/configs/contexts/english.txt"


@pytest.fixture
def read(tmp_path):
    def written(text, labels=LABELS):
        path = tmp_path / "contexts.txt"
        path.write_text(text, encoding="utf-8")
        return Contexts.read(path, labels)

    return written


def made(contexts, seeds=100):
    return [contexts.make(NAMES, Random(seed)) for seed in range(seeds)]


def test_slots_are_filled_with_names_and_choices(read):
    contexts = read("# jobs\nrole = nurse | chief cook\n\n[ORG] needs a [role] in [LOC] .\n")
    assert {" ".join(one.words) for one in made(contexts)} == {
        "Initech needs a nurse in New Rome .", "Initech needs a chief cook in New Rome ."}  # fmt: skip
    assert all(named(one) == [("ORG", ("Initech",)), ("LOC", ("New", "Rome"))] for one in made(contexts))


def test_any_is_a_name_of_any_label(read):
    found = {label for one in made(read("[ANY] again")) for label, _ in named(one)}
    assert found == set(LABELS)


def test_every_pattern_comes_up(read):
    contexts = read("one\ntwo\nthree")
    assert {one.words for one in made(contexts)} == {("one",), ("two",), ("three",)}


def test_a_slot_without_a_name_stays_empty(read):
    none = Names.collect([], [], {}, LABELS, 1.0)
    assert read("hi [PER]").make(none, Random(1)).words == ("hi",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ORG] again\n[role] again\n", r"contexts.txt:2: unknown slot \[role\], expected one of ANY, LOC, ORG, PER"),
        ("# nothing\nrole = nurse\n", "contexts.txt: holds no pattern"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        Contexts.read(tmp_path / "none.txt", LABELS)


def test_patterns_are_written_in_the_tokens_of_a_tagger():
    contexts = Contexts.read(ENGLISH, LABELS)
    for one in made(contexts, 2000):
        assert [token.text for token in tokenize(" ".join(one.words))] == list(one.words)


def test_no_pattern_is_one_of_the_probe():
    """In words alone: neither their signs nor their letters' size, names or figures make a pattern another one."""
    contexts = Contexts.read(ENGLISH, LABELS)
    mine = {essence(" ".join(re.sub(r"\[\w+\]", "{}", token) for token in p)) for p in contexts.patterns} - {"{}"}
    halves = tomllib.loads(probe.FILE.read_text(encoding="utf-8"))
    asked = {
        essence(context): context
        for half in ("open", "held_back")
        for contexts in halves[half]["contexts"].values()
        for context in contexts
    }
    assert {asked[of] for of in mine & asked.keys()} == set()
    assert len(mine) > 100


def essence(context):
    return " ".join(re.findall(r"\{\}|[a-z]+", re.sub(r"\d", "", context.lower())))
