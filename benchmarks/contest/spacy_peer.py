"""spaCy as a contender: ``python -m benchmarks.contest.spacy_peer MATERIAL COPIES MODEL THREADS [openblas]``.

Runs in spaCy's own virtual environment. As installed, its matrix products are done by BLIS; with ``openblas`` by the
OpenBLAS of numpy. With two threads, which BLIS does not use, spaCy may also divide the texts between two processes.
Batch sizes are tried, and the fastest is taken.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import spacy
import thinc
from spacy.tokens import Doc
from thinc.api import NumpyOps, set_current_ops

from benchmarks.contest.protocol import Contender, Material, Place, Words, serve

BATCH_SIZES = (32, 64, 128, 256, 512, 1024, 2048)
_TRIES = 2  # of each choice; the better one counts
_OTHERS = ("tagger", "parser", "attribute_ruler", "lemmatizer", "senter")
"""What a pipeline may have beside what finds entities; without it, it is as fast as it can be."""


class Spacy(Contender):
    """A pipeline that finds entities."""

    def __init__(self, folder: str, threads: int, blas: str) -> None:
        if blas == "openblas":
            set_current_ops(NumpyOps(use_blis=False))
        self._nlp = spacy.load(folder, exclude=_OTHERS)
        self._blas = blas
        self._processes = tuple(range(1, threads + 1))
        self._chosen = {"raw": (64, 1), "tokens": (256, 1)}

    def facts(self) -> dict[str, Any]:
        """Which versions, which components."""
        version = {"spacy": spacy.__version__, "thinc": thinc.__version__}
        return {**version, "blas": self._blas, "pipeline": self._nlp.pipe_names}

    def tune(self, way: str, items: Sequence[Any]) -> dict[str, Any]:
        """Try every batch size that there is more than one batch of, and every number of processes."""
        work = self.raw if way == "raw" else self.tokens
        count = len(items) if way == "raw" else sum(map(len, items))
        sizes = [size for size in BATCH_SIZES if size < count] or BATCH_SIZES[:1]
        seconds: dict[tuple[int, int], float] = {}
        work(items[:8])  # the first documents pay for what is made once
        for choice in _TRIES * [(size, processes) for processes in self._processes for size in sizes]:
            self._chosen[way] = choice
            began = time.perf_counter()
            work(items)
            seconds[choice] = min(time.perf_counter() - began, seconds.get(choice, float("inf")))
        best = min(seconds, key=lambda choice: seconds[choice])
        self._chosen[way] = best
        tried = [{"batch_size": s, "processes": p, "seconds": round(took, 3)} for (s, p), took in seconds.items()]
        return {"batch_size": best[0], "processes": best[1], "tried": tried}

    def raw(self, texts: Sequence[str]) -> list[list[Place]]:
        """In batches, as its manual says."""
        return [_characters(doc) for doc in self._pipe("raw", texts)]

    def raw_one(self, text: str) -> list[Place]:
        """One call."""
        return _characters(self._nlp(text))

    def tokens(self, documents: Sequence[Sequence[Words]]) -> list[list[Place]]:
        """Each sentence by itself, which is how the pipeline was trained."""
        docs = (Doc(self._nlp.vocab, words=words) for words in chain.from_iterable(documents))
        return [_words(doc) for doc in self._pipe("tokens", docs)]

    def tokens_one(self, words: Words) -> list[Place]:
        """One call."""
        return _words(self._nlp(Doc(self._nlp.vocab, words=words)))

    def _pipe(self, way: str, items: Any) -> Iterator[Doc]:  # noqa: ANN401 - texts or docs
        size, processes = self._chosen[way]
        return self._nlp.pipe(items, batch_size=size, n_process=processes)


def _characters(doc: Doc) -> list[Place]:
    return [(entity.start_char, entity.end_char, entity.label_) for entity in doc.ents]


def _words(doc: Doc) -> list[Place]:
    return [(entity.start, entity.end, entity.label_) for entity in doc.ents]


def main(material: str, copies: str, folder: str, threads: str, blas: str = "blis") -> None:
    """Answer until standard input ends."""
    serve(lambda: Spacy(folder, int(threads), blas), Material(Path(material), int(copies)))


if __name__ == "__main__":
    main(*sys.argv[1:])
