"""Packed sentences are the sentences that were packed, in memory or in a file."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.errors import StorageError
from fenestra.training.config import load_config
from fenestra.training.data import long_columns, packed, stream
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.long_columns import Column, long_columns_in
from fenestra.training.data.packed import join_sentences, pack_sentences
from fenestra.training.job import train
from fenestra.training.network import rows

SAMPLE = Path(__file__).resolve().parents[2] / "training" / "configs" / "sample.toml"
WORDS = st.text(min_size=1, max_size=3)


def sentence(words, document, line):
    return Sentence(tuple(words), ("O",) * (len(words) - 1) + ("B-X",) * bool(words), document, line)


SENTENCES = st.lists(st.builds(sentence, st.lists(WORDS, max_size=5), st.integers(-9, 9), st.integers(1, 99)))


@pytest.fixture
def long(monkeypatch):
    """Everything but a few numbers is long."""
    for module in (long_columns, packed, stream):
        monkeypatch.setattr(module, "LONG", 64)
    monkeypatch.setattr(rows, "_LOOKED_UP", 50)


@given(SENTENCES)
def test_packed_sentences_are_those_that_were_packed(sentences):
    found = pack_sentences(sentences)
    assert list(found) == sentences == [found[place] for place in range(len(found))]
    assert found == sentences
    assert found[1:3] == tuple(sentences[1:3])
    assert pack_sentences(found) is found
    assert (found == sentences[:-1]) == (not sentences)


@given(SENTENCES, SENTENCES)
def test_joined_sentences_number_their_words_as_if_they_were_packed_together(first, second):
    """The order of the words of a batch, and so the bits of a model, follow from these numbers."""
    together, joined = pack_sentences(first + second), join_sentences([first, pack_sentences(second)])
    assert joined == together
    assert joined.words == together.words
    assert joined.word_T.tolist() == together.word_T.tolist()


@given(SENTENCES)
def test_other_words_number_as_if_they_were_packed(sentences):
    lowered = [one._replace(words=tuple(map(str.lower, one.words))) for one in sentences]
    found = pack_sentences(sentences).in_words(str.lower)
    assert found == lowered
    assert found.words == pack_sentences(lowered).words
    assert list(found.word_counts()) == list(found.words)
    assert found.word_counts().total() == sum(len(one.words) for one in sentences)


def test_a_long_column_is_a_file_without_a_name(long, tmp_path):
    with long_columns_in(tmp_path):
        column = Column("i")
        for number in range(1000):
            column.extend([number] * 3)
    found = column.array()
    assert isinstance(found, np.memmap)
    assert found.tolist() == [number for number in range(1000) for _ in range(3)]
    assert list(tmp_path.iterdir()) == []
    found[0] = 7  # what is written stays in memory
    column.append(5)
    assert column.array()[[0, -1]].tolist() == [0, 5]


def test_a_full_disk_is_one_clear_line(long, monkeypatch, tmp_path):
    monkeypatch.setattr(long_columns, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b"))  # noqa: SIM115
    with long_columns_in(tmp_path), pytest.raises(StorageError) as raised:
        pack_sentences([sentence("abc", 0, 1)] * 10_000)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{tmp_path}: {os.strerror(errno.ENOSPC)}; needed ")


JOB = [
    "training.epochs=2", "model.hidden=[8]", "training.isolate_sentences=0.3", "training.join_sentences=0.2",
    "training.lower_sentences=0.2", "training.typo_sentences=0.1", "training.bare=0.2", "training.foreign=0.1",
    "augmentation.renamed=0.5", "augmentation.small=0.2", "model.features.elsewhere=true", "model.features.topic=true",
    "data.titles_outside=true", "data.drop_mentions=true",
]  # fmt: skip


_TIMED = {"manifest.json", "report.json", "report.html", "README.md"}


class Stop(Exception):
    """Ends a run."""


@contextmanager
def stop_after_one(_work, _done):
    def stop(_epoch):
        raise Stop

    yield stop


def test_a_job_whose_corpora_are_on_the_disk_ends_with_the_same_bits_though_it_was_stopped(request, tmp_path):
    job = load_config(SAMPLE, JOB)
    in_memory = train(job, tmp_path / "memory")
    request.getfixturevalue("long")
    with pytest.raises(Stop):
        train(job, tmp_path / "disk", observe=stop_after_one)
    on_disk = train(job, tmp_path / "disk", resume=True)
    one, other = (
        {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file() and path.name not in _TIMED}
        for folder in (in_memory, on_disk)
    )
    assert "weights.safetensors" in one
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
