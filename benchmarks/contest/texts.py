"""Texts that do not repeat, for :mod:`benchmarks.contest.cold`: collections beside the checkout, and words made up.

The collections may not be passed on, so they are not part of the project: ``peers/diverse.py`` of a folder ``shared``
collects English of many kinds, and ``corpora/wikineural_ru`` is Russian. A text whose source is absent is left out.
"""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

DIVERSE, RUSSIAN = Path("peers", "diverse.py"), Path("corpora", "wikineural_ru")
_SENTENCES = 20
"""Of a Russian document; the corpus does not say where its documents end."""
_SENTENCE = 20
"""Words of a sentence of made-up words."""

Document = list[list[str]]


@dataclass(frozen=True)
class Collection:
    """Documents that are tagged once."""

    name: str
    model: str
    """The bundled model for them."""
    documents: list[Document]

    @property
    def tokens(self) -> int:
        """Words that spaces part."""
        return sum(len(sentence) for document in self.documents for sentence in document)

    @property
    def distinct(self) -> int:
        """Different ones of these."""
        return len({w for document in self.documents for sentence in document for w in sentence})

    def write(self, path: Path) -> Path:
        """As material for contenders (:class:`benchmarks.contest.protocol.Material`)."""
        path.write_text(json.dumps({"documents": self.documents, "calls": []}), encoding="utf-8")
        return path


def english(shared: Path, every: int, scratch: Path) -> Collection | str:
    """Each N-th text of the English collection; or why there is none."""
    script = shared / DIVERSE
    if not script.is_file():
        return f"no English text that does not repeat: {DIVERSE} is not in --shared"
    out = scratch / "diverse.json"
    command = [sys.executable, str(script), "collect", str(out), "--every", str(every)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    texts = json.loads(out.read_text(encoding="utf-8"))["texts"]
    return Collection("English", "english", [[text.split(" ")] for text in texts])


def russian(shared: Path, every: int) -> Collection | str:
    """Each N-th document of the Russian corpus; or why there is none."""
    files = sorted((shared / RUSSIAN).glob("*.conll.gz"))
    if not files:
        return f"no Russian text that does not repeat: {RUSSIAN} is not in --shared"
    sentences = list(chain.from_iterable(map(read_sentences, files)))
    documents = [sentences[begin : begin + _SENTENCES] for begin in range(0, len(sentences), _SENTENCES)]
    return Collection("Russian", "russian", documents[::every])


def made_up(count: int) -> Collection:
    """One text of so many words, no two of which are the same; every twentieth ends in a full stop.

    >>> made_up(3).documents
    [[['ba', 'be', 'bi']]]
    """
    from benchmarks.synthetic import word  # needs torch, which the environments of clients do not have

    words = [word(number) + "." * (number % _SENTENCE == _SENTENCE - 1) for number in range(count)]
    return Collection("made-up words", "english", [[words]])


def read_sentences(path: Path) -> Iterator[list[str]]:
    """The words of a compressed two-column file, a sentence at a time."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        words: list[str] = []
        for line in file:
            first = line.rstrip("\n").split("\t")[0]
            if first and first != "-DOCSTART-":
                words.append(first)
            elif words:
                yield words
                words = []
        if words:
            yield words
