"""natasha's tagger of Russian as a contender: ``python -m benchmarks.contest.natasha_peer MATERIAL COPIES``.

Runs in an environment of its own, with ``pip install natasha==1.6.0 setuptools`` (MIT, weights included). It is given
words, so that cutting text is not part of its time.
"""

from collections.abc import Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

from natasha import NewsEmbedding, NewsNERTagger

from benchmarks.contest.crf_peer import spelt
from benchmarks.contest.protocol import Contender, Material, Place, Words, arguments, serve


class Natasha(Contender):
    """A convolutional tagger in NumPy."""

    def __init__(self) -> None:
        self._infer = NewsNERTagger(NewsEmbedding()).infer

    def facts(self) -> dict[str, Any]:
        """Which version."""
        return {"natasha": metadata.version("natasha")}

    def tokens(self, documents: Sequence[Sequence[Words]]) -> list[list[str]]:
        """What its ``infer`` does after cutting words itself; it makes batches of sentences."""
        sentences = list(chain.from_iterable(documents))
        return list(self._infer.decoder(self._infer.process(self._infer.encoder(sentences))))

    def tokens_one(self, words: Words) -> list[str]:
        """Tags of one sentence."""
        return self.tokens([[words]])[0]

    def places(self, answer: list[str]) -> list[Place]:
        """Entities that tags spell."""
        return spelt(answer)


def main(material: str, copies: str) -> None:
    """Answer until standard input ends."""
    serve(Natasha, Material(Path(material), int(copies)))


if __name__ == "__main__":
    main(*arguments(__doc__, "material", "copies"))
