"""Parses JSON bodies strictly.

Python's parser accepts NaN, duplicate keys, lone surrogates and integers of any length, and fails on deep nesting with
an error that depends on the depth. Each of these gets its own clear refusal here, before any other code sees the value.
"""

import json
import re
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.requests import Request

from fenestra.app.errors import Problem

MAX_DEPTH = 32
"""Most levels of nested lists and objects. The deepest valid request has three."""
_MAX_DIGITS = 20
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


async def read_json(request: Request) -> object:
    """Read and parse the body.

    Raises:
        Problem: ``unsupported_media_type``, ``bad_json``, ``invalid_request``, ``invalid_unicode`` or
            ``unknown_or_duplicate_field``; ``too_large`` from the body limit.
    """
    check_headers(request.headers)
    return parse(await request.body())


def check_headers(headers: Headers, expected: str = "application/json") -> None:
    """Refuse another media type or an encoded body before a byte is read: a gzip bomb is never decompressed."""
    media_type, _, _ = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != expected:
        raise Problem("unsupported_media_type", f"send the body as Content-Type: {expected}")
    encodings = ",".join(headers.getlist("content-encoding")).lower().split(",")
    if any(encoding.strip() not in ("", "identity") for encoding in encodings):
        raise Problem("unsupported_media_type", "send the body as it is, without a Content-Encoding")


def parse(raw: bytes) -> object:
    """Parse UTF-8 JSON strictly.

    >>> parse(b'{"text": "Ada"}')
    {'text': 'Ada'}

    Raises:
        Problem: as :func:`read_json`.
    """
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
    if _deeper_than(value, MAX_DEPTH):
        raise _too_deep()
    # A lone surrogate can only come from an escape: UTF-8 itself cannot encode one. So most bodies skip the check.
    if _SURROGATE_ESCAPE.search(text) and _has_lone_surrogate(value):
        raise Problem("invalid_unicode", "a string holds half of a surrogate pair, which is not a character")
    return value


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


def _has_lone_surrogate(value: object) -> bool:
    """Whether any string, keys included, cannot be encoded in UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


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
