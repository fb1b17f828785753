"""One corpus into two files: its first part, and what is left of it.

Documents stay whole and in their order. What stands close together is often of one source, with the same names, so a
part drawn at random would share them with the rest, and what is decided by it would look better than it is.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from model.conll import DOCSTART, columns, open_bytes, read_lines
from model.errors import DataError, InputError, StorageError

Lines = list[str]
"""A sentence as the file has it; the line that begins a document is one by itself."""


class Size(NamedTuple):
    """How much goes to the first part: so many documents, or a share of them."""

    documents: int = 0
    share: Fraction = Fraction(0)

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Read ``110`` or ``75%``.

        Raises:
            ValueError: it is neither a whole number above 0 nor a percentage between 0 and 100.
        """
        number = Fraction(text.removesuffix("%"))
        if text.endswith("%") and 0 < number < 100:
            return cls(share=number / 100)
        if not text.endswith("%") and number >= 1 and number.denominator == 1:
            return cls(documents=int(number))
        raise ValueError(text)

    def of(self, number: int) -> int:
        """The first part of so many, rounded down."""
        return self.documents or int(self.share * number)


class Part(NamedTuple):
    """What went to a file."""

    path: Path
    documents: int
    """0 where the corpus marks none."""
    sentences: int

    def __str__(self) -> str:
        documents = f"{self.documents:,} documents, " if self.documents else ""
        return f"{self.path}: {documents}{self.sentences:,} sentences"


def split_corpus(path: Path, size: Size, first: Path, rest: Path) -> tuple[Part, Part]:
    """Write the first documents of a corpus to one file and the others to another, line by line as they are.

    Args:
        path: one token a line, plain or gzipped. Where it marks no documents, every sentence is one.
        size: what goes to the first file.
        first: must not exist yet.
        rest: must not exist yet.

    Raises:
        DataError: the corpus cannot be read.
        InputError: one of the parts would be empty, or a file is there already.
        StorageError: the disk refused.
    """
    sentences = list(_sentences(path))
    marked = any(map(_opens, sentences))
    documents = _documents(sentences) if marked else [[sentence] for sentence in sentences]
    count, unit = size.of(len(documents)), "documents" if marked else "sentences"
    if not 0 < count < len(documents):
        raise InputError(f"{path}: has {len(documents):,} {unit}; a first part of {count:,} leaves one part empty")
    if first == rest or first.exists() or rest.exists():
        raise InputError(f"{first if first.exists() else rest}: is taken; each part needs a new file")
    return _write(first, documents[:count], marked), _write(rest, documents[count:], marked)


def _sentences(path: Path) -> Iterator[Lines]:
    sentence: Lines = []
    with open_bytes(path) as stream:
        for number, text, fault in read_lines(stream):
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


def _documents(sentences: Sequence[Lines]) -> list[list[Lines]]:
    """Sentences by documents; what stands before the first mark is one."""
    documents: list[list[Lines]] = [[]]
    for sentence in sentences:
        if _opens(sentence):
            documents.append([])
        documents[-1].append(sentence)
    return documents if documents[0] else documents[1:]


def _write(path: Path, documents: Sequence[list[Lines]], marked: bool) -> Part:
    sentences = list(chain.from_iterable(documents))
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for sentence in sentences for line in (*sentence, ""))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
    return Part(path, len(documents) if marked else 0, sum(not _opens(sentence) for sentence in sentences))
