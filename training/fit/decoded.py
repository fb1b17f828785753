"""Sentences read off their best paths one by one, as scores and calibration look at them."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.crf import Transitions
from fenestra.model.decode.decoding import labels_of, read_paths
from fenestra.model.tags import Scheme, tag_set
from fenestra.training.data.spans import Span


class Decoded(NamedTuple):
    """A sentence read off its best path."""

    tags: list[str]
    """IOB2, one a token."""
    tag_probabilities: NDArray[np.float32]
    """Of those tags, one a token: the sum over all columns that IOB2 writes the same way."""
    spans: list[Span]
    log_products: NDArray[np.float32]
    """Log of the probability of each span's tags: Σ log p over its tokens, along the path."""


def decode(
    log_p_TK: NDArray[np.float32],
    lengths: Sequence[int],
    tags: Sequence[str],
    scheme: Scheme,
    learned: Transitions | None = None,
) -> Iterator[Decoded]:
    """Read every sentence off its best legal path; arguments as of ``best_paths``."""
    paths = read_paths(log_p_TK, lengths, tags, scheme, learned)
    labels = labels_of(tags)
    names = tag_set(labels, "IOB2")
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
