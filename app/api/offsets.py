"""Converts offsets into the unit in which the client's language indexes strings.

unit        counts                  👩‍🚀 Ada    start of "Ada"
codepoint   Unicode code points     Python            4
utf16       16-bit code units       JavaScript, Java  6
utf8        bytes                   Go, Rust, C      12
"""

from collections.abc import Iterable, Mapping
from typing import Literal

Unit = Literal["codepoint", "utf16", "utf8"]


def convert(text: str, points: Iterable[int], unit: Unit, known: tuple[int, int] = (0, 0)) -> Mapping[int, int]:
    """Convert code-point offsets into another unit, in one pass over the text.

    >>> convert("👩‍🚀 Ada", [0, 4, 7], "utf16")
    {0: 0, 4: 6, 7: 9}

    Args:
        text: the text of the offsets; without lone surrogates.
        points: offsets in [0, len(text)], in any order, repeats allowed.
        unit: of the result.
        known: an offset below all of these, and its conversion, so that a long text can be converted in parts.

    Returns:
        The conversion of every offset, in ascending order.
    """
    sorted_points = sorted(set(points))
    if unit == "codepoint" or text.isascii():
        return dict(zip(sorted_points, sorted_points, strict=True))
    converted: dict[int, int] = {}
    before, counted = known
    for point in sorted_points:
        counted += _width(text[before:point], unit)
        converted[point] = counted
        before = point
    return converted


def _width(piece: str, unit: Unit) -> int:
    """The length of a piece of text, in a unit."""
    return len(piece.encode("utf-8")) if unit == "utf8" else len(piece.encode("utf-16-le")) // 2
