"""Writes answers that are bare lists: one of what was found in a text, or a list of such lists for several texts."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic_core import to_json

T = TypeVar("T")
Rows = list[dict[str, Any]]
Part = tuple[int, Rows]
"""How many entities or tokens were looked at, and what is to be written of them."""
PART = 1000
"""Most entities or tokens of one part, and about as many are written at once."""


def write_lists(
    results: list[T], parts_of: Callable[[int, T], Iterator[Part]], *, many: bool, as_strings: bool = False
) -> Iterator[bytes]:
    """Write the answer as JSON, in pieces that are each bounded in time.

    >>> rows = [["a"], [], ["b", "c"]]
    >>> b"".join(write_lists(rows, lambda _, found: iter([(len(found), [{"x": x} for x in found])]), many=True))
    b'[[{"x":"a"}],[],[{"x":"b"},{"x":"c"}]]'

    Args:
        results: one for each text, in order; each is dropped when it is written.
        parts_of: gives what is to be written of a result, part by part, by its place among the texts.
        many: whether the answer is a list of lists; else there is one result.
        as_strings: whether each list is written as a string that holds it as JSON.
    """
    opening, closing = (b'"[', b']"') if as_strings else (b"[", b"]")
    written, seen = [b"["] if many else [], 0
    results.reverse()
    for place in range(len(results)):
        written.append(b"," + opening if place else opening)
        comma, seen = b"", seen + 1
        for looked_at, rows in parts_of(place, results.pop()):
            seen += looked_at
            if rows:
                row_bytes = to_json(rows)[1:-1]
                written.append(comma + (to_json(row_bytes.decode())[1:-1] if as_strings else row_bytes))
                comma = b","
            if seen >= PART:
                yield b"".join(written)
                written, seen = [], 0
        written.append(closing)
    yield b"".join([*written, b"]"] if many else written)
