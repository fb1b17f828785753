"""From scores to tags: the best path that is legal under the tagging scheme, and the entities along it.

A softmax scores every token alone and may put ``I-PER`` after ``O``. Of all tag sequences that the scheme allows,
:func:`best_paths` finds the one with the highest product of probabilities. Where transitions were learned
(``model/decode/crf.py``) their scores count as well, and what is said of a tag or an entity is its probability under
all paths. ``decode.c`` is the same in C.

S sentences · T tokens of all sentences, end to end · K tags · M entities
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.crf import Transitions
from fenestra.model.decode.viterbi import best_path, forward_backward
from fenestra.model.tags import Scheme, split_tag, transitions

Scores = NDArray[np.float32]
Lengths = Sequence[int] | NDArray[np.int64]
"""Tokens of each sentence."""

_TO_IOB2 = str.maketrans("SE", "BI")


class Paths(NamedTuple):
    """Many sentences read off their best paths, end to end."""

    column_T: NDArray[np.int64]
    """The column of each token's tag inside the network."""
    tag_T: NDArray[np.int64]
    """The tag that is written outside: its place in the tag set of IOB2."""
    probability_T: NDArray[np.float32]
    """Of that tag: the sum over all columns that IOB2 writes the same way."""
    begin_M: NDArray[np.int64]
    """The first token of each entity."""
    end_M: NDArray[np.int64]
    """One past its last."""
    label_M: NDArray[np.int64]
    """The place of its label among the labels."""
    log_product_M: NDArray[np.float32]
    """Log of the probability of its tags: Σ log p over its tokens, along the path. With a CRF, p is that of a tag after
    the one before, and of the first one whatever stands before: together exactly P(these tags here)."""

    def shifted(self, tokens: int) -> "Paths":
        """The same paths behind ``tokens`` others."""
        return self._replace(begin_M=self.begin_M + tokens, end_M=self.end_M + tokens)


class TagTables(NamedTuple):
    """What there is to know of the K tags of a scheme, as arrays."""

    starts_K: NDArray[np.bool_]
    follows_KK: NDArray[np.bool_]
    ends_K: NDArray[np.bool_]
    label_K: NDArray[np.int64]
    """Place of the label; −1 for O."""
    opens_K: NDArray[np.bool_]
    """Whether an entity begins at the tag whatever stands before it."""
    closes_K: NDArray[np.bool_]
    """Whether it ends there whatever follows."""
    same_iob2_KA: NDArray[np.int64]
    """The columns that IOB2 writes the same way, itself first; K where there are no more."""


def labels_of(tags: Sequence[str]) -> list[str]:
    """The labels of some tags, in order of appearance."""
    return list(dict.fromkeys(label for _, label in map(split_tag, tags) if label))


@lru_cache(16)
def tag_tables(tags: tuple[str, ...], scheme: Scheme) -> TagTables:
    """Work out the tables of a scheme, once."""
    split = [split_tag(tag) for tag in tags]
    labels = labels_of(tags)
    meaning = [(prefix.translate(_TO_IOB2), label) for prefix, label in split]
    same = [[k, *(j for j in range(len(tags)) if j != k and meaning[j] == meaning[k])] for k in range(len(tags))]
    most = max(map(len, same))
    return TagTables(
        *transitions(tags, scheme),
        np.array([labels.index(label) if label else -1 for _, label in split]),
        np.array([prefix in "BS" for prefix, _ in split]),
        np.array([prefix in "ES" for prefix, _ in split]),
        np.array([columns + [len(tags)] * (most - len(columns)) for columns in same]),
    )


