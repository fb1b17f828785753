"""Bulk tagging: ``fenestra tag``. Text streams in, is tagged a batch at a time, and streams out.

    input    text    one text a line
             conll   one token a line, a blank line after each sentence; tags are not looked at
             jsonl   one object a line with `text`, or with `tokens`, a list of words; other keys are kept
    output   jsonl   one object a line: what came in, and `entities` as in the answers of the service
             conll   token<TAB>IOB2 tag, a blank line after each sentence

Sentences between two ``-DOCSTART-`` lines are one document, as in training. However long the input is, no more
than a batch of it is in memory.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, Literal, TextIO

from tqdm import tqdm

from fenestra.model.errors import DataError
from fenestra.model.results import Result, TaggedToken
from fenestra.model.storage import storage_error
from fenestra.model.tagger import Tagger
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import Token
from fenestra.training.data.conll import (
    DOCSTART,
    LONGEST_DOCUMENT,
    iter_conll_words,
    open_bytes,
    read_lines,
    write_conll,
)

InputFormat = Literal["text", "conll", "jsonl"]
OutputFormat = Literal["jsonl", "conll"]

STDIN = "-"
_FORMATS: dict[str, InputFormat] = {".conll": "conll", ".iob": "conll", ".bio": "conll", ".jsonl": "jsonl"}
_BATCH_CHARACTERS = 50_000
_BATCH_ITEMS = 1_000
_LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal


Document = list[list[str]]
"""Sentences of words that belong together."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text, or a document of sentences that are words already."""

    content: str | Document
    record: dict[str, Any]
    """What else its line held; empty for a CoNLL file."""
    place: str
    """Where it came from, as ``path:line``; the path alone for a CoNLL file."""

    @property
    def size(self) -> int:
        """Characters, roughly."""
        return len(self.content) if isinstance(self.content, str) else 6 * sum(map(len, self.content))


def tag_files(
    tagger: Tagger,
    files: Sequence[str],
    *,
    input_format: InputFormat | None = None,
    output_format: OutputFormat = "jsonl",
    output: Path | None = None,
) -> None:
    """Tag files one after the other.

    Args:
        tagger: tags.
        files: paths; ``-`` is standard input.
        input_format: of all of them; by each file's name when omitted, and text where that says nothing.
        output_format: of the result.
        output: file to write; standard output when omitted.

    Raises:
        DataError: a file cannot be read, or a line of it is malformed; ``path:line: …``.
        StorageError: the output file cannot be written.
    """
    write = _write_jsonl if output_format == "jsonl" else _write_conll
    with opened(output) as stream, Meter(quiet=output is None and sys.stdout.isatty()) as meter:
        for name in files:
            with nullcontext(sys.stdin.buffer) if name == STDIN else open_bytes(Path(name)) as source:
                for batch in batches(items(source, name, input_format or guess_format(name))):
                    results = tag_batch(tagger, batch)
                    write(stream, batch, results)
                    meter(sum(map(len, results)), sum(len(result.tokens) for part in results for result in part))


def guess_format(name: str) -> InputFormat:
    """Tell a file's format from its name; ``.gz`` at its end does not matter.

    >>> guess_format("dev.conll.gz"), guess_format("notes.txt")
    ('conll', 'text')
    """
    return _FORMATS.get(Path(name.removesuffix(".gz")).suffix.lower(), "text")


def items(source: IO[bytes], name: str, form: InputFormat) -> Iterator[Item]:
    """Read texts or sentences one at a time.

    Raises:
        DataError: as :func:`tag_files`.
    """
    if form == "conll":
        yield from (Item(document, {}, name) for document in documents(iter_conll_words(source, name)))
        return
    for number, text, fault in read_lines(source):
        if fault:
            raise DataError(f"{name}:{number}: {fault.partition(';')[0]}")
        if form == "text":
            yield Item(text, {"text": text}, f"{name}:{number}")
        elif text.strip():
            yield _parse(text, f"{name}:{number}")


def documents(sentences: Iterable[list[str]]) -> Iterator[Document]:
    """Put the sentences between two ``-DOCSTART-`` together; where there is none, each sentence is a document.

    The mark is a document of its own. A document without end is cut, so that memory stays bounded.

    >>> list(documents([["a"], ["b"], ["-DOCSTART-"], ["c"], ["d"]]))
    [[['a']], [['b']], [['-DOCSTART-']], [['c'], ['d']]]
    """
    marked = False
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


