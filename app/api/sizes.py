"""How much one request may hold: counted on the parsed body, before anything is made of it."""

from collections.abc import Iterable
from typing import Any

from fenestra.app.errors import Problem
from fenestra.app.settings import Settings


def check_size(value: object, settings: Settings) -> None:
    """Refuse what is too much before anything is made of it. Wrong types pass: the schema has better words for them.

    Raises:
        Problem: ``invalid_request``, naming the field and the limit.
    """
    if not isinstance(value, dict):
        return
    texts, tokens = _as_list(value.get("text")), _as_list(value.get("tokens"))
    sentences = tokens if tokens and isinstance(tokens[0], list) else [tokens]
    words = [_as_list(sentence) for sentence in sentences]
    for name, count in (("text", len(texts)), ("tokens", len(sentences))):
        if count > settings.max_texts:
            raise Problem("invalid_request", f"{name}: {count} items, at most {settings.max_texts}")
    if (total := sum(map(len, words))) > settings.max_tokens:
        raise Problem("invalid_request", f"tokens: {total} words, at most {settings.max_tokens}")
    _check_lengths("text", texts, settings.max_chars)
    for sentence in words:
        _check_lengths("tokens", sentence, settings.max_chars)


def _check_lengths(name: str, strings: Iterable[Any], limit: int) -> None:
    for string in strings:
        if isinstance(string, str) and len(string) > limit:
            raise Problem("invalid_request", f"{name}: a string of {len(string)} characters, at most {limit}")


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
