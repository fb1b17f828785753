"""The table that compares: who takes part, how they are asked, what is made of their answers. Nothing is timed here."""

import json
import os
import sys
import xml.etree.ElementTree as ET

import pytest

from benchmarks import speed
from benchmarks.contest import table
from benchmarks.contest.chart import bars
from benchmarks.contest.crf_peer import spelt
from benchmarks.contest.entrants import CRF, SPACY, Entrant, entrants
from benchmarks.contest.protocol import Material, Responder
from benchmarks.contest.rounds import Process, Row, f1, plan, play, score, tune
from fenestra.training.data.spans import spans, write_tags
from tests.benchmarks.stand_in import StandIn

CORPUS = """-DOCSTART- O

Ada B-PER
met O
Charles B-PER

He O
left O

-DOCSTART- O

Kiel B-LOC
"""
DOCUMENTS = [[["Ada", "met", "Charles"], ["He", "left"]], [["Kiel"]]]
CORES = sorted(os.sched_getaffinity(0))[:1]
PEERS = dict.fromkeys((*SPACY, *CRF), "/somewhere/file")


@pytest.fixture
def material(tmp_path):
    file = tmp_path / "material.json"
    file.write_text(json.dumps({"documents": DOCUMENTS, "calls": [["Ada"], ["met"]]}))
    return file


@pytest.fixture
def corpus(tmp_path):
    file = tmp_path / "a.conll"
    file.write_text(CORPUS)
    return file


def stand_in(material, name="ours", *, copies=2, threads=1, ways=("raw", "tokens"), forgets=True):
    command = [sys.executable, "-m", "tests.benchmarks.stand_in", str(material), str(copies), *["forgets"] * forgets]
    return Entrant(name, threads, command, ways, forgets)


def row(contender="ours", way="raw", batch="large", threads=1, *, tokens=100, seconds=(1.0,), **others):
    return Row(contender, way, batch, threads, tokens, list(seconds), **others)


