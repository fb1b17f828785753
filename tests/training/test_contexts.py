"""Short texts made of contexts and names."""

import re
import tomllib
from pathlib import Path
from random import Random

import pytest

from benchmarks import everyday, probe
from fenestra.model.errors import DataError
from fenestra.model.text.language import language
from fenestra.model.text.tokens import tokenize
from fenestra.training.data.contexts import Contexts
from fenestra.training.data.names import Names
from tests.training.test_perturbations import named

LABELS = ("LOC", "ORG", "PER")
PHRASES = {"city": ["New Rome"], "company": ["Initech"], "first": ["Kofi"], "last": ["Mensah"]}
KINDS = (*PHRASES, "brand", "region", "country", "legal_form")
NAMES = Names.collect([], [], PHRASES, LABELS, 1.0)
CASES = ("brand_gent", "brand_datv", "brand_ablt", "brand_loct")
FILES = Path(__file__).parents[2] / "training/configs/contexts"
ENGLISH, RUSSIAN = FILES / "english.txt", FILES / "russian.txt"


@pytest.fixture
def read(tmp_path):
    def written(text, labels=LABELS):
        path = tmp_path / "contexts.txt"
        path.write_text(text, encoding="utf-8")
        return Contexts.read(path, labels, KINDS)

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


def test_a_kind_without_any_lists_is_refused(tmp_path):
    path = tmp_path / "contexts.txt"
    path.write_text("[ORG] = [last] & Sons\n[ORG] again\n")
    with pytest.raises(DataError, match=r"contexts.txt:1: unknown slot \[last\], and no name lists are given"):
        Contexts.read(path, LABELS)


def test_labels_may_have_any_sign(read):
    contexts = read("[creative-work] = [last] 's Song\n<creative-work [city] > 2\n", ("creative-work",))
    assert {tuple(named(one)) for one in made(contexts)} == {(("creative-work", ("New", "Rome")),)}


def test_patterns_for_other_labels_are_refused():
    """Names would be learnt as none."""
    with pytest.raises(DataError, match=r"\[ORG\] is no label, expected one of person, location"):
        Contexts.read(ENGLISH, ("person", "location"), KINDS)


def test_what_is_marked_as_a_name_is_one(read):
    contexts = read("<ORG Bank of [city] > and [ORG] , 3 > 2\n")
    (one,) = {(one.words, one.tags) for one in made(contexts)}
    assert " ".join(one[0]) == "Bank of New Rome and Initech , 3 > 2"
    assert named(made(contexts)[0]) == [("ORG", ("Bank", "of", "New", "Rome")), ("ORG", ("Initech",))]


def test_a_slot_of_a_label_between_the_marks_is_a_part_of_the_name(read):
    assert {tuple(named(one)) for one in made(read("<ORG [PER] Trust >"))} >= {(("ORG", ("Kofi", "Mensah", "Trust")),)}


def test_a_fifth_of_the_names_with_a_label_are_made_where_the_file_says_how(read):
    contexts = read("trade = Foods | Steel\n[ORG] = [last] [trade]\n[ORG] again\n")
    found = [name for one in made(contexts, 1000) for _, name in named(one)]
    assert set(found) == {("Initech",), ("Mensah", "Foods"), ("Mensah", "Steel")}
    assert 150 < sum(name != ("Initech",) for name in found) < 250


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
        ("hi\nI work at [ORG].\n", r"contexts.txt:2: '\[ORG\]\.': a slot is a token of its own"),
        ("I work at [ORG\n", r"contexts.txt:1: '\[ORG': a slot is a token of its own"),
        ("see [PER],[PER]\n", r"contexts.txt:1: .*a slot is a token of its own"),
        ("role=nurse|cook\nhi\n", "contexts.txt:1: expected NAME = A | B, with a blank"),
        ("a [later]\nlater = b\n", r"contexts.txt:1: unknown slot \[later\].*is listed above it"),
        ("hi\n[ORG] = [lost] Foods\n", r"contexts.txt:2: unknown slot \[lost\]"),
        ("role = [role] nurse\nhi\n", r"contexts.txt:1: unknown slot \[role\]"),
        ("a = [b]\nb = [a]\nhi\n", r"contexts.txt:1: unknown slot \[b\]"),
        ("[BANK] = [city]\nhi\n", r"contexts.txt:1: \[BANK\] is no label, expected one of LOC, ORG, PER"),
        ("x = <ORG Foo >\nhi\n", "contexts.txt:1: names are marked in patterns only"),
        ("[creative-work]\n", r"contexts.txt:1: unknown slot \[creative-work\]"),
        ("<ORG [city] again\n", "contexts.txt:1: <ORG is not closed by >"),
        ("hi\n<ORG a <PER b > >\n", "contexts.txt:2: <PER cannot begin a name"),
        ("<BANK a >\n", "contexts.txt:1: <BANK cannot begin a name, expected one of LOC, ORG, PER"),
        ("<ORG >\n", "contexts.txt:1: a name without words"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(read, text, message):
    with pytest.raises(DataError, match=message):
        read(text)


def test_brackets_may_be_tokens_of_their_own(read):
    assert {one.words for one in made(read("[ 2 ] [LOC] = b"))} == {("[", "2", "]", "New", "Rome", "=", "b")}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        Contexts.read(tmp_path / "none.txt", LABELS)


@pytest.mark.parametrize("path", [ENGLISH, RUSSIAN], ids=["english", "russian"])
def test_patterns_are_written_in_the_tokens_of_a_tagger(path):
    contexts = Contexts.read(path, LABELS, KINDS + CASES)
    code = language("ru" if path == RUSSIAN else "en")
    listed = {kind: [kind.title()] for kind in KINDS + CASES} | PHRASES
    names = Names.collect([], [], listed, LABELS, 1.0)
    for seed in range(2000):
        one = contexts.make(names, Random(seed))
        assert [token.text for token in tokenize(" ".join(one.words), code)] == list(one.words)


def test_no_pattern_is_one_of_the_probe():
    """In words alone: neither their signs nor their letters' size, names or figures make a pattern another one."""
    contexts = Contexts.read(ENGLISH, LABELS, KINDS)
    mine = {essence(pattern) for pattern in contexts.patterns} - {"{}"}
    halves = tomllib.loads(probe.FILE.read_text(encoding="utf-8"))
    asked = {
        essence(context.split()): context
        for half in ("open", "held_back")
        for contexts in halves[half]["contexts"].values()
        for context in contexts
    }
    assert {asked[of] for of in mine & asked.keys()} == set()
    assert len(mine) > 100


def test_no_pattern_is_one_of_the_everyday_texts():
    """Nor are four words around or between its names those of such a text."""
    contexts = Contexts.read(RUSSIAN, LABELS, KINDS + CASES)
    texts = tomllib.loads(everyday.FILE.read_text(encoding="utf-8"))["texts"]
    asked = {gram for of in texts.values() for text in of for gram in grams(everyday.unmarked(text)[0])}
    mine = {gram for pattern in contexts.patterns for gram in grams(" ".join(pattern))}
    assert mine & asked == set()
    assert len(contexts.patterns) > 100


def essence(pattern):
    """The words of a pattern, its slots and names as {}."""
    text = re.sub(r"<\w+ .*? >|\[\w+\]", "{}", " ".join(pattern))
    return " ".join(re.findall(r"\{\}|[a-z]+", re.sub(r"\d", "", text.lower())))


def grams(text, size=4):
    words = re.findall(r"\[?\w+\]?", text.lower())
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}
