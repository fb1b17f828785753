"""CoNLL-style files: one token a line, its tag last, a blank line after every sentence.

    -DOCSTART-  O           a new document begins; optional

    Ada         B-PER       word first, tag last, whatever stands between;
    Lovelace    I-PER       a tab or spaces part the columns
    met         O

Reading streams: a file may be longer than the memory, and a line is never held beyond :data:`MAX_LINE`.
A byte order mark and Windows line ends are tolerated.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, TextIO, cast

from fenestra.model.errors import DataError
from fenestra.model.tags import OUTSIDE

DOCSTART = "-DOCSTART-"
MAX_LINE = 1_000_000
"""Longest line that is read, in bytes, its end included."""
LONGEST_DOCUMENT = 50_000
"""Tokens from which a document ends at the next sentence, wherever its end is marked, so that memory stays bounded."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line without its end. ``fault`` says why it could not be read; the text is then empty."""

    number: int
    text: str
    fault: str = ""


class _Gzip(gzip.GzipFile):
    """A gzipped stream that closes what it reads from; a pipe could not be opened again by its name."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(fileobj=file)
        self._file = file

    def close(self) -> None:
        """Close both."""
        try:
            super().close()
        finally:
            self._file.close()


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, through gzip if its first bytes say so.

    Raises:
        DataError: there is no such file, it is a folder, or it may not be read.
    """
    try:
        file = path.open("rb")
        if file.peek(2)[:2] != _GZIP:
            return file
        return cast("IO[bytes]", _Gzip(file))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def read_lines(stream: IO[bytes]) -> Iterator[Line]:
    """Part bytes into lines, counted from 1, and decode them; a bad line is marked and does not end the reading."""
    number = 0
    try:
        while raw := stream.readline(MAX_LINE):
            number += 1
            if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
                _skip_line(stream)
                yield Line(number, "", f"line longer than {MAX_LINE:,} bytes; expected one token and its tag")
            else:
                yield _decode(number, raw.removeprefix(_BOM) if number == 1 else raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Line(number + 1, "", f"truncated or damaged gzip file ({error})")
    except OSError as error:
        yield Line(number + 1, "", f"cannot be read ({error.strerror})")


def columns(text: str) -> list[str]:
    r"""Part a line into its columns: at tabs if it has one, else at runs of spaces. A blank line has none.

    Other white space, such as a no-break space, belongs to the word.

    >>> columns("EU NNP B-NP B-ORG"), columns("New York\tB-LOC"), columns("  ")
    (['EU', 'NNP', 'B-NP', 'B-ORG'], ['New York', 'B-LOC'], [])
    """
    text = text.rstrip(" \t")
    if "\t" in text:
        return [cell.strip(" ") for cell in text.split("\t")]
    return [cell for cell in text.split(" ") if cell]


def iter_conll_words(stream: IO[bytes], name: str) -> Iterator[list[str]]:
    """Read the words of one sentence after the other; tags, if there are any, are not looked at.

    A ``-DOCSTART-`` line is a sentence of that one word, so that every line of the input has one in the output.

    Args:
        stream: the file, open for reading bytes.
        name: what messages call it.

    Raises:
        DataError: a line cannot be decoded, is too long, or begins with an empty column; ``name:line: …``.
    """
    words: list[str] = []
    for number, text, fault in read_lines(stream):
        cells = columns(text)
        if fault or (cells and not cells[0]):
            raise DataError(f"{name}:{number}: {fault or 'the first column is empty; expected a word'}")
        opens_document = bool(cells) and cells[0] == DOCSTART
        if words and (opens_document or not cells):
            yield words
            words = []
        if opens_document:
            yield [DOCSTART]
        elif cells:
            words.append(cells[0])
    if words:
        yield words


def write_conll(stream: TextIO, sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> None:
    """Write ``word<TAB>tag`` lines with a blank line after each sentence.

    A ``-DOCSTART-`` sentence is written with the tag ``O``, whatever a tagger made of it.

    Args:
        stream: where to.
        sentences: the words of each sentence.
        tags: as many tags for each sentence; may be computed while they are written.
    """
    for words, found in zip(sentences, tags, strict=True):
        if list(words) == [DOCSTART]:
            found = [OUTSIDE]
        lines = (f"{word}\t{tag}\n" for word, tag in zip(words, found, strict=True))
        stream.write("".join(lines) + "\n")


def _skip_line(stream: IO[bytes]) -> None:
    """Read on to the end of the current line."""
    while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
        pass


def _decode(number: int, raw: bytes) -> Line:
    try:
        return Line(number, raw.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as error:
        return Line(number, "", f"byte {error.start + 1} of the line is 0x{raw[error.start]:02x}; expected UTF-8")