class TestEntrants:
    def test_without_peers_ours_is_alone_and_it_is_said_what_is_missing(self, tmp_path):
        found, skipped = entrants(tmp_path, tmp_path / "m", 2, [1, 2], {})
        assert [(one.name, one.threads) for one in found] == [
            ("ours", 1), ("ours, columnar", 1), ("ours, int8", 1), ("ours, reference", 1),
            ("ours", 2), ("ours, columnar", 2), ("ours, int8", 2), ("ours, reference", 2),
        ]  # fmt: skip
        assert skipped == [
            "no spaCy: PEER_PYTHON, SPACY_MODEL not set", "no CRF: CRF_PYTHON, CRF_MODEL, PEER_DIR not set",
        ]  # fmt: skip

    def test_a_peer_takes_part_when_all_of_it_is_named(self, tmp_path):
        found, skipped = entrants(tmp_path, tmp_path / "m", 2, [1, 2], PEERS)
        assert skipped == []
        assert [one.name for one in found if one.threads == 1] == [
            "ours", "ours, columnar", "ours, int8", "ours, reference", "spaCy, BLIS", "spaCy, OpenBLAS", "CRF",
        ]  # fmt: skip
        assert "CRF" not in [one.name for one in found if one.threads == 2]

    def test_half_a_peer_is_left_out(self, tmp_path):
        found, skipped = entrants(tmp_path, tmp_path / "m", 2, [1], PEERS | {"SPACY_MODEL": ""})
        assert not any(one.name.startswith("spaCy") for one in found)
        assert skipped == ["no spaCy: SPACY_MODEL not set"]

    def test_a_relative_path_is_taken_from_where_the_command_was_given(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        found, _ = entrants(tmp_path, tmp_path / "m", 2, [1], {"PEER_PYTHON": "venv/python", "SPACY_MODEL": "best"})
        spacy = next(one for one in found if one.name.startswith("spaCy"))
        assert spacy.command[0] == str(tmp_path / "venv" / "python")
        assert str(tmp_path / "best") in spacy.command


class TestMaterial:
    def test_a_large_batch_is_documents_and_a_call_is_a_sentence(self, material):
        given = Material(material, 2)
        assert given.items("tokens", "large", 1) == DOCUMENTS
        assert given.items("raw", "large", 1) == ["Ada met Charles He left", "Kiel"]
        assert given.items("tokens", "single", 1) == [["Ada", "met", "Charles"], ["He", "left"], ["Kiel"]]
        assert given.items("raw", "single", 1) == ["Ada met Charles", "He left", "Kiel"]
        assert (given.calls("raw"), given.calls("tokens")) == (["Ada", "met"], [["Ada"], ["met"]])

    def test_copies_are_equal_and_share_no_word(self, material):
        first, second = Material(material, 2).items("tokens", "large", 2)[::2]
        assert first == second
        assert first[0][0] is not second[0][0]


class TestResponder:
    @pytest.mark.parametrize("batch", ["large", "single"])
    @pytest.mark.parametrize("way", ["raw", "tokens"])
    def test_a_pass_tags_everything_and_what_it_found_can_be_had(self, material, way, batch):
        responder = Responder(StandIn(forgets=False), Material(material, 2))
        assert responder.answer({"do": "pass", "way": way, "batch": batch, "copies": 2})["seconds"] > 0
        found = responder.answer({"do": "found"})["found"]
        first = [(0, 3, "PER"), (8, 15, "PER")] if way == "raw" else [(0, 1, "PER"), (2, 3, "PER")]
        assert found[0][:2] == first
        assert len(found) == 2 * (2 if (way, batch) == ("raw", "large") else 3)

    def test_as_many_calls_are_timed_as_are_asked_for(self, material):
        responder = Responder(StandIn(forgets=False), Material(material, 1))
        assert len(responder.answer({"do": "calls", "way": "raw", "count": 5})["ms"]) == 5

    def test_a_contender_that_keeps_its_model_cannot_forget(self, material):
        with pytest.raises(NotImplementedError, match="StandIn"):
            Responder(StandIn(forgets=False), Material(material, 1)).answer({"do": "fresh"})

    def test_the_entities_that_tags_spell_are_ours(self):
        tags = write_tags([(0, 2, "PER"), (3, 4, "LOC"), (4, 6, "LOC"), (7, 8, "PER")], 8)
        assert spelt(tags) == [tuple(span) for span in spans(tags)]
        assert spelt(["I-PER", "I-LOC"]) == [tuple(span) for span in spans(["I-PER", "I-LOC"])]


class TestRounds:
    def test_a_process_is_asked_and_its_prints_are_no_answers(self, material):
        with Process(stand_in(material), CORES) as process:
            assert process.facts["loaded"] == 1
            planned = plan([process], ["large", "single"], 6, 2)
            assert [(r.way, r.batch, r.tokens) for _, r in planned] == [
                ("raw", "large", 12), ("tokens", "large", 12), ("raw", "single", 6), ("tokens", "single", 6),
            ]  # fmt: skip
            tune(planned, lambda line: None)
            for _ in range(3):
                for one, each in planned:
                    play(one, each, 2, 6)
            assert [len(r.seconds) for _, r in planned] == [3, 3, 3, 3]
            assert [len(r.first_seconds) for _, r in planned] == [3, 3, 0, 0]
            assert planned[0][1].settings["batch_size"] == 2
            assert planned[2][1].settings == {}
            score(
                process, planned[3][1], {("tokens", "single"): [{(0, 1, "PER"), (2, 3, "PER")}, set(), {(0, 1, "LOC")}]}
            )
            assert planned[3][1].f1 == pytest.approx(100 * 2 * 2 / (3 + 4))

    def test_a_process_that_ends_says_why(self, material):
        entrant = stand_in(material)
        with pytest.raises(RuntimeError, match=r"ours ended:\n.*the model is not there"):
            Process(entrant._replace(command=[*entrant.command, "broken"]), CORES).__enter__()

    def test_f1_is_that_of_all_entities_together(self):
        assert f1([{1, 2, 3}, {1}], [{1, 2}, {1, 4}]) == pytest.approx(2 * 3 / (4 + 4))
        assert f1([{1}], [set()]) == 0


class TestTable:
    def test_ratios_are_of_one_round_and_not_of_two_medians(self):
        ours, theirs = row(seconds=[1, 2, 4]), row("spaCy, BLIS", seconds=[10, 10, 10])
        assert table.ratio(theirs, [ours, theirs]) == (5, 2.5, 10)
        assert table.ratio(ours, [ours, theirs]) is None
        columnar = row("ours, columnar", seconds=[0.5, 1, 1])
        assert table.ratio(theirs, [ours, columnar, theirs], of="ours, columnar") == (10, 10, 20)
        assert table.ratio(theirs, [ours, theirs], of="ours, columnar") is None
        assert table.ratio(columnar, [ours, columnar], of="ours, columnar") is None

    def test_only_the_same_task_is_compared(self):
        rows = [row(seconds=[1]), row(way="tokens", seconds=[2]), row(threads=2, seconds=[4]), row(batch="single")]
        assert table.ratio(row("CRF", "tokens", seconds=[6]), rows).median == 3
        assert table.ratio(row("spaCy, BLIS", threads=2, seconds=[6]), rows).median == 1.5

    def test_rates_are_tokens_a_second(self):
        assert table.rates(row(tokens=100, seconds=[1, 2, 4])) == (50, 25, 100)

    def test_the_table_has_a_line_for_each_row_and_says_what_is_not_told(self):
        rows = [
            row(seconds=[1], first_tokens=50, first_seconds=[2], f1=90.04), row("ours, columnar", seconds=[0.5]),
            row("spaCy, BLIS", seconds=[5], f1=83.5, settings={"batch_size": 64, "processes": 2, "tried": []}),
            row("CRF", "tokens", "single", seconds=[2]), row(way="tokens", batch="single", seconds=[2]),
        ]  # fmt: skip
        figures = {
            "corpus": "c", "documents": 2, "sentences": 3, "tokens": 6, "copies": 1, "rounds": 1, "machine": "m",
            "load": 0,
        }  # fmt: skip
        calls = [{"contender": "ours", "way": "raw", "calls": 9, "p50": 1.0, "p90": 2.0, "p99": 3.0}]
        lines = table.render(figures, rows, calls).splitlines()
        assert "| ours | raw text | 100 | 100 – 100 | 90.04 | – | – | 25 (25 – 25) | – |" in lines
        ratios = "5.00 (5.00 – 5.00) | 10.00 (10.00 – 10.00)"
        assert f"| spaCy, BLIS | raw text | 20 | 20 – 20 | 83.50 | {ratios} | – | 64, 2 processes |" in lines
        assert "| CRF | tokens | 50 | 50 – 50 | 0.00 | 1.00 (1.00 – 1.00) | – | – | – |" in lines
        assert "| ours | raw text | 1.000 | 2.000 | 3.000 | 9 |" in lines
        assert [line for line in lines if line.startswith("**")] == [
            "**1 thread, all together**", "**1 thread, a sentence a call**",
        ]  # fmt: skip

    def test_the_chart_is_a_picture_with_a_bar_for_each_row(self):
        rows = [row(seconds=[1, 2]), row("a < b", threads=2, seconds=[4])]
        picture = ET.fromstring(bars(rows, "Tokens & seconds"))
        drawn = picture.findall(".//{http://www.w3.org/2000/svg}rect")
        assert [one.get("class") for one in drawn] == ["bar ours", "bar"]
        assert float(drawn[0].get("width")) == pytest.approx(3 * float(drawn[1].get("width")), abs=0.2)


class TestSpeed:
    def test_sentences_of_the_length_are_taken_or_the_beginnings_of_longer_ones(self, corpus):
        from fenestra.training.data.corpus import read_corpus

        sentences = read_corpus(corpus).sentences
        assert speed.of_length(sentences, 2) == [("He", "left")]
        assert speed.of_length(sentences[:1], 2) == [("Ada", "met")]

    def test_percentiles_of_the_calls(self):
        found = speed.percentiles(("ours", "raw"), [float(n) for n in range(1, 101)])
        assert found == {"contender": "ours", "way": "raw", "calls": 100, "p50": 50, "p90": 90, "p99": 99}

    def test_one_command_makes_table_figures_and_chart(self, corpus, tmp_path, monkeypatch, capsys):
        def both(model, material, copies, threads):
            crf = stand_in(material, "CRF", copies=copies, ways=("tokens",), forgets=False)
            return [stand_in(material, copies=copies), crf], ["no spaCy: SPACY_MODEL not set"]

        monkeypatch.setattr(speed, "entrants", both)
        monkeypatch.setattr(speed, "SENTENCE", 2)
        out, chart = tmp_path / "out.json", tmp_path / "out.svg"
        arguments = [
            "--only",
            "repeated",
            "--corpus",
            corpus,
            "--tokens",
            10,
            "--repeats",
            2,
            "--calls",
            6,
            "--json",
            out,
            "--chart",
            chart,
        ]
        monkeypatch.setattr(sys, "argv", ["speed", *map(str, arguments)])
        speed.main()
        printed = capsys.readouterr()
        assert "no spaCy: SPACY_MODEL not set" in printed.err
        figures = json.loads(out.read_text())
        assert (figures["tokens"], figures["copies"], figures["documents"]) == (6, 2, 2)
        scores = {(r["contender"], r["way"], r["batch"]): r["f1"] for r in figures["rows"]}
        found, true, right = 4, 3, 2  # Ada, Charles; He is none, and Kiel no person
        assert list(scores.values()) == pytest.approx([200 * right / (found + true)] * len(scores))
        assert len(scores) == 6
        assert all(len(r["seconds"]) == 2 for r in figures["rows"])
        assert [(call["contender"], call["way"], call["calls"]) for call in figures["calls"]] == [
            ("ours", "raw", 6), ("ours", "tokens", 6), ("CRF", "tokens", 6),
        ]  # fmt: skip
        assert printed.out.count("| CRF | tokens |") == 3
        assert chart.read_text().count("<rect") == 6
