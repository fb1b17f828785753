"""The best legal path, against trying every path there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.decode.decoding import best_paths
from fenestra.model.tags import tag_set, transitions
from fenestra.training.fit.decoded import decode


def every_legal_path(length, tags, scheme):
    starts, steps, ends = transitions(tags, scheme)
    for path in itertools.product(range(len(tags)), repeat=length):
        if starts[path[0]] and ends[path[-1]] and all(steps[a, b] for a, b in itertools.pairwise(path)):
            yield path


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
@given(lengths=st.lists(st.integers(0, 4), min_size=1, max_size=5), seed=st.integers(0, 10_000))
def test_no_legal_path_is_more_probable(lengths, seed, scheme):
    tags = tag_set(["X"] if scheme == "BIOES" else ["X", "Y"], scheme)
    noise = np.random.default_rng(seed).normal(size=(sum(lengths), len(tags))) * 2
    log_p = (noise - np.log(np.exp(noise).sum(1, keepdims=True))).astype(np.float32)
    best = best_paths(log_p, lengths, tags, scheme)
    begin = 0
    for length in lengths:
        if length:
            rows = log_p[begin : begin + length].astype(float)
            scores = {
                path: sum(rows[i, k] for i, k in enumerate(path)) for path in every_legal_path(length, tags, scheme)
            }
            assert scores[tuple(best[begin : begin + length])] == pytest.approx(max(scores.values()), abs=1e-5)
        begin += length


def test_a_legal_best_tag_of_each_token_is_kept():
    tags = tag_set(["PER"], "IOB2")
    log_p = np.log(np.array([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.9, 0.05, 0.05]], dtype=np.float32))
    assert best_paths(log_p, [3], tags, "IOB2").tolist() == [1, 2, 0]


def test_an_inside_after_outside_is_repaired_by_the_whole_path():
    """O I-PER: raising the first to B-PER costs less than dropping the second."""
    tags = tag_set(["PER"], "IOB2")
    log_p = np.log(np.array([[0.5, 0.4, 0.1], [0.05, 0.05, 0.9]], dtype=np.float32))
    assert best_paths(log_p, [2], tags, "IOB2").tolist() == [1, 2]


def test_no_token_gives_no_tag():
    assert best_paths(np.zeros((0, 3), dtype=np.float32), [0, 0], tag_set(["PER"], "IOB2"), "IOB2").tolist() == []


@pytest.mark.parametrize(("scheme", "expected"), [("BIOES", [0.6, 0.7, 0.9]), ("IOB2", [0.2, 0.5, 0.9])])
def test_the_probability_of_a_tag_is_that_of_everything_written_alike(scheme, expected):
    """B-X of an answer may have been B-X or S-X inside, I-X may have been I-X or E-X."""
    tags = tag_set(["X"], scheme)
    assert tags == (("O", "B-X", "I-X", "E-X", "S-X") if scheme == "BIOES" else ("O", "B-X", "I-X"))
    rows = {
        "BIOES": [[0.3, 0.4, 0.05, 0.05, 0.2], [0.2, 0.05, 0.1, 0.6, 0.05], [0.9, 0.025, 0.025, 0.025, 0.025]],
        "IOB2": [[0.2, 0.2, 0.6], [0.3, 0.2, 0.5], [0.9, 0.05, 0.05]],
    }[scheme]
    (sentence,) = decode(np.log(np.array(rows, dtype=np.float32)), [3], tags, scheme)
    assert sentence.tags == ["B-X", "I-X", "O"]
    assert sentence.tag_probabilities.tolist() == pytest.approx(expected)
