"""The tables of text that does not repeat: where it comes from, who tags it, what is told. Nothing is timed here."""

import gzip
import json
import os
import sys

import pytest

from benchmarks import new_words, speed
from benchmarks.contest import bulk, cold, texts
from benchmarks.contest.entrants import Entrant
from benchmarks.contest.ours import Columnar, Ours
from benchmarks.contest.protocol import Material, Responder
from benchmarks.contest.texts import Collection
from fenestra.model.bundled import bundled_model
from fenestra.model.engine import library
from fenestra.model.tagger import Tagger

CORES = sorted(os.sched_getaffinity(0))[:1]
COLLECT = """
import json, sys
every = int(sys.argv[sys.argv.index("--every") + 1])
json.dump({"texts": ["Ada met  Ito .", "Kiel", "He left ."][::every]}, open(sys.argv[2], "w"))
"""
RUSSIAN = "-DOCSTART-\tO\n\nАнна\tB-PER\nуехала\tO\n\nВ\tO\nКазань\tB-LOC\n\n"
PEERS = {"PEER_PYTHON": "/some/python", "SPACY_STOCK": "/some/model", "NATASHA_PYTHON": "/other/python"}


@pytest.fixture
def shared(tmp_path):
    """A folder beside the checkout that has both collections."""
    folder = tmp_path / "shared"
    (folder / texts.RUSSIAN).mkdir(parents=True)
    (folder / texts.DIVERSE.parent).mkdir()
    (folder / texts.DIVERSE).write_text(COLLECT)
    with gzip.open(folder / texts.RUSSIAN / "test.conll.gz", "wt", encoding="utf-8") as file:
        file.write(RUSSIAN * 25)
    return folder


def stand_in(name, material, *, forgets):
    command = [sys.executable, "-m", "tests.benchmarks.stand_in", str(material), "1", *["forgets"] * forgets]
    return Entrant(name, 1, command, ("raw",), forgets)


class TestTexts:
    def test_english_is_what_the_collection_gives_each_text_once(self, shared, tmp_path):
        found = texts.english(shared, 1, tmp_path)
        assert (len(found.documents), found.tokens, found.distinct) == (3, 9, 8)
        given = Material(found.write(tmp_path / "m.json"), 1)
        assert given.items("raw", "large", 1) == ["Ada met  Ito .", "Kiel", "He left ."]
        assert len(texts.english(shared, 2, tmp_path).documents) == 2

    def test_russian_is_cut_into_documents_of_some_sentences(self, shared):
        found = texts.russian(shared, 1)
        assert [len(document) for document in found.documents] == [20, 20, 10]
        assert found.documents[0][:2] == [["Анна", "уехала"], ["В", "Казань"]]
        assert len(texts.russian(shared, 2).documents) == 2

    def test_a_text_whose_source_is_absent_is_left_out_with_the_reason(self, tmp_path):
        assert texts.english(tmp_path, 1, tmp_path) == (
            "no English text that does not repeat: peers/diverse.py is not in --shared"
        )
        assert texts.russian(tmp_path, 1) == (
            "no Russian text that does not repeat: corpora/wikineural_ru is not in --shared"
        )

    def test_no_two_made_up_words_are_the_same(self):
        found = texts.made_up(5000)
        assert found.tokens == found.distinct == 5000
        assert len(found.documents) == 1
        ((words,),) = found.documents
        assert [number for number, word in enumerate(words) if word.endswith(".")][:2] == [19, 39]


class TestEntrants:
    def test_every_text_has_its_peer(self, tmp_path):
        for model, name in (("english", "spaCy, as installed"), ("russian", "natasha")):
            of = Collection("a", model, [])
            found, skipped = cold.cold_entrants(of, tmp_path / "m", tmp_path, PEERS)
            assert [one.name for one in found] == ["ours", "ours, columnar", name]
            assert [one.forgets for one in found] == [True, True, False]
            assert skipped == []

    def test_without_a_peer_ours_is_alone_and_it_is_said_what_is_missing(self, tmp_path):
        found, skipped = cold.cold_entrants(Collection("English", "english", []), tmp_path / "m", tmp_path, {})
        assert [one.name for one in found] == ["ours", "ours, columnar"]
        assert skipped == ["no peer for English: PEER_PYTHON, SPACY_STOCK not set"]

    def test_made_up_words_are_tagged_by_ours_alone(self, tmp_path):
        found, skipped = cold.cold_entrants(texts.made_up(1), tmp_path / "m", tmp_path, PEERS)
        assert ([one.name for one in found], skipped) == (["ours"], [])


class TestRounds:
    def test_every_round_starts_every_contender_anew(self, tmp_path):
        of = Collection("English", "english", [[["Ada", "met"]]])
        material = of.write(tmp_path / "m.json")
        asked = [stand_in("ours", material, forgets=True), stand_in("peer", material, forgets=False)]
        said = []
        ours, peer = cold.play_cold(of, asked, CORES, 2, said.append)
        assert (len(ours.first_seconds), len(ours.second_seconds), len(ours.load_seconds)) == (2, 2, 2)
        assert (len(peer.first_seconds), len(peer.second_seconds), len(peer.grown)) == (2, 0, 2)
        assert ours.facts["loaded"] == 1
        assert len(said) == 4

    def test_a_line_for_each_pass_and_ratios_of_one_round(self):
        of = Collection("English", "english", [[["Ada", "met"]] * 50])
        ours = cold.ColdRow("ours", "raw", 100, [1.0, 2.0, 4.0], [0.5, 1.0, 1.0], grown=[2**20] * 3)
        peer = cold.ColdRow("peer", "tokens", 100, [10.0, 10.0, 10.0])
        lines = cold.render_cold(of, [ours, peer]).splitlines()
        assert lines[0].startswith("| English: 1 texts, 100 words, 2 of them distinct; one core | from |")
        assert "| ours, cold | raw text | 50 (25 – 100) | – | – |" in lines
        assert "| ours, a second pass | raw text | 100 (100 – 200) | – | – |" in lines
        assert "| peer | words | 10 (10 – 10) | **5.0 (2.5 – 10.0)** | 10.0 (10.0 – 20.0) |" in lines
        assert cold.memory_line([ours]).endswith("included: 1 MiB.")


