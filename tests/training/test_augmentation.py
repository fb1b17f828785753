"""Sentences that are learnt from once more."""

from random import Random

import pytest
from hypothesis import given

from fenestra.model.text.language import language
from fenestra.training.data.augmentation import (
    augmented,
    bare,
    fragment,
    headline,
    in_foreign_text,
    renamed,
    with_initials,
)
from fenestra.training.data.names import Names
from fenestra.training.data.spans import spans
from tests.training.test_perturbations import ADA, SENTENCES, named, sentence


def initials_of(of, code="en", seeds=range(60)):
    """All that initials make of a sentence."""
    change = with_initials("PER", language(code))
    return {" ".join(copy.words): named(copy) for seed in seeds if (copy := change(of, Random(seed)))}


def test_first_names_become_initials_before_or_behind_the_last_name():
    found = initials_of(ADA)
    assert "A. Lovelace met Siemens , in Berlin ." in found
    assert "Lovelace A. met Siemens , in Berlin ." in found
    assert any(text.startswith("A. ") and text.split()[2] == "Lovelace" for text in found)
    for text, entities in found.items():
        words = text.split()
        assert entities == [("PER", tuple(words[: words.index("met")])), ("ORG", ("Siemens",)), ("LOC", ("Berlin",))]


def test_initials_are_the_tokens_of_the_language():
    ivan = sentence("Иван/B-PER Петров/I-PER ушёл/O ./O")
    found = initials_of(ivan, "ru")
    assert "И . Петров ушёл ." in found
    assert "Петров И . ушёл ." in found
    assert found["Петров И . ушёл ."] == [("PER", ("Петров", "И", "."))]


@pytest.mark.parametrize(
    "text",
    ["Ada/B-PER left/O", "Ada/B-PER King/I-PER Lovelace/I-PER left/O", "Ada/B-ORG King/I-ORG", "A./B-PER King/I-PER",
     "ADA/B-PER KING/I-PER", "ada/B-PER king/I-PER", "he/O left/O"],
)  # fmt: skip
def test_only_persons_of_two_written_words_have_first_names_to_shorten(text):
    assert initials_of(sentence(text)) == {}


@given(SENTENCES)
def test_foreign_text_keeps_the_entities_and_no_other_word(of):
    copy = in_foreign_text(of, Random(1))
    if copy is None:
        assert not spans(of.tags)
        return
    assert named(copy) == named(of)
    assert len(copy.words) == len(of.words)
    assert not any(word.isascii() for word, tag in zip(copy.words, copy.tags, strict=True) if tag == "O")


@given(SENTENCES)
def test_a_bare_entity_is_one_of_its_sentence(of):
    copies = [bare(of, Random(seed)) for seed in range(8)]
    if not spans(of.tags):
        assert copies == [None] * 8
        return
    for copy in copies:
        assert len(named(copy)) == 1
        assert named(copy)[0] in named(of)
        assert named(copy)[0][1] == copy.words


def test_a_share_of_the_sentences_is_taken_and_the_seed_decides_which():
    many = [ADA._replace(document=number) for number in range(1000)]
    copies = augmented(many, 0.2, in_foreign_text, Random(1))
    assert 150 < len(copies) < 250
    assert copies == augmented(many, 0.2, in_foreign_text, Random(1))
    assert copies != augmented(many, 0.2, in_foreign_text, Random(2))
    assert augmented(many, 0.0, in_foreign_text, Random(1)) == []


def test_a_share_above_one_makes_several_copies():
    many = [ADA] * 200
    assert len(augmented(many, 2.5, bare, Random(1))) == pytest.approx(500, abs=40)


OTHERS = Names.collect(
    [],
    [],
    {"city": ["New Rome"], "company": ["Initech"], "first": ["Kofi"], "last": ["Mensah"]},
    ["LOC", "ORG", "PER"],
    1,
)


def test_a_renamed_sentence_has_other_names_of_the_same_labels():
    copies = [copy for seed in range(60) if (copy := renamed(OTHERS)(ADA, Random(seed)))]
    assert {words for copy in copies for label, words in named(copy) if label == "ORG"} == {("Initech",), ("Siemens",)}
    assert {words for copy in copies for label, words in named(copy) if label == "LOC"} == {
        ("New", "Rome"),
        ("Berlin",),
    }
    for copy in copies:
        assert [label for label, _ in named(copy)] == ["PER", "ORG", "LOC"]
        assert [word for word, tag in zip(copy.words, copy.tags, strict=True) if tag == "O"] == ["met", ",", "in", "."]


@pytest.mark.parametrize(
    ("text", "city"),
    [("kiel/B-LOC is/O nice/O", "new rome"), ("KIELCE/B-LOC is/O nice/O", "NEW ROME"), ("UK/B-LOC is/O", "New Rome")],
)
def test_the_new_name_is_written_as_the_old_one(text, city):
    found = {
        " ".join(named(copy)[0][1]) for seed in range(20) if (copy := renamed(OTHERS)(sentence(text), Random(seed)))
    }
    assert found == {city}


@given(SENTENCES)
def test_a_renamed_sentence_keeps_labels_and_all_other_words(of):
    copy = renamed(OTHERS)(of, Random(2))
    if copy is not None:
        assert [label for label, _ in named(copy)] == [label for label, _ in named(of)]
        outside = [[w for w, tag in zip(s.words, s.tags, strict=True) if tag == "O"] for s in (copy, of)]
        assert outside[0] == outside[1]


@given(SENTENCES)
def test_a_fragment_is_a_shorter_run_of_its_sentence_with_whole_entities(of):
    for seed in range(5):
        copy = fragment(of, Random(seed))
        if copy is None:
            continue
        assert 0 < len(copy.words) == len(copy.tags) < len(of.words)
        assert " ".join(copy.words) in " ".join(of.words)
        assert named(copy)
        assert set(named(copy)) <= set(named(of))


def test_a_fragment_does_not_end_with_the_stop():
    copies = [copy for seed in range(40) if (copy := fragment(ADA, Random(seed)))]
    assert not any(copy.words[-1] == "." for copy in copies)
    assert len({copy.words for copy in copies}) > 5


def test_a_headline_leaves_out_articles_and_the_stop():
    of = sentence("Ada/B-PER was/O met/O by/O the/O Siemens/B-ORG men/O ./O")
    found = {" ".join(copy.words) for seed in range(20) if (copy := headline(of, Random(seed)))}
    assert found == {"Ada met by Siemens men", "Ada Met by Siemens Men"}
    assert headline(sentence("he/O left/O"), Random(1)) is None
