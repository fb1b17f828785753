"""A linear-chain CRF as a contender: ``python -m benchmarks.contest.crf_peer MATERIAL COPIES MODEL FOLDER``.

Runs in the virtual environment of sklearn-crfsuite. The features of a sentence must be those that the model was
trained with: ``sent_feats`` of the ``crf.py`` in FOLDER, the program that trained it. A CRF works sentence by sentence,
so a large batch is a loop.
"""

import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.contest.protocol import Contender, Material, Place, Words, arguments, serve


class Crf(Contender):
    """A tagger of words."""

    def __init__(self, model: str, folder: str) -> None:
        sys.path.append(folder)
        self._features = import_module("crf").sent_feats
        self._tagger = import_module("pycrfsuite").Tagger()
        self._tagger.open(model)

    def facts(self) -> dict[str, Any]:
        """Which version."""
        return {"python-crfsuite": metadata.version("python-crfsuite")}

    def tokens(self, documents: Sequence[Sequence[Words]]) -> list[list[str]]:
        """One sentence after the other."""
        return [self.tokens_one(words) for words in chain.from_iterable(documents)]

    def tokens_one(self, words: Words) -> list[str]:
        """Tags in IOB2."""
        tags: list[str] = self._tagger.tag(self._features(words))
        return tags

    def places(self, answer: list[str]) -> list[Place]:
        """Entities that tags spell."""
        return spelt(answer)


def spelt(tags: Sequence[str]) -> list[Place]:
    """The entities that IOB2 tags spell; an ``I-`` that continues nothing opens one.

    >>> spelt(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'LOC')]
    """
    places: list[Place] = []
    before = "O"
    for number, tag in enumerate(tags):
        prefix, _, label = tag.partition("-")
        if prefix == "I" and before != "O" and before[2:] == label:
            places[-1] = (places[-1][0], number + 1, label)
        elif prefix in ("B", "I"):
            places.append((number, number + 1, label))
        before = tag
    return places


def main(material: str, copies: str, model: str, folder: str) -> None:
    """Answer until standard input ends."""
    serve(lambda: Crf(model, folder), Material(Path(material), int(copies)))


if __name__ == "__main__":
    main(*arguments(__doc__, "material", "copies", "model", "folder"))
