"""A made-up corpus is the same for the same seed, and its job reads it."""

from pathlib import Path

import pytest

from benchmarks import large_corpus
from fenestra.training.config import load_config
from fenestra.training.job import read


@pytest.fixture(autouse=True)
def _sample_only(monkeypatch):
    monkeypatch.setattr(large_corpus, "_SHARED", Path("absent"))


def test_the_same_seed_makes_the_same_bytes(tmp_path):
    made = [large_corpus.make(tmp_path / name, 2_000, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    first, again, other = ((job.parent / "train.conll").read_bytes() for job in made)
    assert first == again != other


def test_the_job_reads_as_many_tokens_as_were_asked_for(tmp_path):
    corpora = read(load_config(large_corpus.make(tmp_path, 2_000)))
    assert 2_000 <= corpora["train"].tokens < 2_100
    assert set(corpora["train"].label_counts()) == {"LOC", "ORG", "PER"}
    assert len(corpora["train"].word_counts()) > len(corpora["dev"].word_counts())
