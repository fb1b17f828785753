"""Annotated Russian from raw text: what counts, and how often each text is read."""

import sys

import pytest

from benchmarks import beside_natasha

CORPUS = """-DOCSTART-	O

Путин	B-PER
приехал	O
в	O
Казань	B-LOC
.	O

Он	O
из	O
ООН	B-MISC
.	O
"""


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "test.conll"
    path.write_text(CORPUS, encoding="utf-8")
    return str(path)


def test_documents_and_sentences_are_the_words_joined_by_spaces(corpus):
    found = {way: [[s.words for s in document] for document in of] for way, of in beside_natasha.ways(corpus)}
    first, second = ("Путин", "приехал", "в", "Казань", "."), ("Он", "из", "ООН", ".")
    assert found == {"documents": [[first, second]], "single sentences": [[first], [second]]}


def test_a_corpus_without_documents_is_read_once(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text(CORPUS.split("\n\n", 1)[1], encoding="utf-8")
    assert [way for way, _ in beside_natasha.ways(str(path))] == ["single sentences"]


def test_label_start_and_end_have_to_be_right():
    gold = [{(0, 5, "PER"), (9, 12, "LOC")}, {(0, 3, "ORG")}]
    found = [[(0, 5, "PER"), (9, 11, "LOC")], [(0, 3, "LOC"), (5, 6, "LOC")]]
    assert beside_natasha.figures(gold, found) == ["28.6", "0.0 / 0.0", "– / 0.0", "100.0 / 100.0"]


def test_the_table_has_a_line_for_each_way(corpus, monkeypatch, capsys):
    monkeypatch.delenv(beside_natasha.PEER, raising=False)
    monkeypatch.setattr(sys, "argv", ["beside_natasha", corpus])
    beside_natasha.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "no peer: NATASHA_PYTHON is not set"
    assert [line.split(" | ")[1:4] for line in lines[3:]] == [["documents", "1", "2"], ["single sentences", "2", "2"]]
