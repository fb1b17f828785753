"""Russian word vectors of the Natasha project: navec, learnt from a billion words of news.

The most frequent word comes first; all are lower-cased, and ``ё`` is kept. A vector of 300 numbers is stored as 100
codes, each naming one of 256 triples (product quantisation, Jégou et al. 2011); here they are written out.
"""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fenestra.training.sources.source import Package, Source
from fenestra.training.sources.vector_sets import write_vector_set

_NATASHA = Package("pip", "natasha", "1.6.0", "e12b130d05a0b4d2eb6442092ed5b5769a68a311c17f2095b1aa739fb8d6dc78", 34)
_SPECIAL = {"<unk>", "<pad>"}


def _build(files: Sequence[Path], folder: Path) -> None:
    with zipfile.ZipFile(files[0]) as package:
        archive = package.read("natasha/data/emb/navec_news_v1_1B_250K_300d_100q.tar")
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        parts = {name: _member(members, name) for name in ("vocab.bin", "pq.bin")}
    words, counts_V = _read_vocabulary(parts["vocab.bin"])
    rows = [int(row) for row in np.argsort(-counts_V, kind="stable") if words[row] not in _SPECIAL]
    write_vector_set(folder, [words[row] for row in rows], _read_vectors(parts["pq.bin"])[rows])


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    return stream.read() if stream else b""


def _read_vocabulary(packed: bytes) -> tuple[list[str], NDArray[np.int64]]:
    """The number of words, a count for each, and the words, one a line."""
    content = gzip.decompress(packed)
    size = int(np.frombuffer(content, "<u4", 1)[0])
    counts_V = np.frombuffer(content, "<u4", size, 4)
    return content[4 + counts_V.nbytes :].decode("utf-8").split("\n"), counts_V.astype(np.int64)


def _read_vectors(content: bytes) -> NDArray[np.float32]:
    """Four sizes, the codes of each word, and for each code's place the pieces of a vector it chooses from."""
    size, width, places, pieces = (int(number) for number in np.frombuffer(content, "<u4", 4))
    codes_VP = np.frombuffer(content, np.uint8, size * places, 16).reshape(size, places)
    pieces_PCE = np.frombuffer(content, "<f4", offset=16 + codes_VP.nbytes).reshape(places, pieces, width // places)
    return pieces_PCE[np.arange(places), codes_VP].reshape(size, width)


NAVEC = Source(
    "navec",
    "vectors",
    "navec_news_v1 of the Natasha project: Russian, a billion words of news, 250,000 lower-cased words, 300-d",
    "MIT (Natasha contributors)",
    (_NATASHA,),
    _build,
    megabytes=304,
)
