"""Windows over a flat stream of tokens: which 2C+1 rows surround each token.

Sentences of any length lie end to end in one stream; a window that reaches over the end of its sentence sees the row
PAD there. So a batch is a bag of windows: no padding to the longest sentence, no mask. ``lay_out_windows`` in
``network.c`` is the same in C.

T tokens of the stream · W window width, 2C+1
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PAD = 0


def sentence_bounds(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """For every token of sentences laid end to end, where its sentence starts and ends.

    >>> sentence_bounds([2, 1])
    array([[0, 0, 2],
           [2, 2, 3]])

    Returns:
        bounds_2T: row 0 the start, row 1 the end (exclusive) of each token's sentence.
    """
    length_S = np.asarray(lengths, dtype=np.int64)
    end_S = length_S.cumsum()
    return np.stack([end_S - length_S, end_S]).repeat(length_S, axis=1)


def window_ids(id_T: NDArray[np.int64], bounds_2T: NDArray[np.int64], context: int) -> NDArray[np.int64]:
    """Centre a window on every token, with PAD outside its sentence.

    >>> window_ids(np.array([5, 6, 7]), sentence_bounds([2, 1]), context=1)
    array([[0, 5, 6],
           [5, 6, 0],
           [0, 7, 0]])

    Gives id_TW, W = 2C + 1, for a context of C ≥ 0 tokens on each side.

    Source: the window approach of Collobert et al., JMLR 12 (2011), section 3.3.1.
    """
    place_TW = np.arange(len(id_T))[:, None] + np.arange(-context, context + 1)
    start_T, end_T = bounds_2T
    inside_TW = (place_TW >= start_T[:, None]) & (place_TW < end_T[:, None])
    found_TW: NDArray[np.int64] = id_T[place_TW.clip(0, max(len(id_T) - 1, 0))]
    return np.where(inside_TW, found_TW, PAD)
