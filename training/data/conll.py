"""CoNLL-style files: one token a line, its tag last, a blank line after every sentence.

    -DOCSTART-  O           a new document begins; optional

    Ada         B-PER       word first, tag last, whatever stands between;
    Lovelace    I-PER       a tab or spaces part the columns
    met         O

Reading streams: a file may be longer than the memory, and a line is never held beyond :data:`MAX_LINE`.
A byte order mark is tolerated, and so are the line ends of Windows (CRLF) and of old Macs (CR), in any mixture.
"""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import IO, NamedTuple, TextIO

from fenestra.model.errors import DataError
from fenestra.model.tags import OUTSIDE

DOCSTART = "-DOCSTART-"
_MARK = DOCSTART.encode()
MAX_LINE = 1_000_000
"""Longest line that is read, in bytes, its end included."""
LONGEST_DOCUMENT = 50_000
"""Tokens from which a document ends at the next sentence, wherever its end is marked, so that memory stays bounded."""


class Line(NamedTuple):
    """A line without its end. ``fault`` says why it could not be read; the text is then empty, and ``raw`` tells it."""

    number: int
    text: str
    fault: str = ""
    raw: bytes = b""
    opens: bool = False
    """Of a bad line, whether it is a ``-DOCSTART-`` all the same."""


def opens_document(raw: bytes | bytearray) -> bool:
    r"""Whether the first column of a line is ``-DOCSTART-``, whatever else is wrong with it.

    Of a line that is longer than :data:`MAX_LINE` only its beginning is looked at.

    >>> opens_document(b" -DOCSTART- \xff\n"), opens_document(b"-DOCSTART- O\tO\n")
    (True, False)
    """
    line = raw[: MAX_LINE + 1].rstrip(b" \t\r\n")
    first = line.partition(b"\t")[0].strip(b" ") if b"\t" in line else line.lstrip(b" ").partition(b" ")[0]
    return first == _MARK


def split_lines(stream: IO[bytes], longest: int | None = None) -> Iterator[bytes]:
    r"""Part bytes into lines, each with its end: LF, CRLF or CR. Carriage returns before a line feed belong to it.

    Of a line that is longer than ``longest``, :data:`MAX_LINE` unless given, come its first bytes, one more than that,
    and its end.

    >>> import io
    >>> list(split_lines(io.BytesIO(b"a O\rb O\r\r\nc O")))
    [b'a O\r', b'b O\r\r\n', b'c O']

    Raises:
        OSError: the file cannot be read on.
    """
    longest = MAX_LINE if longest is None else longest
    held = b""  # what was read of a line whose end is yet to come
    while part := stream.readline(longest):
        if not held and part.endswith(b"\n") and b"\r" not in part:  # nearly every line
            yield part
            continue
        held += part
        body = held.rstrip(b"\r\n")
        end = held[len(body) :]
        *lines, last = body.split(b"\r")
        yield from (line[: longest + 1] + b"\r" for line in lines)
        held = last[: longest + 1] + end
        if end.endswith(b"\n"):
            yield held
            held = b""
        elif len(end) >= longest:  # a run of carriage returns that is no end of one line
            yield from _carriage_returns(held)
            held = b""
    yield from _carriage_returns(held)


def read_lines(stream: IO[bytes], *, begun: bool = False) -> Iterator[Line]:
    """Part bytes into lines, counted from 1, and decode them; a bad line is marked and does not end the reading.

    A stream that goes on with what others have ``begun`` to read has no mark of byte order.
    """
    number = 0
    try:
        for raw in split_lines(stream):
            number += 1
            opens = number == 1 and not begun
            if opens and raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                yield Line(number, "", "begins with the byte order mark of UTF-16; expected UTF-8")
                return  # every further line would be a consequence
            if len(raw) > MAX_LINE:
                fault = f"line longer than {MAX_LINE:,} bytes; expected one token and its tag"
                yield Line(number, "", fault, opens=opens_document(raw))
            else:
                yield _decode(number, raw.removeprefix(BOM_UTF8) if opens else raw)
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


def iter_conll_words(
    stream: IO[bytes], name: str, *, begun: bool = False, skip: Callable[[Line], object] | None = None
) -> Iterator[list[str]]:
    """Read the words of one sentence after the other; tags, if there are any, are not looked at.

    A ``-DOCSTART-`` line is a sentence of that one word, so that every line of the input has one in the output.

    Args:
        stream: the file, open for reading bytes.
        name: what messages call it.
        begun: it goes on with what others have begun to read.
        skip: is told of the first bad line of a sentence, which is then left out. A bad ``-DOCSTART-`` still begins a
            document.

    Raises:
        DataError: without ``skip``: a line cannot be decoded, is too long, or begins with an empty column;
            ``name:line: …``.
    """
    words: list[str] = []
    bad = False
    for line in read_lines(stream, begun=begun):
        cells = columns(line.text)
        fault = line.fault or ("the first column is empty; expected a word" if cells[:1] == [""] else "")
        opens = line.opens or cells[:1] == [DOCSTART]
        if opens or not (cells or fault):
            if words and not bad:
                yield words
            words, bad = [], False
        if fault:
            if skip is None:
                raise DataError(f"{name}:{line.number}: {fault}")
            if not bad:
                skip(line._replace(fault=fault, raw=line.raw or line.text.encode()))
            bad = not opens
        elif cells and not opens:
            words.append(cells[0])
        if opens:
            yield [DOCSTART]
    if words and not bad:
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


def _carriage_returns(held: bytes) -> Iterator[bytes]:
    """The lines of what ends in carriage returns alone: each of them ends one."""
    body = held.rstrip(b"\r")
    returns = len(held) - len(body)
    if body or returns:
        yield body + b"\r" * min(returns, 1)
    yield from repeat(b"\r", returns - 1)


def _decode(number: int, raw: bytes) -> Line:
    try:
        return Line(number, raw.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as error:
        fault = f"byte {error.start + 1} of the line is 0x{raw[error.start]:02x}; expected UTF-8"
        return Line(number, "", fault, raw, opens_document(raw))
