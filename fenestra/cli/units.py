"""Texts from a stream of bytes: what one text is, how long it may be, and what is no text.

    line        up to the end of the line
    paragraph   up to a blank line
    file        everything

Lines end with LF, CR LF or CR. Inside a paragraph or a file, line ends stay as they are, but for a lone CR, which
becomes LF: it is as long, so that offsets hold.
"""

import re
from collections.abc import Iterator
from typing import IO, Literal, NamedTuple

from fenestra.model.errors import DataError

Unit = Literal["line", "paragraph", "file"]

MAX_BYTES = 10_000_000
"""Longest text that is read unless told otherwise, its line ends included."""

_END = re.compile(rb"(\r{0,2}\n|\r)")  # CR CR LF is what a file has that was made into a Windows file twice
_BLOCK = 1 << 16  # bytes
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Text(NamedTuple):
    """A text, and the number of its first line, from 1; None is a text that is too long."""

    number: int
    content: str | None


class _Line(NamedTuple):
    number: int
    content: bytes | None
    end: bytes


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
    if unit == "line":
        for line in _lines(stream, name, max_bytes):
            yield Text(line.number, None if line.content is None else _decode(line.content, line.number, name))
        return
    first, parts, size, held = 1, list[str](), 0, False
    for line in _lines(stream, name, max_bytes):
        text = None if line.content is None else _decode(line.content, line.number, name)
        if unit == "paragraph" and text is not None and not text.strip():
            if held:
                yield _joined(first, parts, size > max_bytes)
            parts, size, held = [], 0, False
            continue
        first, held = first if held else line.number, True
        size += max_bytes + 1 if line.content is None else len(line.content) + len(line.end)
        if size > max_bytes:
            parts = []
        elif text is not None:
            parts += [text, "\n" if line.end == b"\r" else line.end.decode()]
    if unit == "file":
        yield Text(1, None if size > max_bytes else "".join(parts))
    elif held:
        yield _joined(first, parts, size > max_bytes)


def _joined(first: int, parts: list[str], too_long: bool) -> Text:
    """A paragraph, without the end of its last line."""
    return Text(first, None if too_long else "".join(parts[:-1]))


def _lines(stream: IO[bytes], name: str, max_bytes: int) -> Iterator[_Line]:
    """The lines of a stream with their ends; the content of one that is too long is None."""
    number, size = 1, 0
    parts: list[bytes] = []
    for content, end in _pieces(stream, name):
        size += len(content) + len(end)
        if size <= max_bytes:
            parts.append(content)
        else:
            parts = []
        if end:
            yield _Line(number, b"".join(parts) if size <= max_bytes else None, end)
            number, size, parts = number + 1, 0, []
    if size:
        yield _Line(number, b"".join(parts) if size <= max_bytes else None, b"")


def _pieces(stream: IO[bytes], name: str) -> Iterator[tuple[bytes, bytes]]:
    """Parts of lines, each with the end of its line where that is reached; a mark of byte order is taken off."""
    number, held, begun = 1, b"", False
    while True:
        try:
            block = stream.read1(_BLOCK)  # type: ignore[attr-defined]
        except OSError as error:
            raise DataError(f"{name}:{number}: {error.strerror or error}") from error
        data = held + block
        if not begun and block and len(data) < len(_BOM):
            held = data
            continue
        if not begun:
            if data.startswith(_UTF16):
                raise DataError(f"{name}: UTF-16, expected UTF-8; to convert it: iconv -f UTF-16 -t UTF-8")
            data, begun = data.removeprefix(_BOM), True
        waiting = len(data) - len(data.rstrip(b"\r")) if block else 0  # the LF of the pair may be still to come
        cut = len(data) - min(waiting, 2)
        data, held = data[:cut], data[cut:]
        *ended, last = _END.split(data)
        for content, end in zip(ended[::2], ended[1::2], strict=True):
            yield content, end
            number += 1
        yield last, b""
        if not block:
            return


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
    raise DataError(f"{name}:{number}: byte {place + 1} of the line is 0x{content[place]:02x}")
