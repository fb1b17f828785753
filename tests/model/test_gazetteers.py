"""What gazetteers and word clusters say of words."""

import numpy as np
import pytest

from fenestra.model.config import FeatureConfig
from fenestra.model.words.gazetteers import Gazetteers, from_lines, to_lines
from fenestra.model.words.lexicon import UNKNOWN
from fenestra.training.data.lexicon import build_lexicon

KNOWN = Gazetteers({"monday": "0101", "Paris": "0011", "US": "0110"}, {"Paris": "city first", "Ito": "last"})


def test_a_word_is_looked_up_as_written_then_in_small_letters_then_capitalised():
    paths = [KNOWN.fields(word, (4,))["cluster4"] for word in ("monday", "MONDAY", "PARIS", "paris", "us", "Us", "US")]
    assert paths == ["0101", "0101", "0011", "0011", "", "", "0110"]


def test_a_path_shorter_than_the_prefix_is_taken_whole():
    assert KNOWN.fields("Paris", (2, 20)) == {"cluster2": "00", "cluster20": "0011", "lists": "city first"}


def test_beginnings_of_paths_and_kinds_of_names_get_rows_of_their_own():
    features = FeatureConfig(case=0, cluster=2, cluster_prefixes=(1, 4), lists=2)
    lexicon = build_lexicon(features, [], ["Paris", "monday", "Ito", "met"], 1, KNOWN)
    assert list(lexicon.field_rows) == ["cluster1", "cluster4", "lists"]
    rows = lexicon.rows(["Paris", "monday", "Ito", "MONDAY", "met", "Tokyo"]).field_UF
    assert np.array_equal(rows[1], rows[3])
    assert np.array_equal(rows[4], rows[5])  # of neither anything is known
    assert rows[0, 0] == rows[1, 0] != UNKNOWN
    assert len({tuple(row) for row in rows.tolist()}) == 4


def test_what_is_written_is_read_back():
    assert from_lines(to_lines(KNOWN.clusters)) == KNOWN.clusters
    assert from_lines(to_lines(KNOWN.lists)) == KNOWN.lists
    assert from_lines(to_lines({})) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0101\n", "line 1: expected a value and words"),
        ("01\tAda\n\tIto\n", "line 2: expected a value and words"),
        ("01\tAda\t\n", "line 1: expected a value and words"),
        ("01\tAda\n11\tIto\tAda\n", "line 2: lists a word twice"),
        ("01\tAda\tAda\n", "line 1: lists a word twice"),
    ],
)
def test_a_broken_list_is_refused_by_line(text, message):
    with pytest.raises(ValueError, match=message):
        from_lines(text)
