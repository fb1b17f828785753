"""What tokens and entities may be instead: the runner-up tags of a token, the runner-up labels of an entity's span.

T tokens · M entities · K tags inside the network · L labels
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.decoding import Paths, TagTables, sums
from fenestra.model.tags import PREFIXES, Scheme


def tag_probabilities(
    log_p_TK: NDArray[np.float32], tables: TagTables, scheme: Scheme, labels: int
) -> NDArray[np.float64]:
    """The probability of every IOB2 tag: p_TB, B = 2L + 1, in the order of ``tag_set(labels, "IOB2")``.

    log_p_TK are natural logarithms, after label consistency; with a CRF, of the marginals. The scheme IO does not tell
    B from I; there all of it is that of B.
    """
    outside_K = tables.label_K < 0
    tag_K = np.where(outside_K, 0, 2 * tables.label_K + np.where(tables.opens_K | (scheme == "IO"), 1, 2))
    p_TB = np.zeros((len(log_p_TK), 2 * labels + 1))
    for column, tag in enumerate(tag_K.tolist()):
        p_TB[:, tag] += np.exp(log_p_TK[:, column].astype(np.float64))
    return p_TB


def label_log_products(log_p_TK: NDArray[np.float32], paths: Paths, scheme: Scheme, labels: int) -> NDArray[np.float32]:
    """Log of the probability that the tags of an entity are those of the same span with another label: shape (M, L).

    ``paths`` are decoded from log_p_TK; the K tags of the scheme are O and then the prefixes of each label.
    """
    prefixes = len(PREFIXES[scheme])
    prefix_T = (paths.column_T - 1) % prefixes
    found_ML = np.zeros((len(paths.begin_M), labels), np.float32)
    for label in range(labels):
        chosen_T = log_p_TK[np.arange(len(log_p_TK)), 1 + label * prefixes + prefix_T]
        found_ML[:, label] = sums(chosen_T, paths.begin_M, paths.end_M)
    return found_ML


def best_others(
    score_NX: NDArray[np.floating], chosen_N: NDArray[np.integer], count: int
) -> list[list[tuple[int, float]]]:
    """The columns with the highest scores beside the chosen one, the highest first, with their scores."""
    order_NX = np.argsort(-score_NX, axis=1, kind="stable")
    rows: Sequence[list[int]] = order_NX.tolist()
    return [
        [(column, float(score_NX[row, column])) for column in columns if column != chosen][:count]
        for row, (columns, chosen) in enumerate(zip(rows, chosen_N.tolist(), strict=True))
    ]
