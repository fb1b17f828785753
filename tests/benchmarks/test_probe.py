"""The probe of names in short texts: what is asked, and how answers are counted. No model is asked here."""

import re
import sys

import pytest

from benchmarks import probe
from benchmarks.probe import ALIKE, NOTHING, Case, Count, counts, in_context, in_small_letters, marked, read_cases

KINDS = {"ORG": 60, "LOC": 40, "PER": 40}
"""At least so many names there are of each kind, in both halves together."""


def test_a_context_asks_for_its_name_where_it_stands():
    assert in_context("at {}!", "Ada & Co", "ORG") == Case("ORG", "at Ada & Co!", {(3, 11, "ORG")})


def test_a_marked_text_asks_for_all_of_its_names():
    assert marked("a [LOC B c] d [ORG E]") == Case(ALIKE, "a B c d E", {(2, 5, "LOC"), (8, 9, "ORG")})


def test_a_name_is_right_only_with_its_label_and_both_ends():
    case = in_context("{} said", "Ada Ito", "PER")
    answers = [{(0, 7, "PER")}, {(0, 3, "PER")}, {(0, 7, "ORG")}, set(), {(0, 7, "PER"), (8, 12, "ORG")}]
    assert [probe.count(case, found).right for found in answers] == [1, 0, 0, 0, 1]


def test_a_text_without_a_name_is_right_if_nothing_is_found():
    cases = [Case(NOTHING, "an apple", set())] * 2 + [marked("[LOC A] [LOC B]")]
    answers = [set(), {(3, 8, "ORG")}, {(0, 1, "LOC"), (2, 3, "PER")}]
    assert counts(cases, answers) == {NOTHING: Count(1, 2), ALIKE: Count(1, 2)}
    assert str(counts(cases, answers)[NOTHING]) == "50.0%"


def test_what_is_wrong_is_listed_with_what_was_found():
    cases = [marked("[LOC Paris] sang"), marked("[LOC Kiel] sank")]
    assert list(probe.wrong(cases, [{(0, 5, "PER")}, {(0, 4, "LOC")}])) == ["alike\t'Paris sang'\tPER 'Paris'"]


@pytest.mark.parametrize("half", ["open", "held_back"])
def test_every_half_has_names_and_contexts_of_each_kind(half):
    asked = probe.tomllib.loads(probe.FILE.read_text(encoding="utf-8"))[half]
    for kind, least in KINDS.items():
        assert 2 * len(set(asked["names"][kind])) >= least
        assert 2 * len(set(asked["contexts"][kind])) >= 25
        assert all(context.count("{}") == 1 for context in asked["contexts"][kind])


def test_the_two_halves_share_neither_a_name_nor_a_context():
    halves = [read_cases(half) for half in ("open", "held_back")]
    texts, names = (
        [{of(case) for case in half} for half in halves]
        for of in (lambda case: case.text, lambda case: (case.kind, tuple(case.text[a:b] for a, b, _ in case.gold)))
    )
    assert not texts[0] & texts[1]
    assert {name for name in names[0] & names[1] if name[0] in KINDS} == set()


@pytest.mark.parametrize("half", ["open", "held_back"])
def test_small_letters_leave_every_name_where_it_was(half):
    for case in read_cases(half):
        small = in_small_letters(case)
        assert [small.text[a:b] for a, b, _ in small.gold] == [case.text[a:b].lower() for a, b, _ in case.gold]


def test_the_peer_is_left_out_with_the_reason():
    assert probe.peer({"PEER_PYTHON": "/some/python"}) == "no spaCy: SPACY_STOCK not set"


def test_types_of_the_peer_are_ours(monkeypatch):
    answer = '[[0, 5, "GPE"], [6, 8, "DATE"], [9, 11, "PERSON"]]\n[]\n'
    monkeypatch.setattr(probe.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": answer}))
    find = probe.peer({"PEER_PYTHON": sys.executable, "SPACY_STOCK": "a"})
    assert find(["a", "b"]) == [{(0, 5, "LOC"), (9, 11, "PER")}, set()]


def test_what_is_held_back_is_never_listed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["probe", "--held-back", "--wrong"])
    with pytest.raises(SystemExit, match="2"):
        probe.main()
    assert re.search(r"--wrong: expected without --held-back", capsys.readouterr().err)
