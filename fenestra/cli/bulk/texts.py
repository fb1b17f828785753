"""Texts from a stream of bytes: what one text is, how long it may be, and what is no text.

    line        up to the end of the line
    paragraph   up to a blank line
    file        everything

Lines end with LF, CR LF or CR. Inside a paragraph or a file, line ends stay as they are, but for a lone CR, which
becomes LF: it is as long, so that offsets hold.
"""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from typing import IO, Literal, NamedTuple

from fenestra.cli.places import why
from fenestra.model.errors import DataError

Unit = Literal["line", "paragraph", "file"]

MAX_BYTES = 10_000_000
"""Longest text that is read unless told otherwise, its line ends included."""

LINE_END = re.compile(rb"(\r{0,2}\n|\r)")
"""CR CR LF is what a file has that was made into a Windows file twice."""
_BLOCK = 1 << 16  # bytes


class Text(NamedTuple):
    """A text: the number of its first line, from 1, and its characters; None is one that is too long, or no text."""

    number: int
    content: str | None
    end: str = ""
    """Of a line, the characters that end it, which are no part of its content."""
    fault: str = ""
    """Why it is no text; ``number`` is then of the line that says so. Empty for one that is too long."""
    raw: bytes = b""
    """What was read, where it is no text."""


def texts(stream: IO[bytes], name: str, unit: Unit, max_bytes: int, *, begun: bool = False) -> Iterator[Text]:
    """Read the texts of a stream in bounded memory.

    Args:
        stream: open for reading bytes.
        name: what messages call it.
        unit: what one text is.
        max_bytes: longest text; a longer one comes as None and is not held.
        begun: the stream goes on with what others have begun to read, so that no mark of byte order can come.

    Raises:
        DataError: it cannot be read, or is UTF-16; ``name:line: …``.
    """
    lines = _lines(stream, name, max_bytes, begun)
    if unit == "line":
        yield from lines
        return
    text = _Lines(max_bytes)
    for line in lines:
        if unit == "paragraph" and line.content is not None and not line.content.strip():
            if text.size:
                yield text.joined(keep_end=False)
            text = _Lines(max_bytes)
        else:
            text.add(line)
    if text.size or unit == "file":
        yield text.joined(keep_end=unit == "file")


class _Lines:
    """The lines of a paragraph or a file; of one that is too long they are not held."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._first, self._parts, self._raw = 1, list[str](), list[bytes]()
        self._bad: Text | None = None
        self.size = 0
        """In bytes."""

    def add(self, line: Text) -> None:
        """Add a line."""
        self._first = self._first if self.size else line.number
        if line.fault and self._bad is None:
            self._bad, self._raw = line, [part.encode() for part in self._parts]
        end = "\n" if line.end == "\r" else line.end
        raw = line.raw if line.content is None else line.content.encode()
        too_long = line.content is None and not line.fault
        self.size += self._max_bytes + 1 if too_long else len(raw) + len(line.end)
        if self.size > self._max_bytes:
            self._parts, self._raw = [], []
        elif self._bad is not None:
            self._raw += [raw, line.end.encode()]
        else:
            self._parts += [line.content or "", end]

    def joined(self, *, keep_end: bool) -> Text:
        """The text, with the end of its last line or without it."""
        if self._bad is not None:
            return Text(self._bad.number, None, fault=self._bad.fault, raw=b"".join(self._raw))
        if self.size > self._max_bytes:
            return Text(self._first, None)
        return Text(self._first, "".join(self._parts if keep_end else self._parts[:-1]))


def count_lines(data: bytes) -> int:
    r"""How many lines there are in some bytes.

    >>> count_lines(b"a\nb\r\nc"), count_lines(b"a\rb\n"), count_lines(b"")
    (3, 2, 0)
    """
    return count_ends(data) + (bool(data) and not data.endswith((b"\n", b"\r")))


def count_ends(data: bytes) -> int:
    """How many lines end in some bytes."""
    if b"\r" not in data or data.count(b"\r") == data.count(b"\r\n"):
        return data.count(b"\n")
    return len(LINE_END.findall(data))


def _lines(stream: IO[bytes], name: str, max_bytes: int, begun: bool) -> Iterator[Text]:
    """The lines of a stream; the content of one that is too long is None."""
    number, size = 1, 0
    parts: list[bytes] = []
    try:
        for data in _blocks(stream, name, begun):
            if not size and len(data) <= max_bytes and (lines := _plain_lines(data)) is not None:
                for line in lines:
                    yield Text(number, line, "\n")
                    number += 1
                continue
            *ended, last = LINE_END.split(data)
            for content, end in zip([*ended[::2], last], [*ended[1::2], b""], strict=True):
                size += len(content) + len(end)
                parts = [*parts, content] if size <= max_bytes else []
                if end:
                    yield _line(parts, number, end.decode(), too_long=size > max_bytes)
                    number, size, parts = number + 1, 0, []
    except OSError as error:
        raise DataError(f"{name}:{number}: {why(error)}") from error
    if size:
        yield _line(parts, number, "", too_long=size > max_bytes)


def _plain_lines(data: bytes) -> list[str] | None:
    """The lines of a block of whole ones, all at once, as nearly all blocks allow; None where one needs a look."""
    if not data.endswith(b"\n") or b"\r" in data or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")[:-1].split("\n")
    except UnicodeDecodeError:
        return None


def _blocks(stream: IO[bytes], name: str, begun: bool) -> Iterator[bytes]:
    """A stream in blocks that end with a line where they can; a mark of byte order at its begin is taken off.

    Raises:
        DataError: it is UTF-16.
        OSError: it cannot be read.
    """
    held = b""
    while block := stream.read1(_BLOCK):  # type: ignore[attr-defined]
        data = held + block
        if not begun and len(data) < len(BOM_UTF8):
            held = data
            continue
        if not begun:
            if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                raise DataError(f"{name}: UTF-16, expected UTF-8; to convert it: iconv -f UTF-16 -t UTF-8")
            data, begun = data.removeprefix(BOM_UTF8), True
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) >= _BLOCK:  # a long line, or lines that end with CR
            cut = len(data) - min(len(data) - len(data.rstrip(b"\r")), 2)  # the LF of the pair may be still to come
        if cut:
            yield data[:cut]
        held = data[cut:]
    if held:
        yield held if begun else held.removeprefix(BOM_UTF8)


def _line(parts: Sequence[bytes], number: int, end: str, *, too_long: bool) -> Text:
    """Decode a line; a NUL stands in no text, but in UTF-16, archives and pictures."""
    if too_long:
        return Text(number, None, end)
    content = b"".join(parts)
    place = content.find(b"\0")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = error.start if place < 0 else min(place, error.start)
    else:
        if place < 0:
            return Text(number, text, end)
    fault = f"byte {place + 1} of the line is 0x{content[place]:02x}; expected text in UTF-8"
    return Text(number, None, end, fault, content)
