"""What reference works say of words, from files and fetched sets."""

from dataclasses import replace

import pytest

from fenestra.model.config import FeatureConfig
from fenestra.model.errors import ConfigError, DataError, InputError
from fenestra.training import sources
from fenestra.training.config import ReferenceConfig
from fenestra.training.data.gazetteers import load_reference, read_names

BOTH = FeatureConfig(cluster=2, lists=2)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "clusters.txt").write_text("the\t0110\nParis\t0011\nmet\t10\nthe\t1111\nmonday\t0101\n")
    (tmp_path / "names.txt").write_text("city\tParis\nfirst\tParis\ncity\tNew York\nlast\tIto\n")
    return ReferenceConfig(clusters=str(tmp_path / "clusters.txt"), lists=str(tmp_path / "names.txt"))


def test_words_of_clusters_and_names_of_one_word(files):
    found = load_reference(files, BOTH, [])
    assert found.known.clusters == {"the": "0110", "Paris": "0011", "met": "10", "monday": "0101"}
    assert found.known.lists == {"Paris": "city first", "Ito": "last"}
    assert set(found.sha256) == {"clusters", "lists"}
    assert found.licences == ()


def test_several_lists_add_up(files, tmp_path):
    (tmp_path / "brands.txt").write_text("brand\tParis\nbrand\tTesco\n")
    both = replace(files, lists=(files.lists, str(tmp_path / "brands.txt")))
    found = load_reference(both, BOTH, [])
    assert found.known.lists == {"Paris": "brand city first", "Ito": "last", "Tesco": "brand"}
    assert set(found.sha256) == {"clusters", "lists", "lists1"}
    assert read_names(both) == {
        "city": ["Paris", "New York"], "first": ["Paris"], "last": ["Ito"], "brand": ["Paris", "Tesco"]}  # fmt: skip


def test_no_lists_are_no_names():
    assert read_names(ReferenceConfig()) == read_names(ReferenceConfig(lists=("none",))) == {}


def test_nothing_is_read_that_no_feature_asks_for():
    found = load_reference(ReferenceConfig(clusters="nowhere", lists="nowhere"), FeatureConfig(), [])
    assert (found.known.clusters, found.known.lists, found.sha256) == ({}, {}, {})


def test_a_limit_keeps_the_words_of_the_corpus_first(files):
    kept = load_reference(replace(files, limit=2), BOTH, ["MONDAY"]).known.clusters
    assert kept == {"monday": "0101", "the": "0110"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a\t012", "2: expected a path of 0 and 1, got '012'"),
        ("a", "2: expected two cells"),
        ("a\t01\t5", "2: expected two cells"),
        ("\t01", "2: expected two cells"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, message):
    (tmp_path / "bad").write_text(f"the\t01\n{line}\n")
    with pytest.raises(DataError, match=message):
        load_reference(ReferenceConfig(clusters=str(tmp_path / "bad")), FeatureConfig(cluster=2), [])


def test_a_kind_is_one_word(tmp_path):
    (tmp_path / "bad").write_text("a city\tParis\n")
    with pytest.raises(DataError, match="1: expected a kind of name"):
        load_reference(ReferenceConfig(lists=str(tmp_path / "bad")), FeatureConfig(lists=2), [])


def test_what_is_not_text_is_refused(tmp_path):
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        load_reference(ReferenceConfig(lists=str(tmp_path / "bad")), FeatureConfig(lists=2), [])


def test_an_unknown_source_is_refused_with_those_there_are():
    with pytest.raises(
        ConfigError, match=r"reference\.clusters: 'browm' is neither a file nor one of brown, brown-es, brown-de"
    ):
        load_reference(ReferenceConfig(clusters="browm"), FeatureConfig(cluster=2), [])


def test_a_set_has_to_be_fetched_first(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="fenestra data fetch brown"):
        load_reference(ReferenceConfig(clusters="brown"), FeatureConfig(cluster=2), [])
