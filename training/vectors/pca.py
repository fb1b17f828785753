"""Fewer numbers a word: the directions in which words differ most are kept.

Principal components (Pearson 1901). Two sets of vectors side by side are redundant: of the 150 dimensions of GloVe's
100-d and 50-d together, 100 principal components hold 99 % of the variance, and a third of the model's size is saved.

    V words · D width of a vector · K numbers kept
"""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

_BLOCK = 1 << 14  # rows that are widened to float64 at a time
_SEED = 1


def compress(vectors_VD: Matrix, width: int) -> Matrix:
    """Project standardised vectors onto their first principal components.

    The result is rotated at random, so that all K numbers have about the same variance. Otherwise a later
    standardisation would scale the component of least variance up to the one of most, and quantisation, whose step
    follows from the largest number of a row, would lose precision.

    Args:
        vectors_VD: the table; a dimension in which all words are equal does not count.
        width: K, from 1 to D.

    Returns:
        A new table of shape (V, K), float32.
    """
    mean_D, deviation_D = vectors_VD.mean(axis=0, dtype=np.float64), vectors_VD.std(axis=0, dtype=np.float64)
    scale_D = np.divide(1.0, deviation_D, out=np.zeros_like(deviation_D), where=deviation_D > 0)
    blocks = [slice(begin, begin + _BLOCK) for begin in range(0, len(vectors_VD), _BLOCK)]
    spread_DD = np.zeros((len(mean_D), len(mean_D)))
    for block in blocks:
        some_ND = (vectors_VD[block] - mean_D) * scale_D
        spread_DD += some_ND.T @ some_ND
    _, direction_DD = np.linalg.eigh(spread_DD)  # by rising variance
    turn_KK, _ = np.linalg.qr(np.random.default_rng(_SEED).standard_normal((width, width)))
    kept_DK = direction_DD[:, ::-1][:, :width] @ turn_KK
    return np.concatenate([((vectors_VD[block] - mean_D) * scale_D @ kept_DK).astype(np.float32) for block in blocks])