def read_paths(
    log_p_TK: Scores, lengths: Lengths, tags: Sequence[str], scheme: Scheme, learned: Transitions | None = None
) -> Paths:
    """Find the best legal path of every sentence and read it; arguments as of :func:`best_paths`."""
    tables = tag_tables(tuple(tags), scheme)
    column_T = best_paths(log_p_TK, lengths, tags, scheme, learned)
    begins_T, ends_T = _boundaries(column_T, lengths, tables)
    label_T, token_T = tables.label_K[column_T], np.arange(len(column_T))
    begin_M, end_M = np.flatnonzero(begins_T), np.flatnonzero(ends_T) + 1
    chosen_T = log_p_TK[token_T, column_T]
    if learned:
        log_p_TK, given_T = marginals(log_p_TK, lengths, column_T, learned)
        chosen_T = np.where(begins_T, log_p_TK[token_T, column_T], given_T)
    # p(B-PER) in IOB2 is p(B-PER) + p(S-PER) in BIOES; the column behind the last has probability 0.
    p_TK = np.concatenate([np.exp(log_p_TK), np.zeros((len(column_T), 1), np.float32)], axis=1)
    probability_T = np.zeros(len(column_T), dtype=np.float32)
    for same_T in tables.same_iob2_KA[column_T].T:
        probability_T += p_TK[token_T, same_T]
    tag_T, product_M = np.where(label_T >= 0, 2 * label_T + np.where(begins_T, 1, 2), 0), sums(chosen_T, begin_M, end_M)
    return Paths(column_T, tag_T, probability_T.clip(0.0, 1.0), begin_M, end_M, label_T[begin_M], product_M)


def best_paths(
    log_p_TK: Scores, lengths: Lengths, tags: Sequence[str], scheme: Scheme, learned: Transitions | None = None
) -> NDArray[np.int64]:
    """Find the most probable legal tag sequence of every sentence: the column of each token's tag, shape (T,).

    Taking the best tag of each token is the answer already wherever the result is legal, unless transitions were
    learned; only the sentences where it is not are searched.

    Args:
        log_p_TK: natural logarithms, sentences end to end.
        lengths: tokens of each sentence; they add up to T.
        tags: the K tags, in the order of the columns.
        scheme: decides which tag may follow which.
        learned: scores of the transitions; 0 where the scheme allows one, when omitted.
    """
    tables = tag_tables(tuple(tags), scheme)
    scores = learned or Transitions.allowed(tags, scheme)
    column_T: NDArray[np.int64] = log_p_TK.argmax(axis=1)
    for begin, end in _sentences(lengths):
        if learned or not _is_legal(column_T[begin:end], tables):
            column_T[begin:end] = best_path(log_p_TK[begin:end], scores)
    return column_T


def _sentences(lengths: Lengths) -> Iterator[tuple[int, int]]:
    """First token, and one past the last, of the sentences that are not empty."""
    ends = list(accumulate(lengths))
    return ((end - length, end) for length, end in zip(lengths, ends, strict=True) if length)


def _is_legal(column_L: NDArray[np.int64], tables: TagTables) -> bool:
    """Whether the scheme allows a path."""
    ends_meet = tables.starts_K[column_L[0]] and tables.ends_K[column_L[-1]]
    return bool(ends_meet and tables.follows_KK[column_L[:-1], column_L[1:]].all())


def _boundaries(
    column_T: NDArray[np.int64], lengths: Lengths, tables: TagTables
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tokens an entity begins at, and which it ends at; as :func:`fenestra.model.tags.spans` reads the tags."""
    label_T = tables.label_K[column_T]
    inside_T = label_T >= 0
    begins_T = inside_T & tables.opens_K[column_T]
    begins_T[1:] |= inside_T[1:] & ((label_T[1:] != label_T[:-1]) | tables.closes_K[column_T[:-1]])
    head_S = [begin for begin, _ in _sentences(lengths)]
    begins_T[head_S] = inside_T[head_S]
    ends_T = inside_T.copy()
    ends_T[:-1] &= begins_T[1:] | ~inside_T[1:]
    return begins_T, ends_T


def sums(value_T: Scores, begin_M: NDArray[np.int64], end_M: NDArray[np.int64]) -> Scores:
    """Add up the values of every interval."""
    if not len(begin_M):
        return np.zeros(0, dtype=np.float32)
    edges = np.stack([begin_M, end_M], axis=1).reshape(-1)
    result: Scores = np.add.reduceat(np.append(value_T, np.float32(0)), edges)[::2]
    return result


def marginals(
    log_p_TK: Scores, lengths: Lengths, column_T: NDArray[np.int64], learned: Transitions
) -> tuple[Scores, Scores]:
    """The marginals of all tags, and the probability of each tag on its path given the one before, as logarithms."""
    marginal_TK, given_T = np.empty_like(log_p_TK), np.zeros(len(column_T), np.float32)
    for begin, end in _sentences(lengths):
        here = slice(begin, end)
        marginal_TK[here], given_T[here] = forward_backward(log_p_TK[here], learned, column_T[here])
    return marginal_TK, given_T
