"""What the measurements of stages, growth and the roof are made of. Nothing is timed here."""

import doctest
import re

import pytest

from benchmarks import footprint, growth, made_up, roof, stages, synthetic
from benchmarks.contest import rounds
from benchmarks.contest.table import Spread
from fenestra.model.config import ModelConfig
from fenestra.model.tagger import Tagger
from tests.model.conftest import small_model

SMALL = synthetic.Shape(hidden=8, width=6, known=50, distinct=40, tokens=100)


@pytest.mark.parametrize("module", [footprint, made_up, roof, rounds, stages])
def test_the_examples_hold(module):
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


class TestStages:
    def test_all_of_a_pass_is_told_by_stage(self):
        found = stages.measure(Tagger(small_model(), device="cpu"), ["Ada met Siemens in Munich."], 6)
        assert list(found) == ["tokenize", "rows", "network", "decode", "rest"]
        assert all(ns >= 0 for ns in found.values())
        assert sum(found.values()) > 0

    def test_the_sum_is_spread_by_its_own_passes(self):
        found = stages.spreads([{"rows": 1, "rest": 5}, {"rows": 3, "rest": 1}, {"rows": 2, "rest": 2}])
        assert found == {"rows": (2, 1, 3), "rest": (2, 1, 5), "all": (4, 4, 6)}
        assert stages.table(found, "raw").splitlines()[2] == "| rows | 2 | 1 – 3 | 50% |"

    def test_a_corpus_is_repeated_until_it_is_large_enough(self, tmp_path):
        (tmp_path / "a.conll").write_text("-DOCSTART- O\n\nAda B-PER\nmet O\n\nHe O\n\n-DOCSTART- O\n\nKiel B-LOC\n")
        items, tokens = stages.corpus_items(str(tmp_path / "a.conll"), 7)
        assert tokens == 8
        assert items["raw documents"] == ["Ada met He", "Kiel"] * 2
        assert items["sentences of words"] == [("Ada", "met"), ("He",), ("Kiel",)] * 2


class TestSynthetic:
    def test_no_two_words_are_the_same_however_they_are_written(self):
        assert len({made_up.word(number).lower() for number in range(20_000)}) == 20_000

    def test_the_tagger_sees_the_words_and_sentences_that_were_made(self):
        content = synthetic.text(SMALL)
        (found,) = synthetic.tagger(SMALL).tag([content])
        assert [token.text for token in found.tokens] == content.split()
        assert len(found.tokens) == SMALL.tokens
        assert content.count(" . ") == SMALL.tokens // synthetic.SENTENCE - 1

    @pytest.mark.parametrize("features", [synthetic.VECTORS, synthetic.EVERYTHING], ids=["vectors", "everything"])
    def test_capitalised_words_are_its_entities(self, features):
        """So that decoding has as much to do as with a trained model, however many labels there are."""
        from dataclasses import replace

        shape = replace(SMALL, features=features, labels=16)
        content = synthetic.text(shape)
        (found,) = synthetic.tagger(shape).tag([content])
        assert [entity.text for entity in found] == [word for word in content.split() if word[0].isupper()]
        assert {entity.label for entity in found} == {"L0"}

    def test_a_text_of_distinct_words_has_as_many_as_are_asked_for(self):
        words = " ".join(footprint.texts(2_500)).split()
        assert len(words) == len(set(words)) == 2_500


class TestGrowth:
    def test_each_sweep_changes_one_thing_and_passes_through_what_is_usual(self):
        base = synthetic.Shape()
        for name, variants in growth.sweeps(base).items():
            assert base in [variant.shape for variant in variants], name
            changed = {
                key
                for variant in variants
                for key in synthetic.Shape.__dataclass_fields__
                if getattr(variant.shape, key) != getattr(base, key)
            }
            assert len(changed) == 1, name

    def test_every_variant_gets_a_line(self, monkeypatch):
        monkeypatch.setattr(growth, "_TIMED", 250)
        variants = [growth.Variant("small", SMALL), growth.Variant("again", SMALL)]
        found = growth.costs(variants, 2)
        lines = growth.table("what", found).splitlines()
        assert [re.match(r"\| (\w+) ", line)[1] for line in lines[2:]] == ["small", "again"]
        assert lines[2].endswith("| 1.00 |")
        assert lines[0].count("|") == lines[2].count("|")

    def test_the_network_is_compared_with_that_of_the_first_line(self):
        def cost(name, network):
            return growth.Cost(name, {stage: Spread(network, network, network) for stage in (*stages.STAGES, "all")}, 9)

        lines = growth.table("what", [cost("a", 10.0), cost("b", 25.0)]).splitlines()
        assert lines[3] == "| b | 25 | 25 | 25 | 25 | 25 | 25 (25 – 25) | 9 | 2.50 |"


class TestRoof:
    def test_the_first_layer_reads_a_row_for_each_place_of_the_window(self):
        assert roof.bytes_per_token(ModelConfig(labels=("PER",), context=2, hidden=(300, 50)), 4) == 5 * 300 * 4

    def test_twice_the_least_time_is_half_the_roof(self):
        assert roof.bound("memory", 7_000, 7.0, 2_000.0) == ("memory", 7.0, 1_000.0, 0.5)

    def test_bandwidths_are_measured_of_any_size(self, monkeypatch):
        monkeypatch.setattr(roof, "_SECONDS", 0.001)
        monkeypatch.setattr(roof, "_TOKENS", 50)
        assert roof.read_bandwidth(10_000) > 0
        assert roof.row_bandwidth(ModelConfig(labels=("PER",), context=1, hidden=(8,)), 20) > 0
        assert roof.cache_size(9) == 0
