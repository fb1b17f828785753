"""Brown clusters of English, Spanish and German, as spaCy 2 had them.

Brown et al. (1992) merge words two clusters at a time into a binary tree; the path from its root to a word's cluster is
a bit string, and a prefix of it names a coarser cluster.

    clusters.tsv    word<TAB>bit string, the most frequent word first (the English counts are of Reddit comments of
                    2015; the package does not say what the others were counted on)

The package holds the string as an integer, the first bit as the lowest, so zeros at the end of a string are lost. They
can be restored, as the strings are the leaves of a full tree: of all integers, 0 among them, each leaf ends where it
differs from its neighbours (checked for each language: their 2^-length add up to exactly 1). Two losses of spaCy's
processing remain. 0 also stands for a word without a cluster, so the words of the one leaf of zeros cannot be
distinguished from those and are left out, such as ``"`` and ``?`` in English. And a word that was seen in one casing
only has its cluster in others too.
"""

import gzip
import json
import zipfile
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from fenestra.training.sources.source import Package, Source

CLUSTERS = "clusters.tsv"

_LOOKUPS = Package(
    "pip", "spacy-lookups-data", "1.0.5", "466f21f087e4144bc93800679437ec5a17be7d0888734b1ba880b3ecb0978bc6", 98
)


def bit_strings(codes: Iterable[int]) -> dict[int, str]:
    """The paths to the leaves of a full binary tree, from integers that hold each with its first bit as the lowest.

    Args:
        codes: different integers, one for each leaf of the tree.

    >>> bit_strings([0b0, 0b10, 0b1])
    {0: '00', 2: '01', 1: '1'}
    """
    width = max(codes := set(codes)).bit_length()
    paths = sorted(f"{code:0{width}b}"[::-1] for code in codes)
    shared = [width - (int(path, 2) ^ int(after, 2)).bit_length() for path, after in pairwise(paths)]
    depths = [max(near) + 1 for near in zip([0, *shared], [*shared, 0], strict=True)]
    return {int(path[::-1], 2): path[:depth] for path, depth in zip(paths, depths, strict=True)}


def _build(language: str, files: Sequence[Path], folder: Path) -> None:
    with zipfile.ZipFile(files[0]) as package:
        packed = package.read(f"spacy_lookups_data/data/{language}_lexeme_cluster.json.gz")
    codes: dict[str, int] = json.loads(gzip.decompress(packed))
    paths = bit_strings(codes.values())
    lines = [f"{word}\t{paths[code]}\n" for word, code in codes.items() if code]
    (folder / CLUSTERS).write_text("".join(lines), encoding="utf-8", newline="\n")


def _clusters(name: str, language: str, content: str, megabytes: int) -> Source:
    title = f"Brown clusters of spaCy 2, {content}"
    return Source(name, "clusters", title, "MIT (Explosion)", (_LOOKUPS,), partial(_build, language), megabytes)


BROWN = _clusters("brown", "en", "English, cased: 190,129 words in 999 clusters", 4)
BROWN_ES = _clusters("brown-es", "es", "Spanish, cased: 492,063 words in 699 clusters", 11)
BROWN_DE = _clusters("brown-de", "de", "German, cased: 860,592 words in 749 clusters", 23)
