"""Vector sets as they lie in the cache: the words, one a line, and a table of float32.

    words.txt vectors.npy             row i of the table is the vector of word i
    words.txt vectors.npy rows.npy    words share rows, to be small: word i has row rows[i]

V words · R rows of a table that words share · D width of a vector
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORDS = "words.txt"
VECTORS = "vectors.npy"
ROWS = "rows.npy"


def write_vector_set(
    folder: Path,
    words: Sequence[str],
    vectors_RD: NDArray[np.float32],
    rows_V: Sequence[int] | NDArray[np.integer[Any]] | None = None,
) -> None:
    """Write words and their vectors as :func:`read_vector_set` reads them.

    Args:
        folder: where to.
        words: V different words, none of which holds a line break.
        vectors_RD: the table.
        rows_V: the row of each word, counted from 0; without it word i has row i.
    """
    (folder / WORDS).write_text("".join(f"{word}\n" for word in words), encoding="utf-8", newline="\n")
    np.save(folder / VECTORS, np.ascontiguousarray(vectors_RD, dtype=np.float32), allow_pickle=False)
    if rows_V is not None:
        np.save(folder / ROWS, np.asarray(rows_V, dtype=np.uint32), allow_pickle=False)


def read_vector_set(folder: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read the words and vectors_VD of a fetched vector set.

    The numbers are left in the file, which the system reads as they are used; writing to them does not change it.
    Those of a set whose words share rows are written out, a row for each word: :func:`read_shared_set` does not.

    Raises:
        ValueError: not one vector a word, or a word occurs twice.
        OSError: a file cannot be read.
    """
    words, vectors_RD, rows_V = read_shared_set(folder)
    return words, vectors_RD if rows_V is None else vectors_RD[rows_V]


def read_shared_set(folder: Path) -> tuple[list[str], NDArray[np.float32], NDArray[np.uint32] | None]:
    """Read a fetched vector set as it lies there.

    Returns:
        The words, vectors_RD, and rows_V, the row of each word; None if word i has row i, and R is V.

    Raises:
        ValueError: not one vector a word, a row that is not there, or a word occurs twice.
        OSError: a file cannot be read.
    """
    words = (folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1]
    vectors_RD: NDArray[np.float32] = np.load(folder / VECTORS, mmap_mode="c", allow_pickle=False)
    rows_V: NDArray[np.uint32] | None = None
    if (folder / ROWS).exists():
        rows_V = np.load(folder / ROWS, allow_pickle=False)
        if rows_V.ndim != 1 or rows_V.dtype != np.uint32 or rows_V.max(initial=0) >= len(vectors_RD):
            raise ValueError(f"rows of shape {rows_V.shape}, {rows_V.dtype}, for a table of shape {vectors_RD.shape}")
    different, given = len(set(words)), len(vectors_RD) if rows_V is None else len(rows_V)
    if vectors_RD.ndim != 2 or not different == len(words) == given:
        found = f"{len(words)} words, {different} of them different"
        raise ValueError(f"{found}, with {given} rows for a table of shape {vectors_RD.shape}")
    return words, vectors_RD, rows_V
