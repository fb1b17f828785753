"""Bulk tagging: ``fenestra tag``. Text streams in, is tagged a batch at a time, and streams out.

    input    text    a text is a line, a paragraph or a file (`--unit`); its words look at no other text
             conll   one token a line, a blank line after each sentence; tags are not looked at
             jsonl   one object a line with `text`, or with `tokens`, a list of words; other keys are kept
    output   jsonl   one object a line: what came in, and `entities` as in the answers of the service
             conll   token<TAB>IOB2 tag, a blank line after each sentence

Sentences between two ``-DOCSTART-`` lines are one document, as in training. However long the input is, no more
than a batch of it is in memory, and no more than ``--max-line`` bytes of one text.
"""

import io
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, Literal, TextIO

from tqdm import tqdm

from fenestra.cli.output import STDIN, check_not_input, opened
from fenestra.cli.units import MAX_BYTES, Unit, texts
from fenestra.model.errors import DataError, InputError
from fenestra.model.results import Entity, Result, TaggedToken
from fenestra.model.tagger import Tagger
from fenestra.model.tags import OUTSIDE
from fenestra.model.text.language import Language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import Token
from fenestra.training.compressed import Source, decompressed, open_file, stem
from fenestra.training.data.conll import DOCSTART, LONGEST_DOCUMENT, iter_conll_words, write_conll

InputFormat = Literal["text", "conll", "jsonl"]
OutputFormat = Literal["jsonl", "conll"]

