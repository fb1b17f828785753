"""Texts from a stream of bytes: what one text is, how long it may be, and what is no text.

    line        up to the end of the line
    paragraph   up to a blank line
    file        everything

Lines end with LF, CR LF or CR. Inside a paragraph or a file, line ends stay as they are, but for a lone CR, which
becomes LF: it is as long, so that offsets hold.
"""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import IO, Literal, NamedTuple

from fenestra.model.errors import DataError

Unit = Literal["line", "paragraph", "file"]

MAX_BYTES = 10_000_000
"""Longest text that is read unless told otherwise, its line ends included."""

_END = re.compile(rb"(\r{0,2}\n|\r)")  # CR CR LF is what a file has that was made into a Windows file twice
_BLOCK = 1 << 16  # bytes


class Text(NamedTuple):
    """A text: the number of its first line, from 1, and its characters; None is a text that is too long."""

    number: int
    content: str | None
    end: str = ""
    """Of a line, the characters that end it, which are no part of its content."""


def texts(stream: IO[bytes], name: str, unit: Unit, max_bytes: int) -> Iterator[Text]:
    """Read the texts of a stream in bounded memory.

    Args:
        stream: open for reading bytes.
        name: what messages call it.
        unit: what one text is.
        max_bytes: longest text; a longer one comes as None and is not held.

    Raises:
        DataError: it cannot be read, or is not UTF-8; ``name:line: …``.
    """
    lines = _lines(stream, name, max_bytes)
    if unit == "line":
        yield from lines
        return
    first, parts, size = 1, list[str](), 0
    for number, content, end in lines:
        if unit == "paragraph" and content is not None and not content.strip():
            if size:
                yield Text(first, "".join(parts[:-1]) if size <= max_bytes else None)
            parts, size = [], 0
            continue
        first = first if size else number
        size += max_bytes + 1 if content is None else len(content.encode()) + len(end)
        if size > max_bytes:
            parts = []
        elif content is not None:
            parts += [content, "\n" if end == "\r" else end]
    if unit == "file":
        yield Text(1, "".join(parts) if size <= max_bytes else None)
    elif size:
        yield Text(first, "".join(parts[:-1]) if size <= max_bytes else None)


def _lines(stream: IO[bytes], name: str, max_bytes: int) -> Iterator[Text]:
    """The lines of a stream; the content of one that is too long is None."""
    number, size = 1, 0
    parts: list[bytes] = []
    try:
        for data in _blocks(stream, name):
            if not size and len(data) <= max_bytes and (lines := _plain_lines(data)) is not None:
                for line in lines:
                    yield Text(number, line, "\n")
                    number += 1
                continue
            *ended, last = _END.split(data)
            for content, end in zip([*ended[::2], last], [*ended[1::2], b""], strict=True):
                size += len(content) + len(end)
                parts = [*parts, content] if size <= max_bytes else []
                if end:
                    whole = _decode(b"".join(parts), number, name) if size <= max_bytes else None
                    yield Text(number, whole, end.decode())
                    number, size, parts = number + 1, 0, []
    except OSError as error:
        raise DataError(f"{name}:{number}: {error.strerror or error}") from error
    if size:
        yield Text(number, _decode(b"".join(parts), number, name) if size <= max_bytes else None)


def _plain_lines(data: bytes) -> list[str] | None:
    """The lines of a block of whole ones, all at once, as nearly all blocks allow; None where one needs a look."""
    if not data.endswith(b"\n") or b"\r" in data or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")[:-1].split("\n")
    except UnicodeDecodeError:
        return None


def _blocks(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """A stream in blocks that end with a line where they can; a mark of byte order at its begin is taken off.

    Raises:
        DataError: it is UTF-16.
        OSError: it cannot be read.
    """
    held, begun = b"", False
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


def _decode(content: bytes, number: int, name: str) -> str:
    """Decode a line; a NUL stands in no text, but in UTF-16, archives and pictures."""
    place = content.find(b"\0")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = error.start if place < 0 else min(place, error.start)
    else:
        if place < 0:
            return text
    raise DataError(f"{name}:{number}: byte {place + 1} of the line is 0x{content[place]:02x}; expected text in UTF-8")
