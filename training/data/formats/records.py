"""Values of JSON files, each with its line: an object a line (JSONL), or one list of all, on one line or on many."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fenestra.training.compressed import open_file
from fenestra.training.data.inspection import Inspection

_BLANKS = re.compile(r"[ \t\n]*")
_JSON = json.JSONDecoder()
_NOTHING = object()


class Record(NamedTuple):
    """A value, and the line where it begins, from 1."""

    line: int
    value: Any


def read_records(found: Inspection) -> Iterator[Record]:
    """The records of a JSON or JSONL file. A line that is no JSON is noted as a problem, and the reading goes on.

    Raises:
        DataError: the file cannot be opened.
    """
    text = read_text(found.path, found)
    first = next((line for line in text.split("\n") if line.strip()), "")
    value = _parsed(first)
    if value is not _NOTHING and not _holds_records(value):
        yield from _by_line(found, text)
        return
    try:
        yield from list(_by_value(text))
    except (ValueError, RecursionError) as error:
        if first.lstrip().startswith("{"):
            yield from _by_line(found, text)
        else:
            found.problem(getattr(error, "lineno", 1), f"not JSON ({_reason(error)})")


def read_text(path: Path, found: Inspection, file: str = "", *, as_it_is: bool = False) -> str:
    """A whole file, compressed or not, without a byte order mark; its line ends become LF. Empty if it has a problem.

    Args:
        path: of the file.
        found: where problems are noted.
        file: the name of the file in a folder.
        as_it_is: whether line ends stay.

    Raises:
        DataError: the file cannot be opened.
    """
    data = read_bytes(path, found, file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        found.problem(line, f"byte {column} of the line is 0x{data[error.start]:02x}; expected UTF-8", file)
        return ""
    return text if as_it_is else unix_lines(text)


def unix_lines(text: str) -> str:
    """The text with LF for every line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path, found: Inspection, file: str = "") -> bytes:
    """A whole file, compressed or not; empty if it is damaged, which is noted.

    Raises:
        DataError: the file cannot be opened.
    """
    with open_file(path) as stream:
        try:
            return stream.read()
        except OSError as error:
            found.problem(0, f"cannot be read ({error.strerror})", file)
            return b""


def first_record(text: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """The first record of the beginning of a JSON or JSONL file; None if there is none to be read."""
    start = _skip(text, 0)
    value = _decoded(text, start)
    if value is _NOTHING and text.startswith("[", start):  # a list whose end is not in this beginning
        first = _decoded(text, _skip(text, start + 1))
        value = [] if first is _NOTHING else [first]
    if _holds_records(value):
        return value[0] if value else None
    return None if value is _NOTHING else value


def _holds_records(value: object) -> bool:
    """Whether a value is a list of all records, and not a record; the record of spaCy is [text, {…}]."""
    return isinstance(value, list) and not (value and isinstance(value[0], str))


def _parsed(text: str) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING


def _decoded(text: str, place: int) -> Any:  # noqa: ANN401 - whatever the file holds
    """The value that begins at a place of a text."""
    try:
        return _JSON.raw_decode(text, place)[0]
    except (ValueError, RecursionError):
        return _NOTHING


def _by_line(found: Inspection, text: str) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removeprefix("\ufeff")
        if not line.strip():
            continue
        try:
            yield Record(number, json.loads(line))
        except (ValueError, RecursionError) as error:
            found.problem(number, f"not JSON ({_reason(error)})")


def _by_value(text: str) -> Iterator[Record]:
    """The elements of a list, or the values that follow one another.

    Raises:
        ValueError, RecursionError: the text is something else.
    """
    place, line, counted = _skip(text, 0), 1, 0
    is_list = text.startswith("[", place) and not text.startswith('"', _skip(text, place + 1))
    if is_list:
        place = _skip(text, place + 1)
    while place < len(text) and not (is_list and text[place] == "]"):
        line, counted = line + text.count("\n", counted, place), place
        value, place = _JSON.raw_decode(text, place)
        yield Record(line, value)
        place = _skip(text, place)
        if is_list and text.startswith(",", place):
            place = _skip(text, place + 1)
        elif is_list and not text.startswith("]", place):
            raise json.JSONDecodeError("expected , or ]", text, place)
    if is_list and _skip(text, place + 1) < len(text):
        raise json.JSONDecodeError("more behind the list", text, place)
    if is_list and place >= len(text):
        raise json.JSONDecodeError("the list does not end", text, len(text))


def _skip(text: str, place: int) -> int:
    """The next place that is not blank."""
    match = _BLANKS.match(text, place)
    return match.end() if match else place


def _reason(error: Exception) -> str:
    return str(error.msg if isinstance(error, json.JSONDecodeError) else error)[:120]
