"""Fill the gaps of one vector set from another by a linear map, fitted on the words that both sets have.

Two sets trained on the same text differ by little more than a linear map (Mikolov, Le & Sutskever 2013 showed this
between languages), so a set that lacks words can be completed from one that has them.

V words of the complete set, D wide · N words that both have · E width of the set with gaps
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def fit_linear_map(source_ND: Matrix, target_NE: Matrix) -> NDArray[np.float64]:
    """Fit ``[source, 1] @ map ≈ target`` by least squares.

    Returns:
        map of shape (D + 1, E), float64; the last row is the bias.
    """
    fitted, *_ = np.linalg.lstsq(_with_bias(source_ND), target_NE.astype(np.float64), rcond=None)
    return np.asarray(fitted, dtype=np.float64)


def apply_linear_map(source_VD: Matrix, linear_map: NDArray[np.float64]) -> Matrix:
    """Map rows; returns (V, E), float32."""
    return (_with_bias(source_VD) @ linear_map).astype(np.float32)


def fill_gaps(words: Sequence[str], vectors_VD: Matrix, known: Sequence[str], known_NE: Matrix) -> Matrix:
    """Give every word a vector of the other set: its own where it is known, else the mapped one.

    Args:
        words: V words of the complete set.
        vectors_VD: their vectors.
        known: words of the set with gaps; those that are not among ``words`` are left out.
        known_NE: their vectors.

    Returns:
        vectors_VE, float32.

    Raises:
        ValueError: the sets share no word.
    """
    rows = {word: row for row, word in enumerate(words)}
    shared = np.array([word in rows for word in known], dtype=bool)
    if not shared.any():
        raise ValueError("the two vector sets share no word")
    places_N = np.array([rows[word] for word in known if word in rows])
    filled_VE = apply_linear_map(vectors_VD, fit_linear_map(vectors_VD[places_N], known_NE[shared]))
    filled_VE[places_N] = known_NE[shared]
    return filled_VE


def _with_bias(source_VD: Matrix) -> NDArray[np.float64]:
    return np.hstack([source_VD, np.ones((len(source_VD), 1))])
