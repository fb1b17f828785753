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


def points_of(text: str, counts: Iterable[int], unit: Unit) -> Mapping[int, int]:
    """Convert offsets of another unit into code points, in one pass over the text; what is in no text is left out.

    >>> points_of("👩‍🚀 Ada", [0, 6, 1, 99], "utf16")
    {0: 0, 6: 4}

    Args:
        text: the text of the offsets; without lone surrogates.
        counts: offsets in the unit; those outside of the text, or inside of a character, have no code point.
        unit: theirs.
    """
    wanted = sorted(set(counts))
    if unit == "codepoint" or text.isascii():
        return {count: count for count in wanted if 0 <= count <= len(text)}
    codec, width = ("utf-8", 1) if unit == "utf8" else ("utf-16-le", 2)
    data = text.encode(codec)
    found: dict[int, int] = {}
    before = point = 0
    for count in wanted:
        end = count * width
        if not 0 <= end <= len(data) or _is_inside(data, end, unit):
            continue
        point += len(data[before:end].decode(codec))
        found[count] = point
        before = end
    return found


def _is_inside(data: bytes, place: int, unit: Unit) -> bool:
    """Whether a character goes on at a place: a byte of UTF-8 as 10xxxxxx, or the second half of a surrogate pair."""
    if place == len(data):
        return False
    return data[place] & 0xC0 == 0x80 if unit == "utf8" else data[place + 1] & 0xFC == 0xDC


def _width(piece: str, unit: Unit) -> int:
    """The length of a piece of text, in a unit."""
    return len(piece.encode("utf-8")) if unit == "utf8" else len(piece.encode("utf-16-le")) // 2
