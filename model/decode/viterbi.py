"""All paths through a sentence at once: the best of them, and what all of them together say of a token.

A path takes one of K tags at every token, and its score is the sum of what it meets:

    s(y) = start[y₁] + Σₜ z[t, yₜ] + Σₜ A[yₜ₋₁, yₜ] + end[y_L]        P(y) = exp s(y) / Σ exp s(y′)

The best path is found by Viterbi's search (1967). With α, the log of the sum over all ways that lead to a tag, and β,
over all that lead on from it (Rabiner 1989), the sum over all paths is log Z, and

    log P(yₜ = k) = αₜ[k] + βₜ[k] − log Z
    log P(yₜ = k | yₜ₋₁ = j) = A[j, k] + z[t, k] + βₜ[k] − βₜ₋₁[j]

Many sentences are walked through together, one step of all at a time. Everything is in float64.

    S sentences · T tokens of all sentences, end to end · L tokens of the longest · K tags
    X sentences filled up to whole tiles, so that the bits of one do not depend on the others (``model/tiles.py``)
"""

from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.tiles import TILE, filled

NEVER = -1e30
"""Score of a step that the scheme does not allow."""

_PIECE = 2048  # tokens that are walked through before giving way
_AT_ONCE = 8 * _PIECE  # cells, tokens of the longest × sentences, that are walked through together
_ABREAST = _PIECE // 2  # sentences, at most: one step of them is a few milliseconds
_STEP_COSTS = 8  # tokens, about: what a step of the search costs however few sentences take it


class StepScores(NamedTuple):
    """What a path meets between tokens."""

    start_K: NDArray[np.float64]
    step_KK: NDArray[np.float64]
    """Row: the tag before."""
    end_K: NDArray[np.float64]


class Beliefs(NamedTuple):
    """What all paths together say of every token."""

    log_marginal_TK: NDArray[np.float32]
    """log P(yₜ = k)."""
    log_given_T: NDArray[np.float32]
    """log P(yₜ | yₜ₋₁) along one path; 0 where a sentence begins."""


