"""From scores to tags: the best path that is legal under the tagging scheme.

A softmax scores every token alone and may put ``I-PER`` after ``O``. Of all tag sequences that the scheme
allows, :func:`best_paths` finds the one with the highest product of probabilities (Viterbi 1967; the step
scores are 0 or −∞).

    S sentences · T tokens of all sentences, end to end · L tokens of the longest · K tags · M entities
"""

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.iob import Scheme, Span, split_tag, tag_set, transitions
from model.steps import run
from model.tiles import fill_array

_NEVER = -1e30
_TO_IOB2 = str.maketrans("SE", "BI")
_PIECE = 2048  # tokens that are searched before giving way
_AT_ONCE = 8 * _PIECE  # cells, tokens of the longest × sentences, that are searched together
_LARGE = 8 * _PIECE  # tokens; with more, array arithmetic gives way between its parts
_STEP_COSTS = 8  # tokens, about: what a step of the search costs however few sentences take it


class Decoded(NamedTuple):
    """A sentence read off its best path."""

    tags: list[str]
    """IOB2, one a token."""
    tag_probabilities: NDArray[np.float32]
    """Of those tags, one a token: the sum over all columns that IOB2 writes the same way."""
    spans: list[Span]
    log_products: NDArray[np.float32]
    """Σ log p over the tokens of each span, along the path."""


class Paths(NamedTuple):
    """Many sentences read off their best paths, end to end."""

    column_T: NDArray[np.int64]
    """The column of each token's tag inside the network."""
    tag_T: NDArray[np.int64]
    """The tag that is written outside: its place in :func:`iob2_tags`."""
    probability_T: NDArray[np.float32]
    """Of that tag: the sum over all columns that IOB2 writes the same way."""
    begin_M: NDArray[np.int64]
    """The first token of each entity."""
    end_M: NDArray[np.int64]
    """One past its last."""
    label_M: NDArray[np.int64]
    """The place of its label among the labels."""
    log_product_M: NDArray[np.float32]
    """Σ log p over its tokens, along the path."""


class _Columns(NamedTuple):
    """What there is to know of the K tags of a scheme, as arrays."""

    starts_K: NDArray[np.bool_]
    steps_KK: NDArray[np.bool_]
    ends_K: NDArray[np.bool_]
    label_K: NDArray[np.int64]
    """Place of the label; −1 for O."""
    opens_K: NDArray[np.bool_]
    """Whether an entity begins at the tag whatever stands before it."""
    closes_K: NDArray[np.bool_]
    """Whether it ends there whatever follows."""
    alike_KA: NDArray[np.int64]
    """The columns that IOB2 writes the same way, itself first; K where there are no more."""


