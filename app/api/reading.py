"""Reads a request from a body: parsed and validated strictly, within the limits of the settings."""

from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple, Self, TypeVar

from pydantic import ValidationError

from fenestra.app.api.json_body import Bounds, parse
from fenestra.app.api.schemas import Request, describe, name_place
from fenestra.app.errors import Problem
from fenestra.app.settings import Settings

R = TypeVar("R", bound=Request)


class PlainLimits(NamedTuple):
    """Within these, a request exceeds none of the limits of the settings, whatever is in it."""

    size: int
    """Of the body, in bytes."""
    strings: int
    """In the body, keys included."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Derive them: a body has no string longer than itself, and no more values, lists or fields than bytes."""
        bounds = Bounds.of(settings)
        size = min(bounds.values, bounds.parts, settings.max_chars)
        return cls(size, min(settings.max_texts, settings.max_tokens))


def read_now(kind: type[R], raw: bytes, settings: Settings, limits: PlainLimits) -> R:
    """Parse and validate a body at once; of a long one it takes too long for the event loop.

    Raises:
        Problem: it is not a valid request.
    """
    request = read_plain(kind, raw, limits)
    return read_strictly(kind, parse(raw, Bounds.of(settings)), settings) if request is None else request


def read_plain(kind: type[R], raw: bytes, limits: PlainLimits) -> R | None:
    """Parse and validate a body in one native pass, if the strict way certainly comes to the same.

    The native parser is as strict as :func:`fenestra.app.api.json_body.parse`, but for three things. NaN and
    Infinity, and integers of many digits, are within the range of no field. Of two equal keys it takes the last:
    so the strings of the request are counted, and have to be as many as the pairs of quotes in the body.

    Returns:
        The request; None if it is not valid or not certain: then :func:`read_strictly` decides.
    """
    if len(raw) > limits.size or b"\\\\" in raw:  # behind two backslashes, a quote may end a string or not
        return None
    try:
        request: R = kind.__pydantic_validator__.validate_json(raw)
    except ValidationError:
        return None
    given = request.__pydantic_fields_set__
    strings = len(given)
    for name in given:
        value = request.__dict__[name]
        if isinstance(value, str):
            strings += 1
        elif isinstance(value, list):
            if value and isinstance(value[0], list):  # more to count than it is worth
                return None
            strings += len(value)
    if strings > limits.strings or 2 * strings != raw.count(b'"') - raw.count(b'\\"'):
        return None
    return request


def read_strictly(kind: type[R], value: object, settings: Settings) -> R:
    """Validate a parsed body. The work is bounded by the limits of the settings, whatever is in it.

    Raises:
        Problem: ``unknown_or_duplicate_field`` or ``invalid_request``, naming place and error.
    """
    _check_fields(value, kind.model_fields)
    for name, inner in kind.inner.items():
        for part in _as_list(_at(value, (name,))):
            _check_fields(part, inner.model_fields, name)
    _check_size(value, kind.texts_at, settings)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise Problem("invalid_request", describe(error)) from None


def _check_fields(value: object, known: Mapping[str, object], place: str = "the request") -> None:
    """Check the names of the fields of an object before their values.

    Raises:
        Problem: ``unknown_or_duplicate_field``.
    """
    if isinstance(value, dict) and not value.keys() <= known.keys():
        names = ", ".join(known)
        raise Problem("unknown_or_duplicate_field", f"{place} has an unknown field; the known ones are {names}")


def _check_size(value: object, texts_at: tuple[str | int, ...], settings: Settings) -> None:
    """Check the limits of one request before it is validated. Wrong types pass: the schema reports them better.

    Raises:
        Problem: ``invalid_request``, naming the field and the limit.
    """
    if not isinstance(value, dict):
        return
    texts_field = name_place(texts_at)
    texts, tokens = _as_list(_at(value, texts_at)), _as_list(value.get("tokens"))
    sentences = tokens if tokens and isinstance(tokens[0], list) else [tokens]
    for name, count in ((texts_field, len(texts)), ("tokens", len(sentences))):
        if count > settings.max_texts:
            raise Problem("invalid_request", f"{name}: {count} items, at most {settings.max_texts}")
    words = [_as_list(sentence) for sentence in sentences]
    if (total := sum(map(len, words))) > settings.max_tokens:
        raise Problem("invalid_request", f"tokens: {total} words, at most {settings.max_tokens}")
    for name, strings in ((texts_field, texts), ("tokens", chain.from_iterable(words))):
        longest = max((len(string) for string in strings if isinstance(string, str)), default=0)
        if longest > settings.max_chars:
            raise Problem("invalid_request", f"{name}: a string of {longest} characters, at most {settings.max_chars}")


def _at(value: object, way: tuple[str | int, ...]) -> object:
    """What is found inside a value; None if there is nothing.

    >>> _at({"inputs": [{"data": ["Ada"]}]}, ("inputs", 0, "data"))
    ['Ada']
    """
    for key in way:
        if isinstance(value, dict):
            value = value.get(key)
        else:
            value = value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else None
    return value


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