ENTITIES = "entities"
"""The key of a JSON object that the entities are written to."""
_FORMATS: dict[str, InputFormat] = {".conll": "conll", ".iob": "conll", ".bio": "conll", ".jsonl": "jsonl"}
_BATCH_CHARACTERS = 50_000
_BATCH_ITEMS = 1_000
_LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal
_READ_OTHERWISE = re.compile(rf"[\s\0#\ufeff]|{re.escape(DOCSTART)}")  # what a reader of CoNLL files may take for more
_SHORT_SENTENCE = 10_000  # characters; a longer one may hold a word that is too long for a line
_SHORT_WORD = 64  # characters; of longer words nothing is remembered


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entities are wanted: as the fields `labels` and `min_score` of the service."""

    labels: frozenset[str] | None = None
    """Of these labels only; None is all."""
    min_score: float = 0.0
    """Of at least this score, in [0, 1]."""

    def __call__(self, entity: Entity) -> bool:
        """Whether an entity is wanted."""
        return entity.score >= self.min_score and (self.labels is None or entity.label in self.labels)

    def check(self, known: Sequence[str]) -> None:
        """Refuse labels that a model does not have: an empty result would look like an answer.

        Raises:
            InputError: names one, and the labels that there are.
        """
        if unknown := sorted((self.labels or frozenset()).difference(known)):
            raise InputError(f"--labels: {unknown[0]!r} is unknown to this model; it knows {', '.join(known)}")


def tag_files(
    tagger: Tagger,
    files: Sequence[str],
    *,
    input_format: InputFormat | None = None,
    output_format: OutputFormat = "jsonl",
    output: Path | None = None,
    unit: Unit = "line",
    max_bytes: int = MAX_BYTES,
    wanted: Wanted | None = None,
    entities_key: str | None = None,
    complain: Callable[[str], object] | None = None,
) -> int:
    """Tag files one after the other.

    Args:
        tagger: tags.
        files: paths; ``-`` is standard input.
        input_format: of all of them; by each file's name when omitted, and text where that says nothing.
        output_format: of the result.
        output: file to write; standard output when omitted.
        unit: what one text of a text file is.
        max_bytes: longest text or JSON line; the others go on.
        wanted: which entities are kept; all when omitted.
        entities_key: key of an object that the entities are written to, over what it held. When omitted,
            ``entities``, and an object that has this key already is refused.
        complain: is told of every text that is too long, which is then left out; it is refused when omitted.

    Returns:
        How many texts were too long and left out.

    Raises:
        DataError: a file cannot be read, or a line of it is malformed; ``path:line: …``.
        InputError: an option does not go with the others, with a file or with the model.
        StorageError: the output file cannot be written.
    """
    wanted = wanted or Wanted()
    wanted.check(tagger.labels)
    forms = [input_format or guess_format(name) for name in files]
    _check_unit(unit, files, forms)
    if entities_key is not None and output_format == "conll":
        raise InputError("--entities-key: conll output has no keys; expected --output-format jsonl")
    check_not_input(files, output)
    left_out = 0

    def leave_out(message: str) -> None:
        nonlocal left_out
        if complain is None:
            raise DataError(message)
        left_out += 1
        complain(f"{message}, left out; --max-line sets the limit")

    write = (
        partial(_write_jsonl, key=entities_key or ENTITIES, wanted=wanted)
        if output_format == "jsonl"
        else partial(_write_conll, wanted=wanted, of=tagger.lexicon.language)
    )
    taken = ENTITIES if output_format == "jsonl" and entities_key is None else None
    with opened(output) as stream, Meter(quiet=output is None and sys.stdout.isatty()) as meter:
        for name, form in zip(files, forms, strict=True):
            with _source(name) as source:
                found = items(source, name, form, unit=unit, max_bytes=max_bytes, taken=taken, too_long=leave_out)
                for batch in batches(found):
                    results = tag_batch(tagger, batch)
                    write(stream, batch, results)
                    meter(sum(map(len, results)), sum(len(result.tokens) for part in results for result in part))
    return left_out


def guess_format(name: str) -> InputFormat:
    """Tell a file's format from its name; how it is compressed does not matter.

    >>> guess_format("dev.conll.gz"), guess_format("notes.txt")
    ('conll', 'text')
    """
    return _FORMATS.get(stem(name).suffix.lower(), "text")


def items(
    source: IO[bytes],
    name: str,
    form: InputFormat,
    *,
    unit: Unit = "line",
    max_bytes: int = MAX_BYTES,
    taken: str | None = None,
    too_long: Callable[[str], None] | None = None,
) -> Iterator[Item]:
    """Read texts or sentences one at a time.

    Args:
        source: open for reading bytes.
        name: what messages call it.
        form: its format.
        unit: what one text of a text file is.
        max_bytes: longest text or JSON line.
        taken: a key that no JSON object may have.
        too_long: is told of a text that is longer; it is refused when omitted.

    Raises:
        DataError: as :func:`tag_files`.
    """
    if form == "conll":
        yield from (Item(document, {}, name) for document in documents(iter_conll_words(source, name)))
        return
    for number, text, _ in texts(source, name, unit if form == "text" else "line", max_bytes):
        place = f"{name}:{number}"
        if text is None:
            message = f"{place}: a {unit} of more than {max_bytes:,} bytes"
            if too_long is None:
                raise DataError(message)
            too_long(message)
        elif form == "text":
            yield Item(text, {"text": text}, place)
        elif text.strip():
            yield _parse(text, place, taken)


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


def _check_unit(unit: Unit, files: Sequence[str], forms: Sequence[InputFormat]) -> None:
    """Refuse a unit of text for files that say themselves what belongs together."""
    for name, form in zip(files, forms, strict=True):
        if unit != "line" and form != "text":
            what = "each line is a text" if form == "jsonl" else "-DOCSTART- lines part documents"
            raise InputError(f"--unit {unit}: {name} is read as {form}, where {what}; expected --input-format text")


def _source(name: str) -> IO[bytes]:
    """A file, or standard input, which stays open."""
    if name != STDIN:
        return open_file(Path(name))
    if sys.stdin is None:
        raise DataError(f"{name}: standard input is closed")
    stdin = Source(sys.stdin.buffer.read1)  # type: ignore[union-attr]
    return decompressed(io.BufferedReader(stdin), name)


def _parse(line: str, place: str, taken: str | None) -> Item:
    """Read one object of a JSON-lines file; it may not have the key ``taken``."""
    try:
        record = json.loads(line, object_pairs_hook=_object)
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode()  # it has to go out as it came in
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: holds half of a surrogate pair, which is no character") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error})") from error
    if not isinstance(record, dict) or ("text" in record) == ("tokens" in record):
        raise DataError(f"{place}: expected an object with either text or tokens")
    if taken in record:
        raise DataError(
            f"{place}: has {taken} already; --entities-key NAME writes ours elsewhere, --entities-key {taken} over them"
        )
    content = record["text"] if "text" in record else record["tokens"]
    if "text" in record and not isinstance(content, str):
        raise DataError(f"{place}: text: expected a string")
    if "tokens" in record and not _are_words(content):
        raise DataError(f"{place}: tokens: expected a list of words, none of them empty")
    return Item(content if isinstance(content, str) else [content], record, place)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of a key that is there twice one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice[:40]!r} is there twice")
    return found


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word for word in value)


def _write_jsonl(
    stream: TextIO, batch: Sequence[Item], results: Sequence[Sequence[Result]], *, key: str, wanted: Wanted
) -> None:
    """What came in, and the entities; the marks of documents in a CoNLL file are no texts."""
    for item, found in zip(batch, results, strict=True):
        if item.content == [[DOCSTART]] and not item.record:
            continue
        for place, result in enumerate(found):
            record = item.record or {"tokens": item.content[place]}
            entities = [entity._replace(score=round(entity.score, 6))._asdict() for entity in filter(wanted, result)]
            stream.write(json.dumps({**record, key: entities}, ensure_ascii=False) + "\n")


def _write_conll(
    stream: TextIO, batch: Sequence[Item], results: Sequence[Sequence[Result]], *, wanted: Wanted, of: Language
) -> None:
    """One token a line; a text falls into the sentences that the tagger saw in it."""
    for item, found in zip(batch, results, strict=True):
        for result in found:
            unwanted = [entity for entity in result if not wanted(entity)]
            for tokens in _sentences(item, result, of):
                words = [token.text for token in tokens]
                if item.record:  # what was read from a CoNLL file can be written to one
                    _check_words(words, item.place)
                write_conll(stream, [words], [_tags(tokens, unwanted)])


def _tags(tokens: Sequence[TaggedToken], unwanted: Sequence[Entity]) -> list[str]:
    """The tags of tokens, and O for those of some entities."""
    dropped = {start for entity in unwanted for start in range(entity.start, entity.end)}
    return [OUTSIDE if token.start in dropped else token.tag for token in tokens]


def _check_words(words: Sequence[str], place: str) -> None:
    """Refuse words that would be read back as something else.

    Raises:
        DataError: names the place and the word.
    """
    together = "".join(words)
    if len(together) < _SHORT_SENTENCE and not _READ_OTHERWISE.search(together):  # as nearly all sentences
        return
    for word in words:
        if any(character in word for character in "\t\r\n"):
            raise DataError(f"{place}: a word holds a tab or a line break, which conll output cannot")
        if not (_is_read_back(word) if len(word) <= _SHORT_WORD else _is_read_back.__wrapped__(word)):
            raise DataError(f"{place}: {word[:40]!r} would not be read back as this word from conll output")


@lru_cache(1 << 14)
def _is_read_back(word: str) -> bool:
    """Whether the reader of CoNLL files gives a word as it was written, wherever it stands."""
    words = [word, "x", word]
    written = io.StringIO(newline="")
    write_conll(written, [words], [[OUTSIDE] * len(words)])
    try:
        return list(iter_conll_words(io.BytesIO(written.getvalue().encode()), "")) == [words]
    except DataError:
        return False


def _sentences(item: Item, result: Result, of: Language) -> Iterator[Sequence[TaggedToken]]:
    """The tokens of a result, sentence by sentence as the tagger parted them; none of them is empty."""
    tokens = result.tokens
    if isinstance(item.content, str):
        lengths = sentence_lengths(item.content, [Token(token.text, token.start, token.end) for token in tokens], of)
    else:
        lengths = [len(tokens)] if tokens else []
    for length, end in zip(lengths, accumulate(lengths), strict=True):
        yield tokens[end - length : end]
