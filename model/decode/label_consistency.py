"""A second look at words that a document has more than once: what is said of them elsewhere counts here too.

The window of one ``Washington`` shows a person, that of the next shows nothing; in one document they are mostly the
same. So once all windows are scored, every token of a word with a capital is told what the others of that word look
like, in whatever letters after the first:

    m        mean of p over the other tokens of the word
    log p' = log p + a · m + b · (m of the same label) − normaliser

The second summand adds up m over the prefixes of a label, so that ``B-LOC`` elsewhere speaks for ``I-LOC`` here. a and
b are fitted on development data (``training/fit/calibrate.py``). Unlike what is fitted beside them, they change tags.

Source: the majority of a token's other occurrences is a feature of a second model in Krishnan & Manning, An Effective
Two-Stage Model for Exploiting Non-Local Dependencies, ACL 2006; see also the context aggregation of Ratinov & Roth,
CoNLL 2009. Here the second model has two numbers, and is given p instead of decided tags.

    T tokens · K tags · N tokens of words that their document has more than once · G such words, by document
"""

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.batch import PIECE, Batch
from fenestra.model.network.context import parts
from fenestra.model.tiles import fill_array, log_softmax

Floats = NDArray[np.float64]


class Repeats(NamedTuple):
    """The tokens that have something to agree with."""

    token_N: NDArray[np.int64]
    """Which they are, rising."""
    group_N: NDArray[np.int64]
    """Equal for tokens of one word in one document."""
    count_G: NDArray[np.int64]
    """How many tokens each word has there, 2 or more."""


class Evidence(NamedTuple):
    """What the other tokens of a word say of each tag."""

    tag_NK: Floats
    """Mean of p(tag)."""
    label_NK: Floats
    """Mean of p(any tag of its label); of O, as above."""


def find_repeats(batch: Batch) -> Generator[None, None, Repeats]:
    """Find the words with a capital that a document has more than once, giving way now and then."""
    words, word_T = batch.words, batch.word_numbers()
    numbers: dict[str, int] = {}
    lowered_U = np.full(len(batch.words), -1, dtype=np.int64)
    for part in parts(len(words), PIECE):
        lowered_U[part] = [
            numbers.setdefault(word.lower(), len(numbers)) if word[0].isupper() else -1 for word in words[part]
        ]
        yield
    token_C = np.flatnonzero(lowered_U[word_T] >= 0)
    document_C = np.searchsorted(np.cumsum(batch.sizes), token_C, side="right")
    key_C = document_C * max(len(numbers), 1) + lowered_U[word_T[token_C]]
    _, group_C, count_V = np.unique(key_C, return_inverse=True, return_counts=True)
    again_C = count_V[group_C] > 1
    number_V = np.cumsum(count_V > 1) - 1
    return Repeats(token_C[again_C], number_V[group_C[again_C]], count_V[count_V > 1])


def agree(
    log_TK: NDArray[np.float32], repeats: Repeats, label_K: NDArray[np.int64], weights: tuple[float, float]
) -> Generator[None, None, None]:
    """Let the tokens of every word agree, in place, giving way after every few thousand tokens.

    The bits of a token depend on its document alone: sums are in float64 and taken in the order of the tokens.

    Args:
        log_TK: natural logarithms of p; they still are when this is done.
        repeats: of all documents of the batch.
        label_K: a number from 0 for the label of each tag, below 0 for O.
        weights: a and b, of the tag itself and of its label.
    """
    sum_GK = yield from add_up(log_TK, repeats)
    for part in parts(len(repeats.token_N), PIECE):
        some = repeats._replace(token_N=repeats.token_N[part], group_N=repeats.group_N[part])
        log_NK, found = log_TK[some.token_N], evidence(log_TK, some, sum_GK, label_K)
        raised_NK = log_NK + weights[0] * found.tag_NK + weights[1] * found.label_NK
        log_TK[some.token_N] = log_softmax(raised_NK.astype(np.float32), 1.0)
        yield


def add_up(log_TK: NDArray[np.float32], repeats: Repeats) -> Generator[None, None, Floats]:
    """Add p up over the tokens of every word: sum_GK."""
    sum_GK = np.zeros((len(repeats.count_G), log_TK.shape[1]))
    for part in parts(len(repeats.token_N), PIECE):
        np.add.at(sum_GK, repeats.group_N[part], _probabilities(log_TK[repeats.token_N[part]]))
        yield
    return sum_GK


def evidence(log_TK: NDArray[np.float32], repeats: Repeats, sum_GK: Floats, label_K: NDArray[np.int64]) -> Evidence:
    """What others say of each of N tokens; arguments as of :func:`agree` and from :func:`add_up`."""
    others_N = repeats.count_G[repeats.group_N] - 1
    tag_NK = (sum_GK[repeats.group_N] - _probabilities(log_TK[repeats.token_N])) / others_N[:, None]
    label_NL = np.zeros((len(tag_NK), int(label_K.max(initial=-1)) + 2))  # the last is that of O, at -1
    for column, label in enumerate(label_K.tolist()):
        label_NL[:, label] += tag_NK[:, column]
    return Evidence(tag_NK, label_NL[:, label_K])


def _probabilities(log_NK: NDArray[np.float32]) -> Floats:
    """Whole tiles, so that no number is at the end of an array."""
    return np.exp(fill_array(log_NK))[: len(log_NK)].astype(np.float64)
