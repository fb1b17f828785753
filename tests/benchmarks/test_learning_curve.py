"""The corpora and jobs of the learning curve are what it says of them."""

import pytest

from benchmarks.learning_curve import JOBS, _job, _write
from fenestra.training.config import parse_config
from fenestra.training.data.corpus import documents_of, read_corpus
from tests.conftest import ROOT


def test_what_is_cut_off_keeps_its_sentences_and_the_borders_of_its_documents(tmp_path):
    sentences = read_corpus(ROOT / "data" / "sample" / "dev.conll").sentences[:40]
    tokens = _write(sentences, tmp_path / "cut.conll")
    again = read_corpus(tmp_path / "cut.conll").sentences
    assert [(one.words, one.tags) for one in again] == [(one.words, one.tags) for one in sentences]
    assert documents_of(again) == documents_of(sentences)
    assert len(documents_of(again)) > 1
    assert tokens == sum(len(one.words) for one in sentences)


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("tokens", [500, 12_000, 200_000])
def test_every_job_is_one_at_every_size(name, tokens, tmp_path):
    job = parse_config(_job(JOBS[name], tmp_path, tokens, seed=1))
    assert 10 <= job.training.epochs <= 40


def test_a_larger_corpus_is_passed_through_less_often(tmp_path):
    epochs = [
        _job(JOBS["vectors and case"], tmp_path, tokens, 1)["training"]["epochs"] for tokens in (2_000, 9_000, 90_000)
    ]
    assert epochs == sorted(epochs, reverse=True)
    assert len(set(epochs)) > 1
