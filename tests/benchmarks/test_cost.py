"""What tagging costs on paper: which documents, who takes part, what is told. Nothing is timed here."""

import argparse
import doctest
import os
import sys

from benchmarks import cost
from benchmarks.contest.texts import Collection

CORES = sorted(os.sched_getaffinity(0))[:1]
OPTIONS = argparse.Namespace(documents=3_600_000, words=2, price=0.5, repeats=1, every=(2, 3), cpus=CORES)


def test_the_examples_hold():
    found = doctest.testmod(cost)
    assert (found.failed, found.attempted > 0) == (0, True)


def test_a_peer_whose_variable_is_not_set_is_named(tmp_path):
    python = {"PEER_PYTHON": "/some/python", "SPACY_STOCK": "/some/model", "TRANSFORMER_PYTHON": "/other/python"}
    assert list(cost.peers(tmp_path, (2, 3), {})) == [
        "no spaCy: PEER_PYTHON, SPACY_STOCK not set",
        "no BERT, base: TRANSFORMER_PYTHON not set",
    ]
    spacy, bert = cost.peers(tmp_path, (2, 3), python)
    assert spacy.command[3:] == [str(tmp_path / "spacy_peer.json"), "1", "/some/model", "1"]
    assert bert.command[3:] == [str(tmp_path / "transformer_peer.json"), "1", str(tmp_path / "texts.json")]
    assert (spacy.every, bert.every) == (2, 3)


def test_peers_tag_their_share_and_ours_all(tmp_path, monkeypatch):
    def peer(folder, every, environment):
        yield cost.Peer("peer", [sys.executable, "-m", "tests.benchmarks.stand_in", str(folder / "p.json"), "1"], 2)

    monkeypatch.setattr(cost, "peers", peer)
    texts = Collection("English", "english", [[["Ada", "met", "Ito", "in", "Kiel", "."]]])
    ours, other = cost.measure(OPTIONS, tmp_path, texts)
    assert (ours.documents, other.documents) == (3, 2)
    assert (len(ours.seconds), len(other.seconds)) == (1, 1)


def test_hours_and_dollars_follow_from_the_rate_and_ratios_from_one_round():
    rows = [cost.CostRow("ours", 1000, [1.0, 2.0, 1.0]), cost.CostRow("peer", 100, [1.0, 1.0, 4.0])]
    lines = cost.render(rows, OPTIONS).splitlines()
    assert lines[0].startswith("| 3,600,000 documents of 2 words; ")
    assert lines[2] == "| ours | 1,000.0 (500.0 – 1,000.0) | 1 | 0 | 1 |"
    assert lines[3] == "| peer | 100.0 (25.0 – 100.0) | 10 | 5 | 10.0 (5.0 – 40.0) |"
