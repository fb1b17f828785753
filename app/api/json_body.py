"""Parses JSON bodies strictly.

Python's parser accepts NaN, duplicate keys, lone surrogates and integers of any length, and fails on deep nesting with
an error that depends on the depth. Each of these gets its own clear refusal here, before any other code sees the value.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn, Self

from starlette.datastructures import Headers
from starlette.requests import Request

from fenestra.app.errors import Problem
from fenestra.app.settings import Settings

MAX_DEPTH = 32
"""Most levels of nested lists and objects. The deepest valid request has three."""
_MAX_DIGITS = 20
_STRUCTURE = re.compile(rb'[][{},:]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class Bounds(NamedTuple):
    """How much one JSON document may hold. Without bounds, 2 MB can be a million numbers, lists or fields."""

    values: int
    """Most values, however they are nested."""
    parts: int = 10_000
    """Most lists, and most fields of objects: each costs ten times as much as a plain value."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Room for the largest valid request, and for a few mistakes in it."""
        return cls(settings.max_tokens + 2 * settings.max_texts + 1000, max(10_000, 2 * settings.max_texts))


DEFAULT_BOUNDS = Bounds(1_000_000)


async def read_body(request: Request, *, or_untyped: bool = False) -> bytes:
    """Read the body, of the media type that is parsed here.

    Args:
        request: with the body.
        or_untyped: whether it may name no media type, as clients do that know no other.

    Raises:
        Problem: ``unsupported_media_type``; ``too_large`` from the body limit.
    """
    untyped = or_untyped and "content-type" not in request.headers
    check_headers(request.headers, "" if untyped else "application/json")
    return b"".join([chunk async for chunk in request.stream()])


def check_headers(headers: Headers, expected: str = "application/json") -> None:
    """Refuse another media type, or an encoding that app.middleware.decompression has not taken off."""
    if not is_media_type(headers.get("content-type", ""), expected):
        raise Problem("unsupported_media_type", f"send the body as Content-Type: {expected}")
    encodings = ",".join(headers.getlist("content-encoding")).lower().split(",")
    if any(encoding.strip() not in ("", "identity") for encoding in encodings):
        raise Problem("unsupported_media_type", "send the body as it is, or with Content-Encoding: gzip")


def is_media_type(content_type: str, expected: str = "application/json") -> bool:
    """Whether a Content-Type names a media type, whatever its parameters say."""
    return content_type.partition(";")[0].strip().lower() == expected


def parse(raw: bytes, bounds: Bounds = DEFAULT_BOUNDS) -> object:
    """Parse UTF-8 JSON strictly.

    >>> parse(b'{"text": "Ada"}')
    {'text': 'Ada'}

    Args:
        raw: the document.
        bounds: on what it holds; checked before anything is built of it.

    Raises:
        Problem: ``bad_json``, ``invalid_request``, ``invalid_unicode`` or ``unknown_or_duplicate_field``.
    """
    _check_bounds(raw, bounds)
    try:
        text = raw.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise Problem("bad_json", "the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Problem("bad_json", f"the body is not valid JSON ({place})") from None
    except RecursionError:
        raise _too_deep() from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    # A lone surrogate can only come from an escape: UTF-8 itself cannot encode one. So most bodies skip the check.
    if _SURROGATE_ESCAPE.search(text) and any(map(_has_lone_surrogate, _strings(value))):
        raise Problem("invalid_unicode", "a string holds half of a surrogate pair, which is not a character")
    return value


def _check_bounds(raw: bytes, bounds: Bounds) -> None:
    """Count values, lists and fields before any is built. The exact count is only needed where a quick one is high.

    Raises:
        Problem: ``invalid_request``: there are too many; ``bad_json``: they are nested too deeply.
    """
    lists, objects, fields = raw.count(b"["), raw.count(b"{"), raw.count(b":")
    if raw.count(b",") + lists + objects <= bounds.values and max(lists, objects, fields) <= bounds.parts:
        return
    separators = strings = parts = depth = 0
    for match in _STRUCTURE.finditer(raw):  # strings, which may hold any of these signs, are skipped
        sign = match[0]
        if sign == b",":
            separators += 1
        elif sign in b"[{":
            depth += 1
            parts += 1
            if depth > MAX_DEPTH:
                raise _too_deep()
        elif sign in b"]}":
            depth -= 1
        elif sign == b":":
            parts += 1
        else:
            strings += 1
        if separators >= bounds.values or strings > bounds.values + bounds.parts:
            raise Problem("invalid_request", f"the body holds more than {bounds.values} values")
        if parts > bounds.parts:
            raise Problem("invalid_request", f"the body holds more than {bounds.parts} lists and fields")


def _too_deep() -> Problem:
    return Problem("bad_json", f"the body is nested deeper than {MAX_DEPTH} levels")


def _deeper_than(value: object, limit: int) -> bool:
    """Whether containers nest deeper than ``limit``; breadth first, so depth needs no stack."""
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(limit):
        children = (node.values() if isinstance(node, dict) else node for node in level)
        level = [child for group in children for child in group if isinstance(child, list | dict)]
        if not level:
            return False
    return True


def _strings(value: object) -> Iterator[str]:
    """All strings, keys included, in any order."""
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield from node
            left += node.values()
        elif isinstance(node, list):
            left += node


def _has_lone_surrogate(string: str) -> bool:
    """Whether a string cannot be encoded in UTF-8."""
    try:
        return not string.isascii() and not string.encode("utf-8")
    except UnicodeEncodeError:
        return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; refuse one with two equal keys, of which parsers take either."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Problem("unknown_or_duplicate_field", "an object names one of its fields twice")
    return members


def _integer(digits: str) -> int:
    """Parse an integer of few digits; parsing thousands of them takes quadratic time."""
    if len(digits) > _MAX_DIGITS:
        raise Problem("invalid_request", f"an integer has more than {_MAX_DIGITS} digits")
    return int(digits)


def _constant(name: str) -> NoReturn:
    raise Problem("invalid_request", "NaN and Infinity are not numbers in JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)
