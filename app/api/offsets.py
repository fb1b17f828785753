"""Where an entity starts, counted the way the client's language counts.

unit        counts                  👩‍🚀 Ada    start of "Ada"
codepoint   Unicode code points     Python            4
utf16       16-bit code units       JavaScript, Java  6
utf8        bytes                   Go, Rust, C      12
"""

from collections.abc import Iterable, Mapping
from typing import Literal

Unit = Literal["codepoint", "utf16", "utf8"]


def convert(text: str, points: Iterable[int], unit: Unit, known: tuple[int, int] = (0, 0)) -> Mapping[int, int]:
    """Translate code-point offsets into another unit, in one pass over the text.

    >>> convert("👩‍🚀 Ada", [0, 4, 7], "utf16")
    {0: 0, 4: 6, 7: 9}

    Args:
        text: what the offsets point into; without lone surrogates.
        points: offsets in [0, len(text)], in any order, repeats allowed.
        unit: what to count instead.
        known: an offset below all of these, and its translation: a long text need not be read anew for every part.

    Returns:
        The translation of every offset given, in their order.
    """
    wanted = sorted(set(points))
    if unit == "codepoint" or text.isascii():
        return dict(zip(wanted, wanted, strict=True))
    translated: dict[int, int] = {}
    before, counted = known
    for point in wanted:
        counted += _width(text[before:point], unit)
        translated[point] = counted
        before = point
    return translated


def _width(piece: str, unit: Unit) -> int:
    """How many units a piece of text takes."""
    return len(piece.encode("utf-8")) if unit == "utf8" else len(piece.encode("utf-16-le")) // 2
