"""From scores to tags: the best path that is legal under the tagging scheme.

A softmax scores every token alone and may put ``I-PER`` after ``O``. Of all tag sequences that the scheme
allows, :func:`best_paths` finds the one with the highest product of probabilities (the scores of steps from tag to
tag are 0 or −∞). Where such scores were learned (``model/decode/crf.py``) they count as well, and what is said of a tag
or of an entity is its probability under all paths.

    S sentences · T tokens of all sentences, end to end · K tags · M entities
"""

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.viterbi import NEVER, Beliefs, StepScores, add_up_paths, groups, search
from fenestra.model.steps import run
from fenestra.model.tags import Scheme, Span, split_tag, tag_set, transitions
from fenestra.model.tiles import fill_array

_TO_IOB2 = str.maketrans("SE", "BI")
_LARGE = 16_384  # tokens; with more, array arithmetic gives way between its parts


class Decoded(NamedTuple):
    """A sentence read off its best path."""

    tags: list[str]
    """IOB2, one a token."""
    tag_probabilities: NDArray[np.float32]
    """Of those tags, one a token: the sum over all columns that IOB2 writes the same way."""
    spans: list[Span]
    log_products: NDArray[np.float32]
    """Log of the probability of each span's tags: Σ log p over its tokens, along the path."""


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
    """Log of the probability of its tags: Σ log p over its tokens, along the path. With learned steps p is that of a
    tag after the one before, and of the first one whatever stands before: together exactly P(these tags here)."""


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

    def allowed(self) -> StepScores:
        """What the scheme says of steps, as scores: 0 or never."""
        legal = (self.starts_K, self.steps_KK, self.ends_K)
        return StepScores(*(np.where(allowed, 0.0, NEVER) for allowed in legal))


def iob2_tags(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags of answers: O first, then B and I of each label."""
    return tag_set(labels, "IOB2")


def decode(
    log_probability_TK: NDArray[np.float32],
    lengths: Sequence[int],
    tags: Sequence[str],
    scheme: Scheme,
    learned: StepScores | None = None,
) -> Iterator[Decoded]:
    """Read every sentence off its best legal path; arguments as of :func:`best_paths`."""
    paths = run(read_paths(log_probability_TK, lengths, tags, scheme, learned))
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
    log_probability_TK: NDArray[np.float32],
    lengths: Sequence[int],
    tags: Sequence[str],
    scheme: Scheme,
    learned: StepScores | None = None,
) -> Generator[None, None, Paths]:
    """Find the best legal path of every sentence and read it, giving way now and then."""
    columns, length_S = scheme_tables(tuple(tags), scheme), np.asarray(lengths, dtype=np.int64)
    column_T = yield from _best(log_probability_TK, length_S, columns, learned)
    large = len(column_T) > _LARGE
    token_T = np.arange(len(column_T))
    label_T = columns.label_K[column_T]
    inside_T = label_T >= 0
    begins_T, ends_T = _boundaries(column_T, label_T, length_S, columns)
    begin_M, end_M = np.flatnonzero(begins_T), np.flatnonzero(ends_T) + 1
    if large:
        yield
    log_p_TK, chosen_T = log_probability_TK, log_probability_TK[token_T, column_T]
    if learned:
        log_p_TK, given_T = yield from _beliefs(log_probability_TK, length_S, column_T, learned)
        chosen_T = np.where(begins_T, log_p_TK[token_T, column_T], given_T)
    # Only exact operations follow, or such as are fed whole tiles: the bits of a token are its own.
    padded_TK = np.concatenate([log_p_TK, np.full((len(column_T), 1), -np.inf, np.float32)], axis=1)
    probability_T = np.zeros(len(column_T), dtype=np.float32)
    for alike_T in columns.alike_KA[column_T].T:
        probability_T += np.exp(fill_array(padded_TK[token_T, alike_T]))[: len(column_T)]
        if large:
            yield
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
    log_probability_TK: NDArray[np.float32],
    lengths: Sequence[int],
    tags: Sequence[str],
    scheme: Scheme,
    learned: StepScores | None = None,
) -> NDArray[np.int64]:
    """Find the most probable legal tag sequence of every sentence.

    Taking the best tag of each token is the answer already wherever the result is legal, unless there are learned
    steps; only the sentences where it is not are searched, many of them one step at a time together.

    Args:
        log_probability_TK: natural logarithms, sentences end to end.
        lengths: tokens of each sentence; they add up to T.
        tags: the K tags, in the order of the columns.
        scheme: decides which tag may follow which.
        learned: scores of the steps, NEVER where the scheme does not allow one; 0 elsewhere, when omitted.

    Returns:
        The column of each token's tag, shape (T,).
    """
    columns = scheme_tables(tuple(tags), scheme)
    return run(_best(log_probability_TK, np.asarray(lengths, dtype=np.int64), columns, learned))


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
    """Which tokens an entity begins at, and which it ends at; as :func:`fenestra.model.tags.spans` reads the tags."""
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
    log_probability_TK: NDArray[np.float32],
    length_S: NDArray[np.int64],
    columns: _Columns,
    learned: StepScores | None,
) -> Generator[None, None, NDArray[np.int64]]:
    """As :func:`best_paths`, giving way now and then."""
    best_T: NDArray[np.int64] = log_probability_TK.argmax(axis=1)
    length_S, begin_S = _sentences(length_S)
    if not len(length_S):
        return best_T
    chosen = np.arange(len(length_S)) if learned else _illegal(best_T, begin_S, length_S, columns)
    large = len(best_T) > _LARGE
    if large:
        yield
    for group in groups(length_S, chosen):
        yield from search(log_probability_TK, begin_S[group], length_S[group], learned or columns.allowed(), best_T)
        if large:
            yield
    return best_T


def _beliefs(
    log_probability_TK: NDArray[np.float32],
    length_S: NDArray[np.int64],
    column_T: NDArray[np.int64],
    learned: StepScores,
) -> Generator[None, None, Beliefs]:
    """What all paths together say of every token, giving way now and then."""
    beliefs = Beliefs(np.empty_like(log_probability_TK), np.zeros(len(column_T), np.float32))
    length_S, begin_S = _sentences(length_S)
    for group in groups(length_S, np.arange(len(length_S))):
        yield from add_up_paths(log_probability_TK, begin_S[group], length_S[group], learned, column_T, beliefs)
        if len(column_T) > _LARGE:
            yield
    return beliefs


def _sentences(length_S: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths and first tokens of the sentences that are not empty."""
    return length_S[length_S > 0], (length_S.cumsum() - length_S)[length_S > 0]


def _illegal(
    best_T: NDArray[np.int64], begin_S: NDArray[np.int64], length_S: NDArray[np.int64], columns: _Columns
) -> NDArray[np.int64]:
    """The sentences whose best tags are no legal path."""
    broken_T = np.zeros(len(best_T), dtype=bool)
    broken_T[1:] = ~columns.steps_KK[best_T[:-1], best_T[1:]]
    broken_T[begin_S] = ~columns.starts_K[best_T[begin_S]]
    broken_T[begin_S + length_S - 1] |= ~columns.ends_K[best_T[begin_S + length_S - 1]]
    return np.unique(np.repeat(np.arange(len(length_S)), length_S)[broken_T])
