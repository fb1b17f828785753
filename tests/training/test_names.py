"""Names to put in the place of others."""

from collections import Counter
from random import Random

import pytest

from fenestra.training.data.names import Names, usual_label
from tests.training.test_perturbations import sentence

LABELS = ("LOC", "ORG", "PER")
GOLD = [sentence("Ada/B-PER Ito/I-PER met/O Acme/B-ORG in/O Kiel/B-LOC"), sentence("ada/B-PER left/O Kiel/B-LOC ./O")]
PHRASES = {"city": ["Oslo", "New Rome", "Bern"], "country": ["Peru"], "company": ["Initech"], "first": ["Kofi"],
           "last": ["Mensah", "de Vries"], "legal_form": ["Inc."]}  # fmt: skip


def drawn(names, label, seeds=400):
    return Counter(" ".join(name) for seed in range(seeds) if (name := names.draw(label, Random(seed))))


def collect(gold=GOLD, silver=(), phrases=PHRASES, labels=LABELS, listed=0.5):
    return Names.collect(gold, silver, phrases, labels, listed)


def test_labels_go_by_their_usual_names():
    assert [usual_label("person", labels) for labels in (["LOC", "PER"], ["person"], ["Disease"])] == [
        "PER", "person", None]  # fmt: skip
    assert usual_label("organisation", ["corporation", "location"]) == "corporation"
    assert usual_label("place", ["corporation", "location"]) == "location"


def test_names_of_the_corpora_are_drawn_each_as_often_and_begin_with_a_capital():
    gold = [*GOLD, *[sentence("Ada/B-PER Ito/I-PER left/O")] * 20, sentence("Bo/B-PER left/O")]
    found = drawn(collect(gold, listed=0), "PER")
    assert found.keys() == {"Ada Ito", "Bo"}
    assert found["Bo"] == pytest.approx(200, abs=50)


def test_names_of_lists_are_those_of_the_kinds_of_their_label():
    names = collect(listed=1)
    assert drawn(names, "LOC").keys() == {"Oslo", "New Rome", "Bern", "Peru"}
    assert drawn(names, "ORG").keys() == {"Initech"}
    assert drawn(names, "PER").keys() == {"Kofi", "Mensah", "de Vries", "Kofi Mensah", "Kofi de Vries"}


def test_an_organisation_that_is_called_as_a_first_name_is_not_drawn():
    phrases = {**PHRASES, "company": ["Initech", "Kofi", "Kofi Foods"], "brand": ["Kofi"]}
    assert drawn(collect(phrases=phrases, listed=1), "ORG").keys() == {"Initech", "Kofi Foods"}


def test_the_best_known_names_of_a_list_come_most_often():
    names = collect(phrases={"city": [f"City{number}" for number in range(100)]}, listed=1)
    found = drawn(names, "LOC", seeds=1000)
    assert sum(found[f"City{number}"] for number in range(9)) == pytest.approx(500, abs=60)


def test_half_of_the_names_of_other_lists_are_of_one_word():
    names = collect(phrases={"company": ["Hooli", *(f"Globex {number}" for number in range(50))]}, listed=1)
    assert drawn(names, "ORG", seeds=1000)["Hooli"] == pytest.approx(500, abs=60)


def test_some_persons_are_called_as_places_are():
    phrases = {
        "first": [*(f"First{number}" for number in range(300)), "Paris", "Obscure"],
        "last": ["Ito", "York"],
        "city": ["Paris", *(f"City{number}" for number in range(5000)), "Obscure"],
        "region": ["York"],
    }
    names = collect(phrases=phrases, listed=1)
    assert names.alike == {"first": (("Paris",),), "last": (("York",),)}
    found = drawn(names, "PER", seeds=2000)
    assert sum(count for name, count in found.items() if name.startswith("Paris ")) == pytest.approx(150, abs=45)


def test_a_share_of_the_names_is_of_lists():
    found = drawn(collect(listed=0.25), "ORG", seeds=1000)
    assert found["Initech"] == pytest.approx(250, abs=50)
    assert found["Acme"] == pytest.approx(750, abs=50)


def test_without_lists_or_without_names_the_others_are_drawn():
    assert drawn(collect(phrases={}, listed=1), "PER").keys() == {"Ada Ito"}
    assert drawn(collect(gold=[], listed=0), "ORG").keys() == {"Initech"}
    assert collect(gold=[], phrases={}).draw("ORG", Random(1)) is None


def test_lists_say_nothing_of_labels_of_other_kinds():
    names = collect(gold=[sentence("flu/B-Disease Flu/B-Disease")], labels=("Disease",), listed=1)
    assert drawn(names, "Disease").keys() == {"Flu"}


def test_silver_names_count_if_they_come_often_and_with_one_label():
    silver = [
        *[sentence("Globex/B-ORG and/O globex/B-ORG in/O Reading/B-LOC")] * 4,
        *[sentence("Hooli/B-ORG and/O Reading/B-ORG")] * 3,
    ]
    assert drawn(collect(gold=[], silver=silver, listed=0, phrases={}), "ORG").keys() == {"Globex"}
