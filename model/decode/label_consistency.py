"""Label consistency: tokens of one word in one document are mostly the same thing.

The window of one ``Washington`` shows a person, that of the next shows nothing; in one document they are mostly the
same. So once all windows are scored, every token of a word with a capital is given what the others of that word look
like, whatever letters follow the first:

    m        mean of p over the other tokens of the word
    log p' = log p + a · m + b · (m of the same label) − normaliser

The second summand adds m over the prefixes of a label, so that ``B-LOC`` elsewhere speaks for ``I-LOC`` here. a and b
are fitted on development data (``training/fit/calibrate.py``). Unlike what is fitted beside them, they change tags.

Source: the majority of a token's other occurrences is a feature of a second model in Krishnan & Manning, An Effective
Two-Stage Model for Exploiting Non-Local Dependencies, ACL 2006; see also the context aggregation of Ratinov & Roth,
CoNLL 2009. Here the second model has two numbers, and is given p instead of decided tags. ``label_consistency.c`` is
the same in C.

T tokens · K tags · N tokens of words that their document has more than once · Q such words, by document
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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


class Evidence(NamedTuple):
    """What the other tokens of a word say of each tag."""

    tag_NK: Floats
    """Mean of p(tag)."""
    label_NK: Floats
    """Mean of p(any tag of its label); of O, as above."""


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


def apply(
    log_TK: NDArray[np.float32], repeats: Repeats, label_K: NDArray[np.int64], weights: tuple[float, float]
) -> None:
    """Make the tokens of every word consistent, in place.

    The bits of a token depend on its document alone: sums are in float64 and taken in the order of the tokens.

    log_TK are natural logarithms of p, before and after; label_K is a number from 0 for the label of each tag, below 0
    for O; the weights are a and b.
    """
    found = evidence(log_TK, repeats, label_K)
    raised_NK = log_TK[repeats.token_N] + weights[0] * found.tag_NK + weights[1] * found.label_NK
    log_TK[repeats.token_N] = log_softmax(raised_NK.astype(np.float32))


def evidence(log_TK: NDArray[np.float32], repeats: Repeats, label_K: NDArray[np.int64]) -> Evidence:
    """What the other tokens of its word say of each of N tokens; arguments as of :func:`apply`."""
    p_NK = np.exp(log_TK[repeats.token_N]).astype(np.float64)
    sum_QK = np.zeros((len(repeats.count_Q), log_TK.shape[1]))
    np.add.at(sum_QK, repeats.group_N, p_NK)
    others_N = repeats.count_Q[repeats.group_N] - 1
    tag_NK = (sum_QK[repeats.group_N] - p_NK) / others_N[:, None]
    label_NL = np.zeros((len(tag_NK), int(label_K.max(initial=-1)) + 2))  # the last is that of O, at −1
    for column, label in enumerate(label_K.tolist()):
        label_NL[:, label] += tag_NK[:, column]
    return Evidence(tag_NK, label_NL[:, label_K])