def batches(found: Iterable[Item]) -> Iterator[list[Item]]:
    """Group neighbouring items of one kind, texts or documents, until a batch is full."""
    batch: list[Item] = []
    size = 0
    for item in found:
        other = bool(batch) and isinstance(item.content, str) != isinstance(batch[0].content, str)
        if batch and (other or size + item.size > _BATCH_CHARACTERS or len(batch) == _BATCH_ITEMS):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch


def tag_batch(tagger: Tagger, batch: Sequence[Item]) -> list[list[Result]]:
    """Tag a batch of one kind; one result for a text, one for each sentence of a document."""
    texts = [item.content for item in batch if isinstance(item.content, str)]
    if texts:
        return [[result] for result in tagger.tag(texts)]
    return tagger.tag_documents([item.content for item in batch if not isinstance(item.content, str)])


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears when all is written; what is no plain file is written to as it is.

    Raises:
        StorageError: the disk refused; the file is as it was before.
    """
    if output is None:
        yield sys.stdout
        return
    target = output.resolve()  # the file behind a link is replaced, not the link
    draft = target if target.exists() and not target.is_file() else target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
            stream.flush()
            if draft != target:
                os.fsync(stream.fileno())
        if draft != target:
            draft.replace(target)
    except OSError as error:
        raise storage_error(output, 0, error) from error
    finally:
        if draft != target:
            with suppress(OSError):
                draft.unlink()


class Meter:
    """Tells on standard error how far the tagging is: a counter on a terminal, a line now and then elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Start counting; ``quiet`` where the results run over the same terminal."""
        self._began = self._told = time.monotonic()
        self._items = self._tokens = 0
        self._plain = not quiet and not sys.stderr.isatty()
        self._bar = tqdm(unit=" tokens", unit_scale=True, disable=quiet or self._plain, leave=False, file=sys.stderr)

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.close()
        if self._plain and kind is None:
            self._tell()

    def __call__(self, items: int, tokens: int) -> None:
        """Count a batch."""
        self._items += items
        self._tokens += tokens
        self._bar.update(tokens)
        if self._plain and time.monotonic() - self._told > _LINE_SECONDS:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        seconds = self._told - self._began
        speed = self._tokens / seconds if seconds else 0.0
        sys.stderr.write(
            f"tagged {self._items:,} texts, {self._tokens:,} tokens in {seconds:.1f} s, {speed:,.0f} tokens/s\n"
        )


def _parse(line: str, place: str) -> Item:
    """Read one object of a JSON-lines file."""
    try:
        record = json.loads(line)
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode()  # it has to go out as it came in
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: holds half of a surrogate pair, which is no character") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error})") from error
    if not isinstance(record, dict) or ("text" in record) == ("tokens" in record):
        raise DataError(f"{place}: expected an object with either text or tokens")
    content = record["text"] if "text" in record else record["tokens"]
    if "text" in record and not isinstance(content, str):
        raise DataError(f"{place}: text: expected a string")
    if "tokens" in record and not _are_words(content):
        raise DataError(f"{place}: tokens: expected a list of words, none of them empty")
    return Item(content if isinstance(content, str) else [content], record, place)


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word for word in value)


def _write_jsonl(stream: TextIO, batch: Sequence[Item], results: Sequence[Sequence[Result]]) -> None:
    """What came in, and the entities; the marks of documents in a CoNLL file are no texts."""
    for item, found in zip(batch, results, strict=True):
        if item.content == [[DOCSTART]] and not item.record:
            continue
        for place, result in enumerate(found):
            record = item.record or {"tokens": item.content[place]}
            entities = [entity._replace(score=round(entity.score, 6))._asdict() for entity in result]
            stream.write(json.dumps({**record, "entities": entities}, ensure_ascii=False) + "\n")


def _write_conll(stream: TextIO, batch: Sequence[Item], results: Sequence[Sequence[Result]]) -> None:
    """One token a line; a text falls into the sentences that the tagger saw in it."""
    for item, found in zip(batch, results, strict=True):
        for result in found:
            for tokens in _sentences(item, result):
                if any(character in token.text for token in tokens for character in "\t\r\n"):
                    raise DataError(f"{item.place}: a word holds a tab or a line break, which conll output cannot")
                write_conll(stream, [[token.text for token in tokens]], [[token.tag for token in tokens]])


def _sentences(item: Item, result: Result) -> Iterator[Sequence[TaggedToken]]:
    """The tokens of a result, sentence by sentence; none of them is empty."""
    tokens = result.tokens
    if isinstance(item.content, str):
        lengths = sentence_lengths(item.content, [Token(token.text, token.start, token.end) for token in tokens])
    else:
        lengths = [len(tokens)] if tokens else []
    for length, end in zip(lengths, accumulate(lengths), strict=True):
        yield tokens[end - length : end]