def groups(length_S: NDArray[np.int64], chosen: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Part sentences that are not empty into groups to walk through; in each the longest first."""
    chosen = chosen[np.argsort(-length_S[chosen], kind="stable")]
    while len(chosen):
        size = min(max(_AT_ONCE // int(length_S[chosen[0]]), 1), _ABREAST)
        group, chosen = chosen[:size], chosen[size:]
        yield group


def search(
    log_probability_TK: NDArray[np.float32],
    begin_S: NDArray[np.int64],
    length_S: NDArray[np.int64],
    scores: StepScores,
    best_T: NDArray[np.int64],
) -> Generator[None, None, None]:
    """Viterbi over the sentences of a group; writes the paths into ``best_T``, giving way now and then.

    Where a path came from is asked on the way back only, for the one tag that it has there.

    Args:
        log_probability_TK: z; a constant per token makes no difference.
        begin_S: the first token of each sentence.
        length_S: falling.
        scores: of the steps.
        best_T: columns of the tags.
    """
    step_KK = scores.step_KK
    longest = int(length_S[0])
    live_L = _live(length_S)
    score_LSK = np.empty((longest, len(length_S), len(step_KK)))
    score_LSK[0] = log_probability_TK[begin_S] + scores.start_K
    work = 0
    for step in range(1, longest):
        live = live_L[step]
        through_KSK = score_LSK[step - 1, :live].T[:, :, None] + step_KK[:, None, :]
        score_LSK[step, :live] = through_KSK.max(axis=0) + log_probability_TK[begin_S[:live] + step]
        work += live + _STEP_COSTS
        if work >= _PIECE:
            work = 0
            yield
    tag_S = (score_LSK[length_S - 1, np.arange(len(length_S))] + scores.end_K).argmax(axis=1)
    for step in range(longest - 1, -1, -1):
        live, following = live_L[step], live_L[step + 1]
        came_from = score_LSK[step, :following] + step_KK.T[tag_S[:following]]
        tag_S[:following] = came_from.argmax(axis=1)
        best_T[begin_S[:live] + step] = tag_S[:live]
        work += live + _STEP_COSTS
        if work >= _PIECE:
            work = 0
            yield


def add_up_paths(
    log_probability_TK: NDArray[np.float32],
    begin_S: NDArray[np.int64],
    length_S: NDArray[np.int64],
    scores: StepScores,
    column_T: NDArray[np.int64],
    beliefs: Beliefs,
) -> Generator[None, None, None]:
    """Forward and backward over the sentences of a group; writes into ``beliefs``, giving way now and then.

    Args:
        log_probability_TK: as of :func:`search`, as are the next three.
        begin_S: …
        length_S: …
        scores: …
        column_T: the path that ``log_given_T`` goes along.
        beliefs: of all tokens.
    """
    tags, longest, live_L = len(scores.end_K), int(length_S[0]), _live(length_S)
    alpha_LKS = np.empty((longest, tags, len(length_S)))
    value_KX = scores.start_K[:, None] + _across(log_probability_TK, begin_S)
    alpha_LKS[0] = value_KX[:, : len(length_S)]
    work = 0
    for step in range(1, longest):
        live = live_L[step]
        here_KX = _across(log_probability_TK, begin_S[:live] + step)
        value_KX = _log_sum(value_KX[:, None, : here_KX.shape[1]] + scores.step_KK[:, :, None]) + here_KX
        alpha_LKS[step, :, :live] = value_KX[:, :live]
        work += max(live, TILE)
        if work >= _PIECE:
            work = 0
            yield
    value_KX = np.zeros((tags, filled(len(length_S))))
    value_KX[:, : len(length_S)] = alpha_LKS[length_S - 1, :, np.arange(len(length_S))].T
    total_S = _log_sum(value_KX + scores.end_K[:, None])[: len(length_S)]
    beta_KX = np.repeat(scores.end_K[:, None], value_KX.shape[1], axis=1)
    for step in range(longest - 1, -1, -1):
        live, following = live_L[step], live_L[step + 1]
        if following:
            next_S = begin_S[:following] + step + 1
            ahead_KX = _across(log_probability_TK, next_S)
            ahead_KX += beta_KX[:, : ahead_KX.shape[1]]
            before_KX = _log_sum(ahead_KX[:, None] + scores.step_KK.T[:, :, None])
            beta_KX[:, :following] = before_KX[:, :following]
            before_S, tag_S, place_S = column_T[next_S - 1], column_T[next_S], np.arange(following)
            given_S = scores.step_KK[before_S, tag_S] + ahead_KX[tag_S, place_S] - before_KX[before_S, place_S]
            beliefs.log_given_T[next_S] = np.minimum(given_S, 0)  # rounding may leave a little more
        marginal_KS = alpha_LKS[step, :, :live] + beta_KX[:, :live] - total_S[:live]
        beliefs.log_marginal_TK[begin_S[:live] + step] = np.minimum(marginal_KS, 0).T
        work += max(live, TILE)
        if work >= _PIECE:
            work = 0
            yield


def _live(length_S: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many sentences are longer than each step; of falling lengths, so they come first. The last is 0."""
    return np.searchsorted(-length_S, -np.arange(int(length_S[0]) + 1), side="left")


def _across(log_probability_TK: NDArray[np.float32], token_S: NDArray[np.int64]) -> NDArray[np.float64]:
    """The scores of one token of each sentence, side by side and filled up to whole tiles: z_KX."""
    z_KX = np.zeros((log_probability_TK.shape[1], filled(len(token_S))))
    z_KX[:, : len(token_S)] = log_probability_TK[token_S].T
    return z_KX


def _log_sum(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log Σ eˣ over the first axis, added up in its order."""
    most = x.max(axis=0)
    total: NDArray[np.float64] = most + np.log(np.exp(x - most).sum(axis=0))
    return total
