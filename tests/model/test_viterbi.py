"""Sums over all paths and the best of them, against trying every path there is."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenestra.model.decode.crf import FORBIDDEN, Transitions
from fenestra.model.decode.decoding import best_paths, read_paths, tag_tables
from fenestra.model.decode.viterbi import best_path, forward_backward
from fenestra.model.tags import tag_set, transitions
from fenestra.training.fit.decoded import decode

SCHEMES = {"IOB2": ("X", "Y"), "BIOES": ("X",), "IO": ("X", "Y")}


def learned_scores(tags, scheme, rng, sharp=1.0):
    """Random scores of the transitions that the scheme allows."""
    legal = transitions(tags, scheme)
    return Transitions(*(np.where(allowed, sharp * rng.normal(size=allowed.shape), FORBIDDEN) for allowed in legal))


def drawn(scheme, lengths, seed, labels=None):
    """Tags, emissions and transition scores at random."""
    tags, rng = tag_set(labels or SCHEMES[scheme], scheme), np.random.default_rng(seed)
    z_TK = 2 * rng.normal(size=(sum(lengths), len(tags)))
    log_p_TK = (z_TK - np.log(np.exp(z_TK).sum(axis=1, keepdims=True))).astype(np.float32)
    return tags, log_p_TK, learned_scores(tags, scheme, rng)


def every_path(log_p_LK, scores):
    """The score of every legal path through one sentence."""
    rows, (start_K, step_KK, end_K), found = log_p_LK.tolist(), (part.tolist() for part in scores), {}
    for path in itertools.product(range(len(start_K)), repeat=len(rows)):
        score = start_K[path[0]] + end_K[path[-1]] + sum(row[k] for row, k in zip(rows, path, strict=True))
        score += sum(step_KK[a][b] for a, b in itertools.pairwise(path))
        if score > FORBIDDEN / 2:
            found[path] = score
    return found


def shares(log_p_LK, scores):
    """The probability of every legal path."""
    found = every_path(log_p_LK, scores)
    total = np.logaddexp.reduce(list(found.values()))
    return {path: np.exp(score - total) for path, score in found.items()}


LENGTHS = st.lists(st.integers(0, 4), min_size=1, max_size=5)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=30)
@given(lengths=LENGTHS, seed=st.integers(0, 10_000))
def test_no_path_scores_higher_than_the_one_found(lengths, seed, scheme):
    tags, log_p_TK, scores = drawn(scheme, lengths, seed)
    best_T, begin = best_paths(log_p_TK, lengths, tags, scheme, scores), 0
    for length in lengths:
        if length:
            found = every_path(log_p_TK[begin : begin + length], scores)
            assert found[tuple(best_T[begin : begin + length].tolist())] == pytest.approx(max(found.values()))
        begin += length


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=30)
@given(lengths=LENGTHS, seed=st.integers(0, 10_000))
def test_tags_and_entities_have_their_share_of_all_paths(lengths, seed, scheme):
    """A tag: all paths that IOB2 writes so at its token. An entity: all paths that take its tags there."""
    tags, log_p_TK, scores = drawn(scheme, lengths, seed)
    tables, begin = tag_tables(tags, scheme), 0
    column_T = best_paths(log_p_TK, lengths, tags, scheme, scores)
    for length, sentence in zip(lengths, decode(log_p_TK, lengths, tags, scheme, scores), strict=True):
        path = column_T[begin : begin + length].tolist()
        every = shares(log_p_TK[begin : begin + length], scores) if length else {}
        for t, column in enumerate(path):
            alike = tables.same_iob2_KA[column]
            share = sum(share for other, share in every.items() if other[t] in alike)
            assert sentence.tag_probabilities[t] == pytest.approx(share, abs=1e-6)
        for span, product in zip(sentence.spans, sentence.log_products, strict=True):
            here = slice(span.start, span.end)
            share = sum(share for other, share in every.items() if list(other[here]) == path[here])
            assert np.exp(product) == pytest.approx(share, rel=1e-5)
        begin += length


@pytest.mark.parametrize("scheme", SCHEMES)
def test_transitions_that_say_nothing_leave_the_best_path_of_the_scheme(scheme):
    lengths = [7, 0, 1, 12, 30]
    tags, log_p_TK, _ = drawn(scheme, lengths, 3)
    nothing = Transitions.allowed(tags, scheme)
    expected = best_paths(log_p_TK, lengths, tags, scheme)
    assert best_paths(log_p_TK, lengths, tags, scheme, nothing).tolist() == expected.tolist()


def test_with_transitions_that_say_nothing_and_all_are_legal_tags_are_as_likely_as_alone():
    lengths = [3, 40, 5]
    tags, log_p_TK, _ = drawn("IO", lengths, 4)
    alone = read_paths(log_p_TK, lengths, tags, "IO")
    together = read_paths(log_p_TK, lengths, tags, "IO", Transitions.allowed(tags, "IO"))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sentence_has_the_same_bits_alone_and_among_others(scheme):
    rng = np.random.default_rng(5)
    lengths = [*rng.integers(0, 30, size=150).tolist(), 1, 200]
    tags, log_p_TK, scores = drawn(scheme, lengths, 5, ("LOC", "ORG", "PER"))
    together, begin = list(decode(log_p_TK, lengths, tags, scheme, scores)), 0
    for length, expected in zip(lengths, together, strict=True):
        (alone,) = decode(log_p_TK[begin : begin + length], [length], tags, scheme, scores)
        assert alone.tags == expected.tags
        assert alone.tag_probabilities.tolist() == expected.tag_probabilities.tolist()
        assert alone.log_products.tolist() == expected.log_products.tolist()
        begin += length


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_scores_of_any_size_give_probabilities(scale):
    """Emissions and transitions against each other, so that nothing is likely and everything underflows."""
    lengths = [1, 2, 300]
    tags, log_p_TK, scores = drawn("BIOES", lengths, 6)
    huge = Transitions(*(np.maximum(part * scale, FORBIDDEN) for part in scores))
    paths = read_paths(log_p_TK * np.float32(1e3), lengths, tags, "BIOES", huge)
    assert ((paths.probability_T >= 0) & (paths.probability_T <= 1)).all()
    assert np.isfinite(paths.log_product_M).all()


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=30)
@given(length=st.integers(1, 4), seed=st.integers(0, 10_000))
def test_marginals_are_shares_of_all_paths(length, seed, scheme):
    """Of every tag at every token; and of a tag after the one before it on the best path."""
    tags, log_p_LK, scores = drawn(scheme, [length], seed)
    every, column_L = shares(log_p_LK, scores), best_path(log_p_LK, scores)
    marginal_LK, given_L = forward_backward(log_p_LK, scores, column_L)
    for t in range(length):
        expected = [sum(share for path, share in every.items() if path[t] == k) for k in range(len(tags))]
        np.testing.assert_allclose(np.exp(marginal_LK[t]), expected, atol=1e-6)
    for t in range(1, length):
        before = {path: share for path, share in every.items() if path[t - 1] == column_L[t - 1]}
        after = sum(share for path, share in before.items() if path[t] == column_L[t])
        assert np.exp(given_L[t]) == pytest.approx(after / sum(before.values()), rel=1e-5)
    assert given_L[0] == 0


def test_a_number_that_is_added_to_all_tags_of_a_token_makes_no_difference():
    _, log_p_LK, scores = drawn("BIOES", [9], 8)
    shifted_LK = log_p_LK + np.arange(9, dtype=np.float32)[:, None]
    column_L = best_path(log_p_LK, scores)
    assert best_path(shifted_LK, scores).tolist() == column_L.tolist()
    for one, other in zip(
        forward_backward(log_p_LK, scores, column_L), forward_backward(shifted_LK, scores, column_L), strict=True
    ):
        np.testing.assert_allclose(np.exp(one), np.exp(other), atol=1e-5)