class TestOurs:
    @pytest.fixture
    def material(self, tmp_path):
        file = tmp_path / "m.json"
        documents = [[["Ada", "Lovelace", "met", "Siemens", "."], ["Munich"]], [["London"]]]
        file.write_text(json.dumps({"documents": documents, "calls": [["Ada"]]}))
        return Material(file, 2)

    @pytest.mark.parametrize("way", ["raw", "tokens"])
    def test_columns_hold_what_results_hold(self, material, way):
        pytest.importorskip("pyarrow", reason="columns of Arrow need pyarrow")
        found = []
        for kind in (Ours, Columnar):
            responder = Responder(kind(bundled_model(), 1, ""), material)
            responder.answer({"do": "pass", "way": way, "batch": "large", "copies": 2})
            found.append(responder.answer({"do": "found"})["found"])
            responder.answer({"do": "pass", "way": way, "batch": "single", "copies": 1})
            assert responder.answer({"do": "found"})["found"]
            assert responder.answer({"do": "memory"})["bytes"] > 0
        labels = [[label for _, _, label in item] for item in found[0]]
        assert ["ORG"] in labels or any("ORG" in item for item in labels)
        # A sentence of words stands for itself in columns, and is part of its document in results.
        assert found[0] == found[1] if way == "raw" else len(found[0]) == len(found[1])


@pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")
def test_the_stages_of_a_new_word_are_each_measured():
    """By name, so that a stage which is renamed is noticed."""
    found = new_words.new_word(Tagger.load(bundled_model(), device="cpu", threads=1), 500)
    assert list(found) == ["tokenize", "rows", "encode", "project", "windows", "decode", "rest"]
    assert all(found[stage] > 0 for stage in ("tokenize", "encode", "project", "windows"))
    lines = new_words.table([found], 500).splitlines()
    assert [line.split()[1] for line in lines[2:]] == [*found, "all"]


class TestBulk:
    def test_the_command_writes_the_same_bytes_each_time(self, tmp_path):
        said = []
        of = Collection("English", "english", [[["Ada", "Lovelace", "met", "Siemens", "."]], [["London"]]])
        rows = bulk.play_bulk(of, CORES, 2, tmp_path, said.append)
        assert [(row.workers, row.tokens, len(row.seconds)) for row in rows] == [(1, 6, 2)]
        lines = (tmp_path / "tagged.jsonl").read_text(encoding="utf-8").splitlines()
        assert [len(json.loads(line)["entities"]) for line in lines] == [2, 1]
        assert len(said) == 2
        assert sorted(os.sched_getaffinity(0))[:1] == CORES

    def test_two_workers_are_told_beside_one(self):
        rows = [bulk.BulkRow(1, 100, [2.0, 4.0]), bulk.BulkRow(2, 100, [1.0, 2.0])]
        lines = bulk.render_bulk(rows).splitlines()
        assert "| `fenestra tag`, 1 worker | 38 (25 – 50) | – |" in lines
        assert "| `fenestra tag`, 2 workers | 75 (50 – 100) | 2.00 (2.00 – 2.00) |" in lines


def test_one_command_makes_the_tables_that_there_is_text_for(shared, tmp_path, monkeypatch, capsys):
    def two(of, material, model, environment):
        assert model == bundled_model() or of.model == "russian"
        return [stand_in("ours", material, forgets=True)], [f"no peer for {of.name}"]

    monkeypatch.setattr(speed, "cold_entrants", two)
    out = tmp_path / "out.json"
    arguments = ["--only", "english", "russian", "made-up", "--every", 1, "--words", 30, "--repeats", 1, "--stages"]
    monkeypatch.setattr(sys, "argv", ["speed", *map(str, [*arguments, "--shared", shared, "--json", out])])
    speed.main()
    printed = capsys.readouterr()
    heads = [line for line in printed.out.splitlines() if line.endswith("in a second pass |")]
    assert [head.split(":")[0] for head in heads] == ["| English", "| Russian", "| made-up words"]
    assert "a new word, 30 of them, all different" in printed.out
    assert "no peer for English" in printed.err
    figures = json.loads(out.read_text())
    assert {name: part["tokens"] for name, part in figures["cold"].items()} == {
        "english": 9, "russian": 100, "made-up": 30,
    }  # fmt: skip
    assert len(figures["new_word_ns"]) == 1


def test_without_text_the_command_says_what_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["speed", "--only", "english", "russian", "bulk", "--shared", str(tmp_path)])
    speed.main()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "no English text that does not repeat: peers/diverse.py is not in --shared",
        "no Russian text that does not repeat: corpora/wikineural_ru is not in --shared",
    ]
