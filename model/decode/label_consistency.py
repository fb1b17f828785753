"""Label consistency: tokens of one word in one document are mostly the same thing.

The window of one ``Washington`` shows a person, that of the next shows nothing; in one document they are mostly the
same. So once all windows are scored, every token of a word with a capital is told what the surest of the others of that
word look like, whatever letters follow the first:

    m        largest p of each tag among the other tokens of the word
    log p' = log p + m V − normaliser          V = a I + b S + D

S says which tags are of one label: ``B-LOC`` elsewhere speaks for ``I-LOC`` here. D (K, K) says what the two numbers
a and b cannot: that a word which ends a person elsewhere is a person by itself, or that a place elsewhere may be a club
here. All are fitted on development data (``training/fit/calibrate.py``). Unlike what is fitted beside them, they change
tags.

Source: the majority of a token's other occurrences is a feature of a second model in Krishnan & Manning, An Effective
Two-Stage Model for Exploiting Non-Local Dependencies, ACL 2006; see also the context aggregation of Ratinov & Roth,
CoNLL 2009. Here the second model is one matrix, and is given p instead of decided tags. ``label_consistency.c`` is the
same in C.

T tokens · K tags · N tokens of words that their document has more than once · Q such words, by document
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.calibration import Calibration
from fenestra.model.network.network import log_softmax

Floats = NDArray[np.float64]


class Repeats(NamedTuple):
    """The tokens that have others to be consistent with."""

    token_N: NDArray[np.int64]
    """Which they are, rising."""
    group_N: NDArray[np.int64]
    """Equal for tokens of one word in one document."""
    count_Q: NDArray[np.int64]
    """How many tokens each word has there, 2 or more."""


def find_repeats(documents: Iterable[Sequence[str]]) -> Repeats:
    """Find the words with a capital that a document, all its sentences end to end, has more than once."""
    tokens: list[int] = []
    groups: list[int] = []
    numbers: dict[tuple[int, str], int] = {}
    begin = 0
    for document, words in enumerate(documents):
        for place, word in enumerate(words):
            if word[0].isupper():
                tokens.append(begin + place)
                groups.append(numbers.setdefault((document, word.lower()), len(numbers)))
        begin += len(words)
    token_C, group_C = np.array(tokens, np.int64), np.array(groups, np.int64)
    count_V = np.bincount(group_C, minlength=len(numbers))
    repeated_C = count_V[group_C] > 1
    number_V = np.cumsum(count_V > 1) - 1
    return Repeats(token_C[repeated_C], number_V[group_C[repeated_C]], count_V[count_V > 1])


def weights(calibration: Calibration, label_K: NDArray[np.int64]) -> NDArray[np.float32]:
    """V, (K, K): what p of each tag elsewhere, in rows, adds to log p of each tag, in columns.

    label_K is a number from 0 for the label of each tag, below 0 for O.
    """
    weight_KK = calibration.same_tag * np.eye(len(label_K)) + calibration.same_label * same_label(label_K)
    if calibration.tag_by_tag:
        weight_KK += np.array(calibration.tag_by_tag)
    return weight_KK.astype(np.float32)


def same_label(label_K: NDArray[np.int64]) -> Floats:
    """S: 1 where two tags are of one label, else 0."""
    same_KK: Floats = (label_K[:, None] == label_K).astype(np.float64)
    return same_KK


def apply(log_TK: NDArray[np.float32], repeats: Repeats, weight_KK: NDArray[np.float32]) -> None:
    """Make the tokens of every word consistent, in place.

    The bits of a token depend on its document alone, in whatever order its tokens come: the largest of some numbers is
    the same in any order. log_TK are natural logarithms of p, before and after.
    """
    raised_NK = log_TK[repeats.token_N]
    for most_N, weight_K in zip(evidence(log_TK, repeats).T, weight_KK, strict=True):
        raised_NK += most_N[:, None] * weight_K  # the bits of a product of matrices depend on how many rows there are
    log_TK[repeats.token_N] = log_softmax(raised_NK)


def evidence(log_TK: NDArray[np.float32], repeats: Repeats) -> NDArray[np.float32]:
    """m: the largest p of each tag among the other tokens of the word, for each of N tokens."""
    group_N, shape = repeats.group_N, (len(repeats.count_Q), log_TK.shape[1])
    p_NK = np.exp(log_TK[repeats.token_N])
    first_QK, second_QK, equals_QK = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape)
    np.maximum.at(first_QK, group_N, p_NK)
    is_first_NK = p_NK == first_QK[group_N]
    np.maximum.at(second_QK, group_N, np.where(is_first_NK, np.float32(0), p_NK))
    np.add.at(equals_QK, group_N, is_first_NK)
    alone_NK = is_first_NK & (equals_QK[group_N] == 1)
    return np.where(alone_NK, second_QK[group_N], first_QK[group_N])
