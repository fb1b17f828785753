"""From scores to tags: the best path that is legal under the tagging scheme.

A softmax scores every token alone and may put ``I-PER`` after ``O``. Of all tag sequences that the scheme
allows, :func:`best_paths` finds the one with the highest product of probabilities (Viterbi 1967; the step
scores are 0 or −∞).

    S sentences · T tokens of all sentences, end to end · L tokens of the longest · K tags
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.iob import Scheme, Span, convert, spans, split_tag, transitions

_NEVER = -1e30
_TO_IOB2 = str.maketrans("SE", "BI")


class Decoded(NamedTuple):
    """A sentence read off its best path."""

    tags: list[str]
    """IOB2, one a token."""
    tag_probabilities: NDArray[np.float32]
    """Of those tags, one a token: the sum over all columns that IOB2 writes the same way."""
    spans: list[Span]
    log_products: NDArray[np.float32]
    """Σ log p over the tokens of each span, along the path."""


def decode(
    log_probability_TK: NDArray[np.float32], lengths: Sequence[int], tags: Sequence[str], scheme: Scheme
) -> Iterator[Decoded]:
    """Read every sentence off its best legal path; arguments as of :func:`best_paths`."""
    best_T = best_paths(log_probability_TK, lengths, tags, scheme)
    row_T = np.arange(len(best_T))
    chosen_T = log_probability_TK[row_T, best_T]
    probability_T = (np.exp(log_probability_TK) @ same_in_iob2(tags))[row_T, best_T].clip(0.0, 1.0)
    for length, end in zip(lengths, accumulate(lengths), strict=True):
        here = slice(end - length, end)
        written = convert([tags[column] for column in best_T[here]], "IOB2")
        found = spans(written)
        products = [chosen_T[here][span.start : span.end].sum() for span in found]
        yield Decoded(written, probability_T[here], found, np.array(products, dtype=np.float32))


def same_in_iob2(tags: Sequence[str]) -> NDArray[np.float32]:
    """Which columns mean the same IOB2 tag, such as S-PER and B-PER: a matrix of ones and zeros, (K, K)."""
    meaning = [(prefix.translate(_TO_IOB2), label) for prefix, label in map(split_tag, tags)]
    return np.array([[one == other for other in meaning] for one in meaning], dtype=np.float32)


def best_paths(
    log_probability_TK: NDArray[np.float32], lengths: Sequence[int], tags: Sequence[str], scheme: Scheme
) -> NDArray[np.int64]:
    """Find the most probable legal tag sequence of every sentence.

    Taking the best tag of each token is the answer already wherever the result is legal; only the sentences
    where it is not are searched, all of them one step at a time together.

    Args:
        log_probability_TK: natural logarithms, sentences end to end.
        lengths: tokens of each sentence; they add up to T.
        tags: the K tags, in the order of the columns.
        scheme: decides which tag may follow which.

    Returns:
        The column of each token's tag, shape (T,).
    """
    starts, steps, ends = transitions(tags, scheme)
    best_T: NDArray[np.int64] = log_probability_TK.argmax(axis=1)
    length_S = np.asarray(lengths, dtype=np.int64)
    length_S, begin_S = length_S[length_S > 0], (length_S.cumsum() - length_S)[length_S > 0]
    if not len(length_S):
        return best_T
    sentence_T = np.repeat(np.arange(len(length_S)), length_S)
    broken_T = np.zeros(len(best_T), dtype=bool)
    broken_T[1:] = ~steps[best_T[:-1], best_T[1:]]
    broken_T[begin_S] = ~starts[best_T[begin_S]]
    broken_T[begin_S + length_S - 1] |= ~ends[best_T[begin_S + length_S - 1]]
    chosen = np.unique(sentence_T[broken_T])
    chosen = chosen[np.argsort(-length_S[chosen], kind="stable")]  # longest first: the live ones are a prefix
    if len(chosen):
        _search(log_probability_TK, begin_S[chosen], length_S[chosen], best_T, starts, steps, ends)
    return best_T


def _search(
    log_probability_TK: NDArray[np.float32],
    begin_S: NDArray[np.int64],
    length_S: NDArray[np.int64],
    best_T: NDArray[np.int64],
    starts_K: NDArray[np.bool_],
    steps_KK: NDArray[np.bool_],
    ends_K: NDArray[np.bool_],
) -> None:
    """Viterbi over sentences sorted by falling length; writes the paths into ``best_T``."""
    step_KK = np.where(steps_KK, 0.0, _NEVER)
    score_SK = log_probability_TK[begin_S].astype(np.float64) + np.where(starts_K, 0.0, _NEVER)
    back_LSK = np.zeros((int(length_S[0]), *score_SK.shape), dtype=np.uint16)
    live = len(length_S)
    for step in range(1, int(length_S[0])):
        while length_S[live - 1] <= step:
            live -= 1
        through_SKK = score_SK[:live, :, None] + step_KK
        back_LSK[step, :live] = through_SKK.argmax(axis=1)
        score_SK[:live] = through_SKK.max(axis=1) + log_probability_TK[begin_S[:live] + step]
    tag_S = (score_SK + np.where(ends_K, 0.0, _NEVER)).argmax(axis=1)
    for step in range(int(length_S[0]) - 1, -1, -1):
        live = int((length_S > step).sum())
        best_T[begin_S[:live] + step] = tag_S[:live]
        tag_S[:live] = back_LSK[step, np.arange(live), tag_S[:live]]
