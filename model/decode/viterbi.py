"""All paths through a sentence at once: the best of them, and the marginals of its tags.

A path takes one of K tags at every token, and its score is the sum of what it meets:

    s(y) = start[y₁] + Σₜ z[t, yₜ] + Σₜ A[yₜ₋₁, yₜ] + end[y_L]        P(y) = exp s(y) / Σ exp s(y′)

The best path is found by Viterbi's search (1967). With α, the log of the sum over all paths that lead to a tag, and β,
over all that lead on from it (forward–backward; Rabiner 1989), the log of the sum over all paths is log Z, and

    log P(yₜ = k) = αₜ[k] + βₜ[k] − log Z
    log P(yₜ = k | yₜ₋₁ = j) = A[j, k] + z[t, k] + βₜ[k] − βₜ₋₁[j]

Everything is in float64. ``decode.c`` is the same in C.

L tokens of a sentence, at least one · K tags
"""

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.crf import Transitions


def best_path(z_LK: NDArray[np.float32], scores: Transitions) -> NDArray[np.int64]:
    """The path with the highest score: the column of each token's tag. A constant per token makes no difference.

    Which tag a path came from is worked out on the way back only, for the one tag that it has there.
    """
    score_LK = z_LK.astype(np.float64)
    score_LK[0] += scores.start_K
    for t in range(1, len(z_LK)):
        score_LK[t] += (score_LK[t - 1][:, None] + scores.transition_KK).max(axis=0)
    column_L = np.empty(len(z_LK), np.int64)
    column_L[-1] = (score_LK[-1] + scores.end_K).argmax()
    for t in range(len(z_LK) - 2, -1, -1):
        column_L[t] = (score_LK[t] + scores.transition_KK[:, column_L[t + 1]]).argmax()
    return column_L


def forward_backward(
    z_LK: NDArray[np.float32], scores: Transitions, column_L: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sum over all paths.

    Returns:
        log P(yₜ = k) of every token and tag, shape (L, K); and log P(yₜ | yₜ₋₁) along a path, 0 for the first token.
    """
    z_LK = z_LK.astype(np.float64)
    alpha_LK, beta_LK = z_LK.copy(), np.empty_like(z_LK)
    alpha_LK[0] += scores.start_K
    for t in range(1, len(z_LK)):
        alpha_LK[t] += _log_sum(alpha_LK[t - 1][:, None] + scores.transition_KK)
    log_z = _log_sum((alpha_LK[-1] + scores.end_K)[:, None])
    beta_LK[-1] = scores.end_K
    for t in range(len(z_LK) - 2, -1, -1):
        beta_LK[t] = _log_sum((scores.transition_KK + z_LK[t + 1] + beta_LK[t + 1]).T)
    before_L, here_L, token_L = column_L[:-1], column_L[1:], np.arange(1, len(z_LK))
    given_L = np.zeros(len(z_LK))
    given_L[1:] = (
        scores.transition_KK[before_L, here_L] + z_LK[token_L, here_L] + beta_LK[token_L, here_L]
        - beta_LK[token_L - 1, before_L]
    )  # fmt: skip
    # Rounding may leave a little more than log 1.
    marginal_LK = np.minimum(alpha_LK + beta_LK - log_z, 0)
    return marginal_LK.astype(np.float32), np.minimum(given_L, 0).astype(np.float32)


def _log_sum(x_JK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log Σⱼ exp x[j, k] of every k."""
    most_K = x_JK.max(axis=0)
    found_K: NDArray[np.float64] = most_K + np.log(np.exp(x_JK - most_K).sum(axis=0))
    return found_K