def iob2_tags(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags of answers: O first, then B and I of each label."""
    return tag_set(labels, "IOB2")


def decode(
    log_probability_TK: NDArray[np.float32], lengths: Sequence[int], tags: Sequence[str], scheme: Scheme
) -> Iterator[Decoded]:
    """Read every sentence off its best legal path; arguments as of :func:`best_paths`."""
    paths = run(read_paths(log_probability_TK, lengths, tags, scheme))
    labels = labels_of(tags)
    names = iob2_tags(labels)
    bounds_M = zip(paths.begin_M.tolist(), paths.end_M.tolist(), paths.label_M.tolist(), strict=True)
    found = [Span(begin, end, labels[label]) for begin, end, label in bounds_M]
    used = 0
    for length, end in zip(lengths, accumulate(lengths), strict=True):
        begin, first = end - length, used
        while used < len(found) and found[used].end <= end:
            used += 1
        yield Decoded(
            [names[tag] for tag in paths.tag_T[begin:end].tolist()],
            paths.probability_T[begin:end],
            [Span(span.start - begin, span.end - begin, span.label) for span in found[first:used]],
            paths.log_product_M[first:used],
        )


def read_paths(
    log_probability_TK: NDArray[np.float32], lengths: Sequence[int], tags: Sequence[str], scheme: Scheme
) -> Generator[None, None, Paths]:
    """Find the best legal path of every sentence and read it, giving way now and then."""
    columns = scheme_tables(tuple(tags), scheme)
    column_T = yield from _best(log_probability_TK, np.asarray(lengths, dtype=np.int64), columns)
    large = len(column_T) > _LARGE
    token_T = np.arange(len(column_T))
    label_T = columns.label_K[column_T]
    inside_T = label_T >= 0
    begins_T, ends_T = _boundaries(column_T, label_T, np.asarray(lengths, dtype=np.int64), columns)
    begin_M, end_M = np.flatnonzero(begins_T), np.flatnonzero(ends_T) + 1
    if large:
        yield
    # Only exact operations follow, or such as are fed whole tiles: the bits of a token are its own.
    padded_TK = np.concatenate([log_probability_TK, np.full((len(column_T), 1), -np.inf, np.float32)], axis=1)
    probability_T = np.zeros(len(column_T), dtype=np.float32)
    for alike_T in columns.alike_KA[column_T].T:
        probability_T += np.exp(fill_array(padded_TK[token_T, alike_T]))[: len(column_T)]
        if large:
            yield
    chosen_T = log_probability_TK[token_T, column_T]
    return Paths(
        column_T,
        np.where(inside_T, 2 * label_T + np.where(begins_T, 1, 2), 0),
        probability_T.clip(0.0, 1.0),
        begin_M,
        end_M,
        label_T[begin_M],
        _sums(chosen_T, begin_M, end_M),
    )


def labels_of(tags: Sequence[str]) -> list[str]:
    """The labels of some tags, in order of appearance."""
    return list(dict.fromkeys(label for _, label in map(split_tag, tags) if label))


def best_paths(
    log_probability_TK: NDArray[np.float32], lengths: Sequence[int], tags: Sequence[str], scheme: Scheme
) -> NDArray[np.int64]:
    """Find the most probable legal tag sequence of every sentence.

    Taking the best tag of each token is the answer already wherever the result is legal; only the sentences
    where it is not are searched, many of them one step at a time together.

    Args:
        log_probability_TK: natural logarithms, sentences end to end.
        lengths: tokens of each sentence; they add up to T.
        tags: the K tags, in the order of the columns.
        scheme: decides which tag may follow which.

    Returns:
        The column of each token's tag, shape (T,).
    """
    return run(_best(log_probability_TK, np.asarray(lengths, dtype=np.int64), scheme_tables(tuple(tags), scheme)))


@lru_cache(16)
def scheme_tables(tags: tuple[str, ...], scheme: Scheme) -> _Columns:
    """Work out the tables of a scheme, once."""
    split = [split_tag(tag) for tag in tags]
    labels = labels_of(tags)
    meaning = [(prefix.translate(_TO_IOB2), label) for prefix, label in split]
    alike = [[k, *(j for j in range(len(tags)) if j != k and meaning[j] == meaning[k])] for k in range(len(tags))]
    most = max(map(len, alike))
    return _Columns(
        *transitions(tags, scheme),
        np.array([labels.index(label) if label else -1 for _, label in split]),
        np.array([prefix in "BS" for prefix, _ in split]),
        np.array([prefix in "ES" for prefix, _ in split]),
        np.array([same + [len(tags)] * (most - len(same)) for same in alike]),
    )


def _boundaries(
    column_T: NDArray[np.int64], label_T: NDArray[np.int64], length_S: NDArray[np.int64], columns: _Columns
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tokens an entity begins at, and which it ends at; as :func:`model.iob.spans` reads the tags."""
    inside_T = label_T >= 0
    begins_T = inside_T & columns.opens_K[column_T]
    begins_T[1:] |= inside_T[1:] & ((label_T[1:] != label_T[:-1]) | columns.closes_K[column_T[:-1]])
    head_S = (length_S.cumsum() - length_S)[length_S > 0]
    begins_T[head_S] = inside_T[head_S]
    ends_T = inside_T.copy()
    ends_T[:-1] &= begins_T[1:] | ~inside_T[1:]
    return begins_T, ends_T


def _sums(value_T: NDArray[np.float32], begin_M: NDArray[np.int64], end_M: NDArray[np.int64]) -> NDArray[np.float32]:
    """Add up the values of every interval."""
    if not len(begin_M):
        return np.zeros(0, dtype=np.float32)
    edges = np.stack([begin_M, end_M], axis=1).reshape(-1)
    result: NDArray[np.float32] = np.add.reduceat(np.append(value_T, np.float32(0)), edges)[::2]
    return result


def _best(
    log_probability_TK: NDArray[np.float32], length_S: NDArray[np.int64], columns: _Columns
) -> Generator[None, None, NDArray[np.int64]]:
    """As :func:`best_paths`, giving way now and then."""
    best_T: NDArray[np.int64] = log_probability_TK.argmax(axis=1)
    length_S, begin_S = length_S[length_S > 0], (length_S.cumsum() - length_S)[length_S > 0]
    if not len(length_S):
        return best_T
    sentence_T = np.repeat(np.arange(len(length_S)), length_S)
    broken_T = np.zeros(len(best_T), dtype=bool)
    broken_T[1:] = ~columns.steps_KK[best_T[:-1], best_T[1:]]
    broken_T[begin_S] = ~columns.starts_K[best_T[begin_S]]
    broken_T[begin_S + length_S - 1] |= ~columns.ends_K[best_T[begin_S + length_S - 1]]
    if len(best_T) > _LARGE:
        yield
    chosen = np.unique(sentence_T[broken_T])
    chosen = chosen[np.argsort(-length_S[chosen], kind="stable")]  # longest first: the live ones are a prefix
    while len(chosen):
        size = max(_AT_ONCE // int(length_S[chosen[0]]), 1)
        group, chosen = chosen[:size], chosen[size:]
        yield from _search(log_probability_TK, begin_S[group], length_S[group], best_T, columns)
    return best_T


def _search(
    log_probability_TK: NDArray[np.float32],
    begin_S: NDArray[np.int64],
    length_S: NDArray[np.int64],
    best_T: NDArray[np.int64],
    columns: _Columns,
) -> Generator[None, None, None]:
    """Viterbi over sentences sorted by falling length; writes the paths into ``best_T``.

    Where a path came from is asked on the way back only, for the one tag that it has there.
    """
    step_KK = np.where(columns.steps_KK, 0.0, _NEVER)
    longest = int(length_S[0])
    live_L = np.searchsorted(-length_S, -np.arange(longest), side="left")  # sentences longer than each step
    score_LSK = np.empty((longest, len(length_S), len(step_KK)))
    score_LSK[0] = log_probability_TK[begin_S] + np.where(columns.starts_K, 0.0, _NEVER)
    work = 0
    for step in range(1, longest):
        live = live_L[step]
        through_KSK = score_LSK[step - 1, :live].T[:, :, None] + step_KK[:, None, :]
        score_LSK[step, :live] = through_KSK.max(axis=0) + log_probability_TK[begin_S[:live] + step]
        work += live + _STEP_COSTS
        if work >= _PIECE:
            work = 0
            yield
    end_K = np.where(columns.ends_K, 0.0, _NEVER)
    tag_S = (score_LSK[length_S - 1, np.arange(len(length_S))] + end_K).argmax(axis=1)
    for step in range(longest - 1, -1, -1):
        live = live_L[step]
        following = live_L[step + 1] if step + 1 < longest else 0
        came_from = score_LSK[step, :following] + step_KK.T[tag_S[:following]]
        tag_S[:following] = came_from.argmax(axis=1)
        best_T[begin_S[:live] + step] = tag_S[:live]
        work += live + _STEP_COSTS
        if work >= _PIECE:
            work = 0
            yield
