"""A file is cut into chunks that can be tagged by themselves: at the end of a line, a paragraph or a document.

Where it is cut depends on what is in the file and on the size that is asked for, and on nothing else.
"""

import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO

from fenestra.cli.bulk.inputs import InputFormat
from fenestra.cli.bulk.texts import LINE_END, MAX_BYTES, Unit, count_ends, count_lines
from fenestra.cli.places import why
from fenestra.training.data.conll import DOCSTART, LONGEST_DOCUMENT, MAX_LINE, columns, opens_document, split_lines

Document = list[list[str]]
"""Sentences of words that belong together."""
CHUNK_BYTES = 1 << 17
"""Where results are streamed: about what a tagger takes at once."""

_BLOCK = 1 << 18  # bytes, read at once
_MARK = DOCSTART.encode()
_LONE_CR = rb"\r(?=\r[^\n]|[^\r\n])"  # one that ends a line: others may belong to a line feed that is to come
_LINE_END = re.compile(rb"\n|" + _LONE_CR)
_BLANK_LINE = re.compile(rb"\n[ \t\r]*?\n"), re.compile(rb"[\r\n][ \t\r]*?" + _LONE_CR)
"""Of a CoNLL file: one that ends with a line feed, and with a carriage return."""
_LONGEST_CHARACTER = 4  # bytes
_ANY_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file that is tagged by itself, decompressed and without a mark of byte order."""

    form: InputFormat
    data: bytes = b""
    """Whole lines; rows of Parquet as an Arrow stream."""
    lines: int = 0
    """Lines or rows of the file that it stands for."""
    marked: bool = False
    """Of a CoNLL file, whether a ``-DOCSTART-`` came before it."""
    last: bool = False
    """Whether the file ends with it."""
    shortened: bool = False
    """Whether it begins with a text that is too long, of which the rest is not there."""
    fault: str = ""
    """Why the file cannot be read on here."""
    fault_line: int = 0
    """1 where the fault was found in reading, 0 where the file could not be opened."""


def chunks_of(
    source: IO[bytes], form: InputFormat, *, size: int | Callable[[], int] = CHUNK_BYTES, unit: Unit = "line",
    max_bytes: int = MAX_BYTES,
) -> Iterator[Chunk]:  # fmt: skip
    """Cut a stream of lines.

    What has no border and is longer than ``max_bytes`` is shortened to a little more than that, so that it is not held.

    Args:
        source: open for reading bytes.
        form: its format; not Parquet.
        size: of a chunk, in bytes, or what says how large the next one is; one is longer where no border is near.
        unit: what one text of a text file is.
        max_bytes: longest text or JSON line.
    """
    cutter = _cutter(form, unit, max_bytes)
    held = bytearray()
    size_of = size if callable(size) else lambda: size
    try:
        held += _begin(source)
        if held.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            fault = "UTF-16, expected UTF-8; to convert it: iconv -f UTF-16 -t UTF-8"
            yield Chunk(form, fault=fault, last=True)
            return
        if held.startswith(BOM_UTF8):
            del held[: len(BOM_UTF8)]
        ended = False
        while not ended:
            while end := cutter.border(held, cutter.wait(size_of())):
                yield cutter.chunk(form, held, end)
            cutter.shorten(held)
            block = source.read1(_BLOCK)  # type: ignore[attr-defined]
            held += cutter.wanted(block)
            ended = not block
    except OSError as error:
        if end := cutter.last_border(held):
            yield cutter.chunk(form, held, end)
        yield Chunk(form, fault=why(error), fault_line=1, last=True)
    else:
        yield replace(cutter.chunk(form, held, len(held)), last=True)


class _Lines:
    """Cuts at the ends of lines. A position is a border if a text ends before it and another one begins there."""

    def __init__(self, limit: int) -> None:
        """Keep the longest line, in bytes."""
        self._limit = limit
        self._skipping = False  # the rest of what was shortened
        self._shortened = False  # what is held begins with something that was
        self._lost = 0  # lines of it that are not held
        self._searched = 0  # bytes of what is held in which there is no border

    def wait(self, size: int) -> int:
        """The size of a chunk: what was shortened is one by itself, so that lines behind it are counted right."""
        return 0 if self._shortened else size

    def border(self, held: bytearray, size: int) -> int:
        """The last border up to a size, or else the first one beyond; 0 where there is none yet."""
        if len(held) <= size + 1:
            return 0
        end = self._last(held, size) or self._first(held, max(size, self._searched))
        self._searched = 0 if end else max(len(held) - 2, 0)
        return end

    def last_border(self, held: bytearray) -> int:
        """The last border in what is held, or 0."""
        return self._last(held, len(held))

    def chunk(self, form: InputFormat, held: bytearray, end: int) -> Chunk:
        """Take a chunk off what is held."""
        data = bytes(held[:end])
        del held[:end]
        made = Chunk(form, data, count_lines(data) + self._lost, shortened=self._shortened)
        self._lost, self._shortened = 0, False
        return made

    def wanted(self, block: bytes) -> bytes:
        """A block of what was read, without the rest of a line that was shortened."""
        if not self._skipping:
            return block
        end = _ANY_END.search(block)
        self._skipping = end is None
        return block[end.start() :] if end else b""

    def shorten(self, held: bytearray) -> None:
        """Shorten a line that is too long, whose end has not been read yet."""
        begin = max(held.rfind(b"\n"), held.rfind(b"\r")) + 1
        if len(held) - begin > self._limit:
            del held[begin + self._limit + 1 :]
            self._skipping = True

    def _last(self, held: bytearray, size: int) -> int:
        end = held.rfind(b"\n", 0, size) + 1
        for found in _LINE_END.finditer(held, end, min(size + 2, len(held))) if held.find(b"\r", end) >= 0 else ():
            end = found.end() if found.end() <= size else end
        return end

    def _first(self, held: bytearray, begin: int) -> int:
        found = _LINE_END.search(held, begin)
        return found.end() if found else 0


class _Paragraphs(_Lines):
    """Cuts after blank lines, which are those that ``texts`` sees: lines are looked at one by one."""

    def __init__(self, limit: int) -> None:
        """Keep the longest paragraph, in bytes."""
        super().__init__(limit)
        self._borders: list[int] = []  # behind the blank lines of what is held
        self._scanned = 0  # bytes of what is held, whole lines
        self._rest = b""  # of a paragraph that was shortened: a line that has no end yet
        self._within = False  # whether something of the next line came before it, so that it is not blank

    def border(self, held: bytearray, size: int) -> int:
        """The last border up to a size, or else the first one beyond; 0 where there is none yet.

        A paragraph that may be too long begins a chunk.
        """
        self._scan(held)
        if not self._borders:
            return 0
        if len(held) - self._borders[-1] > self._limit + _LONGEST_CHARACTER:
            return self._borders[-1]
        return 0 if len(held) <= size + 1 else self._last(held, size) or self._borders[0]

    def chunk(self, form: InputFormat, held: bytearray, end: int) -> Chunk:
        """Take a chunk off what is held."""
        self._borders = [border - end for border in self._borders if border > end]
        self._scanned = max(self._scanned - end, 0)
        return super().chunk(form, held, end)

    def wanted(self, block: bytes) -> bytes:
        """A block of what was read, without the rest of a paragraph that was shortened.

        The blank line at its end is handed over as a plain one; lines are counted as they are.
        """
        if not self._skipping:
            return block
        data = self._rest + block
        open_end = _open_end(data)
        *ended, rest = LINE_END.split(data[: len(data) - len(open_end)])
        lines, rest, place = list(zip(ended[::2], ended[1::2], strict=True)), rest + open_end, 0
        for number, (content, end) in enumerate(lines):
            place += len(content) + len(end)
            if self._is_border(content, end):
                self._skipping, self._within, self._rest = False, True, b""
                self._lost += number + 1 - 2
                return b"\n\n" + data[place:]
        self._lost += len(lines)
        begun = rest.rstrip(b"\r")
        self._within = self._within or len(begun) > self._limit or not _may_be_blank(begun)
        self._rest = rest[len(begun) :] if self._within else rest
        return b""

    def shorten(self, held: bytearray) -> None:
        """Shorten a paragraph that is too long, whose end has not been read yet; all that is held is of it."""
        if self._skipping or self._shortened or self._borders or len(held) <= self._limit + _LONGEST_CHARACTER:
            return
        begun = held.rstrip(b"\r")
        last = _last_line(begun)
        if last <= self._limit and len(begun) - last <= self._limit and _may_be_blank(begun[last:]):
            return  # the text may fit, if the line that has no end yet is blank
        begun = held[: _character_begin(held, self._limit + _LONGEST_CHARACTER)].rstrip(b"\r")
        last = _last_line(begun)
        # A line that may be blank is read again.
        self._within = not last or not _may_be_blank(begun[last:])
        end = len(begun) if self._within else len(held[:last].rstrip(b"\r\n"))
        self._rest = bytes(held[len(begun) if self._within else last :])
        self._lost += 0 if self._within else count_ends(bytes(held[end:last]))
        self._skipping = self._shortened = True
        del held[end:]
        self._scanned = end
        held += self.wanted(b"")

    def _scan(self, held: bytearray) -> None:
        """Look at the lines that have been read since."""
        if self._skipping:
            return
        end = len(held) - len(_open_end(held))
        *ended, _ = LINE_END.split(held[self._scanned : end])
        for content, line_end in zip(ended[::2], ended[1::2], strict=True):
            self._scanned += len(content) + len(line_end)
            if self._is_border(content, line_end):
                self._borders.append(self._scanned)

    def _is_border(self, content: bytes | bytearray, end: bytes | bytearray) -> bool:
        """Whether the next line is blank; one that is too long is none."""
        within, self._within = self._within, False
        return not within and len(content) + len(end) <= self._limit and _is_blank(content)

    def _last(self, held: bytearray, size: int) -> int:
        return max((border for border in self._borders if border <= size), default=0)


class _Whole(_Lines):
    """Cuts nowhere: the file is one text."""

    def border(self, held: bytearray, size: int) -> int:
        """None."""
        return 0

    def last_border(self, held: bytearray) -> int:
        """None."""
        return 0

    def wanted(self, block: bytes) -> bytes:
        """A block of what was read, or nothing of a file that was shortened."""
        return b"" if self._skipping else block

    def shorten(self, held: bytearray) -> None:
        """Shorten a file that is too long."""
        if len(held) > self._limit + _LONGEST_CHARACTER:
            del held[_character_begin(held, self._limit + _LONGEST_CHARACTER) :]
            self._skipping = True


class _Sentences(_Lines):
    """Cuts between documents of a CoNLL file: before a ``-DOCSTART-``, and after any sentence where there was none yet.

    A document that is too long ends where :func:`fenestra.cli.bulk.reading.documents` ends it.
    """

    def __init__(self) -> None:
        """Begin with a file that has had no mark."""
        super().__init__(MAX_LINE)
        self._marked = False
        self._long = _LongDocuments()

    def border(self, held: bytearray, size: int) -> int:
        """The last border up to a size, or else the first one beyond; 0 where there is none yet."""
        if len(held) <= size + 1 or not _ANY_END.search(held, size):  # a mark may be half there
            return 0
        end = self.last_border(held, size) or self._first(held, max(size, self._searched))
        # a blank line, or a mark, that began there may have ended since
        self._searched = 0 if end else max(_last_line(held.rstrip(b" \t\r\n")) - 1, 0)
        return end

    def last_border(self, held: bytearray, size: int | None = None) -> int:
        """The last border up to a size, or 0."""
        size = len(held) if size is None else size
        end = _ANY_END.search(held, size)  # of the line that begins at the size or before
        place = end.start() if end else len(held)
        while (place := held.rfind(_MARK, 1, place)) > 0:
            place = _line_begin(held, place)  # each line is looked at once, however many marks are in it
            if 0 < place <= size and _is_mark(held, place):
                return place
        if self._begins_marked(held):
            return max((cut for cut in self._long.ends(held) if cut <= size), default=0)
        return self._last(held, size)

    def chunk(self, form: InputFormat, held: bytearray, end: int) -> Chunk:
        """Take a chunk off what is held."""
        before = self._marked
        self._marked = before or any(True for _ in _marks(held, 0, end))
        self._long.taken(end)
        return replace(super().chunk(form, held, end), marked=before)

    def _last(self, held: bytearray, size: int) -> int:
        end = held.rfind(b"\n\n", 0, size) + 2
        if end > 1:
            return end
        return max((found.end() for blank in _BLANK_LINE for found in blank.finditer(held, 0, size)), default=0)

    def _first(self, held: bytearray, begin: int) -> int:
        found = [next((mark for mark in _marks(held, begin, len(held)) if mark > begin), 0)]
        if self._begins_marked(held):
            found.append(next((cut for cut in self._long.ends(held) if cut > begin), 0))
        else:
            found.append(_after_blank(held, max(held.rfind(b"\n", 0, begin), held.rfind(b"\r", 0, begin), 0)))
        return min(filter(None, found), default=0)

    def _begins_marked(self, held: bytearray) -> bool:
        return self._marked or _is_mark(held, 0)


def _after_blank(held: bytearray, begin: int) -> int:
    """Behind the first blank line of a CoNLL file; 0 if there is none yet."""
    return min((found.end() for blank in _BLANK_LINE if (found := blank.search(held, begin))), default=0)


def _cutter(form: InputFormat, unit: Unit, max_bytes: int) -> _Lines:
    if form == "conll":
        return _Sentences()
    if form == "jsonl" or unit == "line":
        return _Lines(max_bytes)
    return _Paragraphs(max_bytes) if unit == "paragraph" else _Whole(max_bytes)


def _begin(source: IO[bytes]) -> bytes:
    """The first bytes of a stream, enough to see a mark of byte order."""
    data = b""
    while len(data) < len(BOM_UTF8) and (more := source.read1(_BLOCK)):  # type: ignore[attr-defined]
        data += more
    return data


def _last_line(begun: bytes | bytearray) -> int:
    """Where the last line begins."""
    return max(begun.rfind(b"\n"), begun.rfind(b"\r")) + 1


def _open_end(data: bytes | bytearray) -> bytes:
    """The CRs at the end of what was read so far that may belong to an LF that is to come."""
    return bytes(data[len(data.rstrip(b"\r")) :][-2:])


def _may_be_blank(begun: bytes | bytearray) -> bool:
    """Whether a line could be blank that begins so; its last character may be half there."""
    try:
        return not getincrementaldecoder("utf-8")().decode(bytes(begun)).strip()
    except UnicodeDecodeError:
        return False


def _is_blank(line: bytes | bytearray) -> bool:
    try:
        return not line.decode("utf-8").strip()
    except UnicodeDecodeError:
        return False


def _character_begin(held: bytearray, end: int) -> int:
    """The last place up to ``end`` where a character of UTF-8 begins."""
    while end and held[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _marks(held: bytearray, begin: int, end: int) -> Iterator[int]:
    """Where the lines begin that open a document, of those with the mark in a part; the last one may go on."""
    while (place := held.find(_MARK, begin, end)) >= 0:
        line, stop = _line_begin(held, place), _ANY_END.search(held, place)
        if stop is None:
            return
        if opens_document(held[line : stop.start()]):
            yield line
        begin = stop.start()


def _line_begin(held: bytearray, place: int) -> int:
    end = held.rfind(b"\n", 0, place)
    return max(end, held.rfind(b"\r", end + 1, place)) + 1


def _is_mark(held: bytearray, begin: int) -> bool:
    """Whether a line that begins somewhere, and whose end has been read, opens a document."""
    end = _ANY_END.search(held, begin)
    return end is not None and opens_document(held[begin : end.start()])


class _LongDocuments:
    """Where documents end because they are too long, in what is held; every line is looked at once.

    Sentences with a bad line are none.
    """

    def __init__(self) -> None:
        """Begin with a document."""
        self._place = self._tokens = self._sentence = 0
        self._bad = False
        self._ends: list[int] = []  # of those behind which nothing was taken yet

    def ends(self, held: bytearray) -> list[int]:
        """The places, from left to right; not behind the last line, which may go on."""
        known = min(len(held.rstrip(b"\r")), len(held) - 1)  # behind it an LF may come, and make one line of several
        for raw in split_lines(io.BytesIO(held[self._place :]), len(held) + 1):  # whole lines: places are counted
            place = self._place + len(raw)
            if place > known:
                break
            self._place = place
            cells, is_bad = _columns(raw)
            self._bad = self._bad or is_bad
            if _MARK in raw and opens_document(raw):
                self._tokens, self._sentence, self._bad = 0, 0, False
            elif cells:
                self._sentence += 1
            elif not is_bad:
                self._tokens += 0 if self._bad else self._sentence
                self._sentence, self._bad = 0, False
                if self._tokens > LONGEST_DOCUMENT:
                    self._ends.append(place)
                    self._tokens = 0
        return self._ends

    def taken(self, end: int) -> None:
        """What is held begins there now, with a document."""
        if end > self._place:  # a mark that was not come to yet
            self._place, self._tokens, self._sentence, self._bad = end, 0, 0, False
        self._place -= end
        self._ends = [place - end for place in self._ends if place > end]


def _columns(raw: bytes) -> tuple[list[str], bool]:
    """The columns of a line, and whether it is a bad one."""
    try:
        cells = columns(raw.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError:
        return [], True
    return cells, len(raw) > MAX_LINE or (bool(cells) and not cells[0])
