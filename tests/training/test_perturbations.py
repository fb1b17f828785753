"""Variants of a text: what changes, and that no entity does."""

import string
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.training.data.inspection import Sentence
from fenestra.training.data.perturbations import VARIANTS, lower, mistyped, typos, unpunctuated, upper, vary
from fenestra.training.data.spans import spans, write_tags


def sentence(text, line=1):
    """``word/TAG`` pairs as a sentence."""
    words, tags = zip(*(pair.rsplit("/", 1) for pair in text.split()), strict=True)
    return Sentence(words, tags, 3, line)


def named(of):
    """Label and words of every entity."""
    return [(label, of.words[start:end]) for start, end, label in spans(of.tags)]


ADA = sentence("Ada/B-PER Lovelace/I-PER met/O Siemens/B-ORG ,/O in/O Berlin/B-LOC ./O", line=8)
WORDS = st.text(min_size=1, max_size=12).filter(lambda word: not any(map(str.isspace, word)))
TAGS = st.sampled_from(["O", "O", "B-PER", "I-PER", "B-LOC"])


def legal(pairs):
    """A sentence of words and tags, the tags made legal."""
    words, tags = zip(*pairs, strict=True)
    return Sentence(words, tuple(write_tags(spans(tags), len(tags))), 0, 1)


SENTENCES = st.lists(st.tuples(WORDS, TAGS), min_size=1, max_size=12).map(legal)


class TestCase:
    def test_all_words_change_and_nothing_else(self):
        assert lower(ADA) == ADA._replace(words=("ada", "lovelace", "met", "siemens", ",", "in", "berlin", "."))
        assert upper(ADA) == ADA._replace(words=("ADA", "LOVELACE", "MET", "SIEMENS", ",", "IN", "BERLIN", "."))

    def test_words_whose_length_changes_stay_one_word(self):
        odd = sentence("Straße/B-LOC İzmir/B-LOC ﬁn/O")
        assert upper(odd).words == ("STRASSE", "İZMIR", "FIN")
        assert len(lower(odd).words[1]) == 6  # the dot becomes a character of its own

    def test_no_character_vanishes(self):
        """So that no word can become empty."""
        every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
        assert [character for character in every if not (character.lower() and character.upper())] == []


class TestTypos:
    def test_the_same_seed_makes_the_same_errors(self):
        texts = [typos(ADA, Random(seed), share=0.5) for seed in range(30)]
        assert texts == [typos(ADA, Random(seed), share=0.5) for seed in range(30)]
        assert len(set(texts)) > 10

    def test_only_words_of_four_letters_or_more_get_one(self):
        short = sentence("Ada/B-PER met/O U.S.A./O 1996/O a-b-c/O four/O")
        changed = typos(short, Random(1), share=1)
        assert changed.words[:5] == short.words[:5]
        assert changed.words[5] != "four"
        assert (changed.tags, changed.document, changed.line) == (short.tags, 3, 1)

    def test_the_share_is_that_of_the_long_words(self):
        many = Sentence(("Lovelace", "met") * 5_000, ("O", "O") * 5_000, 0, 1)
        changed = sum(map(str.__ne__, typos(many, Random(1), share=0.2).words, many.words))
        assert changed == pytest.approx(1_000, abs=100)
        assert typos(many, Random(1), share=0) == many

    def test_an_error_is_one_of_four(self):
        word, rng = "Garden", Random(2)
        one_off = {
            "swap": {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(5)},
            "loss": {word[:i] + word[i + 1 :] for i in range(6)},
            "doubling": {word[: i + 1] + word[i:] for i in range(6)},
            "other key": {word[:i] + key + word[i + 1 :] for i in range(6) for key in string.ascii_letters} - {word},
        }
        drawn = [mistyped(word, rng) for _ in range(4_000)]
        for kind, possible in one_off.items():
            share = sum(typed in possible for typed in drawn) / len(drawn)
            assert share == pytest.approx(0.25, abs=0.03), kind
        assert set(drawn) <= set.union(*one_off.values())

    def test_the_other_key_is_a_neighbour_of_the_same_case(self):
        hit = {typed for seed in range(500) if len(typed := mistyped("G", Random(seed))) == 1}
        assert hit == set("BFHTVY")

    @pytest.mark.parametrize(
        ("word", "possible"),
        [("…", {"…"}), ("é", {"éé"}), ("éé", {"é", "ééé"}), ("é1é", {"1é", "é1", "éé1é", "é1éé"})],
    )
    def test_what_cannot_go_wrong_does_not(self, word, possible):
        """No letter to swap with, no key beside it, no word left."""
        assert {mistyped(word, Random(seed)) for seed in range(200)} == possible

    @given(WORDS, st.randoms(use_true_random=False))
    def test_an_error_changes_the_word_and_leaves_no_empty_one(self, word, rng):
        typed = mistyped(word, rng)
        assert typed
        assert (typed != word) == any(map(str.isalpha, word))
        assert abs(len(typed) - len(word)) <= 1


class TestUnpunctuated:
    def test_punctuation_goes_and_entities_stay(self):
        text = sentence(
            "-/O J./B-PER ./I-PER Smith/I-PER (/O AT/B-ORG &/I-ORG T/I-ORG )/O ,/O Kiel/B-LOC ;/O Bonn/B-LOC 3/O ./O"
        )
        plain = unpunctuated(text)
        assert plain.words == ("J.", ".", "Smith", "AT", "&", "T", "Kiel", "Bonn", "3")
        assert named(plain) == named(text)
        assert (plain.document, plain.line) == (3, 1)

    def test_entities_of_one_label_do_not_melt_together(self):
        plain = unpunctuated(sentence("Kiel/B-LOC ,/O Bonn/B-LOC"))
        assert named(plain) == [("LOC", ("Kiel",)), ("LOC", ("Bonn",))]

    def test_a_sentence_of_punctuation_is_nothing(self):
        assert unpunctuated(sentence("-/O -/O …/O")) is None
        assert unpunctuated(sentence("!/B-MISC")) == sentence("!/B-MISC")


class TestVary:
    def test_empty_sentences_are_dropped(self):
        assert vary("unpunctuated", [ADA, sentence("*/O"), ADA]) == [unpunctuated(ADA)] * 2

    def test_errors_are_drawn_anew_for_every_sentence(self):
        many = [ADA] * 200
        found = vary("typos", many)
        assert found == vary("typos", many)
        assert found != vary("typos", many, seed=2)
        assert len(set(found)) > 10

    def test_sentences_alone_are_documents_of_their_own(self):
        twice = [ADA, ADA._replace(line=9)]
        assert {one.document for one in twice} == {ADA.document}
        alone = vary("alone", twice)
        assert [one._replace(document=ADA.document) for one in alone] == twice
        assert len({one.document for one in alone}) == 2

    @pytest.mark.parametrize("name", VARIANTS)
    @given(st.lists(SENTENCES, max_size=3))
    def test_entities_keep_their_labels_and_sizes_and_no_word_is_empty(self, name, sentences):
        varied = vary(name, sentences)
        assert [(label, len(words)) for of in varied for label, words in named(of)] == [
            (label, len(words)) for of in sentences for label, words in named(of)
        ]
        assert all(of.words and all(of.words) and len(of.words) == len(of.tags) for of in varied)

    def test_an_unknown_one_is_refused(self):
        with pytest.raises(KeyError, match="shout"):
            vary("shout", [ADA])
