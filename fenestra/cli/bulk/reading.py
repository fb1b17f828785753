"""Chunks of a file become texts, or documents of words.

    text     a text is a line, a paragraph or a file (`--unit`); its words look at no other text
    conll    one token a line, a blank line after each sentence; tags are not looked at
    jsonl    one object a line with `text`, or with `tokens`, a list of words; other keys are kept
    parquet  a row is such an object

Sentences between two ``-DOCSTART-`` lines are one document, as in training.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, NoReturn

from fenestra.cli.bulk.chunks import Chunk, Document, chunks_of
from fenestra.cli.bulk.inputs import InputFormat
from fenestra.cli.bulk.parquet import rows_of
from fenestra.cli.bulk.texts import MAX_BYTES, Unit, texts
from fenestra.model.errors import DataError
from fenestra.training.data.conll import DOCSTART, LONGEST_DOCUMENT, Line, iter_conll_words


@dataclass(frozen=True, slots=True)
class Item:
    """A text, or a document of sentences that are words already."""

    content: str | Document
    record: dict[str, Any]
    """What else its line held; empty for a CoNLL file."""
    line: int
    """Where it begins: a line or row of its chunk, from 1; 0 for a CoNLL file."""

    @property
    def size(self) -> int:
        """Characters, roughly."""
        return len(self.content) if isinstance(self.content, str) else 6 * sum(map(len, self.content))


class Bad(NamedTuple):
    """What is no text, or too long a one."""

    line: int
    """A line or row of its chunk, from 1; 0 is the file as a whole."""
    error: str
    raw: bytes | None = None
    """What was read, where it is held."""
    too_long: bool = False
    """Whether it is only longer than is allowed."""


class _Stop(Exception):
    """Nothing more is wanted."""


def read(
    chunk: Chunk,
    told: Callable[[Bad], bool],
    *,
    unit: Unit = "line",
    max_bytes: int = MAX_BYTES,
    taken: str | None = None,
) -> Iterator[Item]:
    """Read the items of a chunk.

    Args:
        chunk: a piece of a file.
        told: is told of everything that is no text; false ends the reading.
        unit: what one text of a text file is.
        max_bytes: longest text or JSON line.
        taken: a key that no JSON object may have.
    """

    def tell(line: int, error: str, raw: bytes | None = None, *, too_long: bool = False) -> None:
        if not told(Bad(line, error, raw, too_long)):
            raise _Stop

    def skip(line: Line) -> None:
        tell(line.number, line.fault, line.raw or None)

    try:
        if chunk.fault:
            tell(chunk.fault_line, chunk.fault)
        elif chunk.form == "conll":
            sentences = iter_conll_words(io.BytesIO(chunk.data), "", begun=True, skip=skip)
            yield from (Item(document, {}, 0) for document in documents(sentences, marked=chunk.marked))
        elif chunk.form == "parquet":
            yield from _rows(chunk, tell, max_bytes, taken)
        else:
            yield from _texts(chunk, tell, unit, max_bytes, taken)
    except _Stop:
        return


def items(
    source: IO[bytes],
    name: str,
    form: InputFormat,
    *,
    unit: Unit = "line",
    max_bytes: int = MAX_BYTES,
) -> Iterator[Item]:
    """Read the texts or documents of a stream, one at a time.

    Raises:
        DataError: it cannot be read, or a line of it is no text; ``name:line: …``.
    """

    def refuse(bad: Bad) -> NoReturn:
        place = f"{name}:{lines + bad.line}" if bad.line else name
        raise DataError(f"{place}: {bad.error}")

    lines = 0
    for chunk in chunks_of(source, form, unit=unit, max_bytes=max_bytes):
        yield from read(chunk, refuse, unit=unit, max_bytes=max_bytes)
        lines += chunk.lines


def documents(sentences: Iterable[list[str]], *, marked: bool = False) -> Iterator[Document]:
    """Put the sentences between two ``-DOCSTART-`` together; where there is none, each sentence is a document.

    The mark is a document of its own. A document without end is cut, so that memory stays bounded. ``marked`` says
    that there was a mark before.

    >>> list(documents([["a"], ["b"], ["-DOCSTART-"], ["c"], ["d"]]))
    [[['a']], [['b']], [['-DOCSTART-']], [['c'], ['d']]]
    """
    document: Document = []
    tokens = 0
    for words in sentences:
        mark = words == [DOCSTART]
        marked = marked or mark
        if document and (mark or not marked or tokens > LONGEST_DOCUMENT):
            yield document
            document, tokens = [], 0
        if mark:
            yield [words]
        else:
            document.append(words)
            tokens += len(words)
    if document:
        yield document


def _texts(chunk: Chunk, tell: Callable[..., None], unit: Unit, max_bytes: int, taken: str | None) -> Iterator[Item]:
    """The texts of a text file, or the objects of a JSON-lines file."""
    unit = unit if chunk.form == "text" else "line"
    shortened = chunk.shortened
    for number, text, _, fault, raw in texts(io.BytesIO(chunk.data), "", unit, max_bytes, begun=True):
        is_cut, shortened = shortened, False  # the first one
        if fault and not is_cut:
            tell(number, fault, raw)
        elif text is None or is_cut:
            tell(number, f"a {unit} of more than {max_bytes:,} bytes", too_long=True)
        elif chunk.form == "text":
            yield Item(text, {"text": text}, number)
        elif text.strip():
            try:
                item = _item(_object_of(text), number, taken)
            except ValueError as error:
                tell(number, str(error), text.encode())
            else:
                yield item


def _rows(chunk: Chunk, tell: Callable[..., None], max_bytes: int, taken: str | None) -> Iterator[Item]:
    """The rows of a Parquet file."""
    for number, record in enumerate(rows_of(chunk.data), start=1):
        if isinstance(record, str):
            tell(number, record)
            continue
        try:
            for name, value in record.items():
                _check_value(name, value)
            line = json.dumps(record, ensure_ascii=False).encode()
            if len(line) <= max_bytes:
                item = _item(record, number, taken)
        except (ValueError, TypeError) as error:
            tell(number, str(error), json.dumps(record, default=str).encode())
            continue
        if len(line) > max_bytes:
            tell(number, f"a row of more than {max_bytes:,} bytes", too_long=True)
        else:
            yield item


def _object_of(line: str) -> object:
    """Read a value of JSON that can go out as it came in; raises ValueError."""
    try:
        value = json.loads(line, object_pairs_hook=_object)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair, which is no character") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    return value


def _check_value(name: str, value: object) -> None:
    """Raise ValueError if a value of a column is none that JSON has."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        raise ValueError(f"{name[:40]}: {value!r:.40}, which JSON cannot hold") from None


def _item(record: object, line: int, taken: str | None) -> Item:
    """An object with a text or with words; raises ValueError where it is none, or has the key ``taken``."""
    if not isinstance(record, dict) or ("text" in record) == ("tokens" in record):
        raise ValueError("expected an object with either text or tokens")
    if taken in record:
        raise ValueError(
            f"has {taken} already; --entities-key NAME writes ours elsewhere, --entities-key {taken} over them"
        )
    content = record["text"] if "text" in record else record["tokens"]
    if "text" in record and not isinstance(content, str):
        raise ValueError("text: expected a string" + ", got null" * (content is None))
    if "tokens" in record and not _are_words(content):
        raise ValueError("tokens: expected a list of words, none of them empty")
    return Item(content if isinstance(content, str) else [content], record, line)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of a key that is there twice one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice[:40]!r} is there twice")
    return found


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word for word in value)
