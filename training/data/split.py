"""Split a corpus into two files: its first part and the rest, or a random part and the rest.

Documents stay whole and in their order. Neighbouring documents often have the same source and the same names, so a
random part shares names with the rest, and scores on it are too high; but where a corpus is sorted, by date or by
topic, its last part is another kind of text than the first, and a random part is the better choice.
"""

import random
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from fenestra.model.errors import DataError, InputError, StorageError
from fenestra.training.compressed import open_file
from fenestra.training.data.conll import DOCSTART, columns, read_lines
from fenestra.training.data.formats import detect_format
from fenestra.training.data.formats.columns import NEWDOC

_SIZE = re.compile(r"[0-9]{1,9}|[0-9]{1,2}(\.[0-9]{1,9})?%")

Lines = list[str]
"""A sentence as the file has it; the line that begins a document is one by itself."""


class Size(NamedTuple):
    """The size of the first part: a number of documents, or a share of them."""

    documents: int = 0
    share: Fraction = Fraction(0)

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Read ``110`` or ``75%``.

        Raises:
            ValueError: it is neither a whole number above 0 nor a percentage between 0 and 100.
        """
        if not _SIZE.fullmatch(text) or not Fraction(text.rstrip("%")):
            raise ValueError(text)
        return cls(share=Fraction(text[:-1]) / 100) if text.endswith("%") else cls(documents=int(text))

    def of(self, number: int) -> int:
        """Documents of the first part, out of ``number``; rounded down."""
        return self.documents or int(self.share * number)


class Part(NamedTuple):
    """What was written to a file."""

    path: Path
    documents: int
    """0 where the corpus marks none."""
    sentences: int

    def __str__(self) -> str:
        documents = f"{self.documents:,} documents, " if self.documents else ""
        return f"{self.path}: {documents}{self.sentences:,} sentences"


def split_corpus(path: Path, size: Size, first: Path, rest: Path, *, seed: int | None = None) -> tuple[Part, Part]:
    """Write some documents of a corpus to one file and the others to another, line by line as they are.

    Args:
        path: one token a line, plain or compressed; comments stay with their sentence. Where it marks no documents,
            every sentence is one.
        size: what goes to the first file.
        first: must not exist yet.
        rest: must not exist yet.
        seed: of the choice of the documents of the first file at random; the same seed chooses the same. Without one
            they are the first of the corpus.

    Raises:
        DataError: the corpus cannot be read.
        InputError: one of the parts would be empty, or a file is there already.
        StorageError: the disk refused.
    """
    if first.resolve() == rest.resolve() or first.exists() or rest.exists():
        raise InputError(f"{first if first.exists() else rest}: is taken; each part needs a new file")
    if (form := detect_format(path)) not in ("conll", "conllu"):
        raise InputError(f"{path}: is {form}, expected one token a line; fenestra data convert writes it so")
    sentences = list(_sentences(path))
    marked = any(_opens(sentence) or _opens_in_comment(sentence) for sentence in sentences)
    documents = _documents(sentences) if marked else [[sentence] for sentence in sentences]
    count = size.of(len(documents))
    chosen = _chosen(len(documents), count, seed)
    halves: list[list[Lines]] = [[], []]
    for place, document in enumerate(documents):
        halves[place not in chosen] += document
    found = [sum(not _opens(sentence) for sentence in half) for half in halves]
    if not all(found):
        marks = f"{len(documents):,} documents" if marked else f"{len(documents):,} sentences, no mark of a document"
        raise InputError(f"{path}: has {marks}; with {count:,} in the first part one part is empty")
    _write({first: halves[0], rest: halves[1]})
    counts = (count, len(documents) - count) if marked else (0, 0)
    return Part(first, counts[0], found[0]), Part(rest, counts[1], found[1])


def _chosen(number: int, count: int, seed: int | None) -> Container[int]:
    """Places of the documents of the first part."""
    count = min(count, number)
    return range(count) if seed is None else frozenset(random.Random(seed).sample(range(number), count))


def _sentences(path: Path) -> Iterator[Lines]:
    sentence: Lines = []
    with open_file(path) as stream:
        for number, text, fault, *_ in read_lines(stream):
            if fault:
                raise DataError(f"{path}:{number}: {fault}")
            alone = _opens([text])
            if sentence and (alone or not columns(text)):
                yield sentence
                sentence = []
            if alone:
                yield [text]
            elif columns(text):
                sentence.append(text)
    if sentence:
        yield sentence


def _opens(sentence: Lines) -> bool:
    """Whether this is the line that begins a document."""
    return columns(sentence[0])[:1] == [DOCSTART]


def _opens_in_comment(sentence: Lines) -> bool:
    """Whether a document begins with this sentence, as its comments say."""
    return any(NEWDOC.match(line) for line in sentence)


def _documents(sentences: Sequence[Lines]) -> list[list[Lines]]:
    """Group sentences by documents; those before the first mark are one document."""
    documents: list[list[Lines]] = [[]]
    for sentence in sentences:
        if _opens(sentence) or _opens_in_comment(sentence):
            documents.append([])
        documents[-1].append(sentence)
    return documents if documents[0] else documents[1:]


def _write(halves: Mapping[Path, Sequence[Lines]]) -> None:
    """Write new files: all of them or none."""
    written: list[Path] = []
    for path, sentences in halves.items():
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.writelines(f"{line}\n" for sentence in sentences for line in (*sentence, ""))
        except OSError as error:
            for some in written:
                some.unlink()
            raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
