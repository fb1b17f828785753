"""Classes of characters that reading asks for and ``re`` has no name for, as ranges of a regular expression's class.

The general categories are those of Unicode as this Python has it. Planes 0 and 1 are looked through once, when this is
imported; what lies behind them is Han.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

PLANES = 0x20000
"""Code points of the first two planes."""
_HAN = "\U00020000-\U0003ffff"
_CATEGORIES = [unicodedata.category(chr(code)) for code in range(PLANES)]

# Scripts that write without spaces between words, Thai, Lao, Tibetan, Myanmar, Khmer, Han, Kana; and Hangul, which has
# spaces and writes its particles onto the foreign word before them.
_NO_SPACES = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x2E80, 0x2FDF),
    (0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x303C), (0x3041, 0x30FF), (0x3105, 0x318F), (0x31A0, 0x31BF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),
    (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x16FE0, 0x18DFF), (0x1AFF0, 0x1B2FF),
)  # fmt: skip
_ORDINALS = "ªº"
_MODIFIERS = {*range(0x02B0, 0x02B9), *range(0x02E0, 0x02E5)}  # ʰ ʲ ˢ …: of phonetic letters, and no footnotes


def _ranges(codes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Neighbours put together, first and last.

    >>> list(_ranges([1, 2, 3, 7]))
    [(1, 3), (7, 7)]
    """
    first = last = -2
    for code in codes:
        if code != last + 1:
            if first >= 0:
                yield first, last
            first = code
        last = code
    if first >= 0:
        yield first, last


def _members(*names: str) -> list[int]:
    """Code points whose category is one of these, or begins with it."""
    return [code for code, category in enumerate(_CATEGORIES) if category.startswith(names)]


def _class(codes: Iterable[int]) -> str:
    """The inside of a regular expression's class."""
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in _ranges(codes))


def _is_raised(code: int) -> bool:
    """Whether a character stands raised or ringed behind a word, as the mark of a footnote does: ¹ ² ᵃ ①."""
    return code not in _MODIFIERS and unicodedata.decomposition(chr(code)).startswith(("<super>", "<circle>"))


_raised = [code for code in _members("No", "Lm", "Lo") if _is_raised(code) and chr(code) not in _ORDINALS]
_without_spaces = {code for first, last in _NO_SPACES for code in range(first, last + 1)}
_apart = _without_spaces.union(_raised, map(ord, _ORDINALS))

MARKS = _class(_members("M"))
"""What modifies the character before it; ``\\w`` leaves marks out, which would cut Hindi and decomposed accents."""
UPPER = _class(_members("Lu", "Lt"))
LOWER = _class(_members("Ll"))
LETTERS = _class(code for code in _members("L") if code not in _apart)
WORD = _class(sorted({code for code in _members("L", "N", "M") if code not in _apart} | {0x200C, 0x200D}))
"""Letters, digits and marks of scripts with spaces between words, and the two joiners; no underscore."""
RAISED = _class(_raised)
"""Superscript figures and letters, and figures in circles."""
UNSPACED = _class(code for code in sorted(_without_spaces) if _CATEGORIES[code][0] in "LNM") + _HAN
"""Letters, digits and marks of scripts without spaces between words."""


INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""What may stand between an initial and its stop."""
_UPPER, _LETTER, _MARK, _OF_WORD, _INVISIBLE = 1, 2, 4, 8, 16


def _kinds() -> NDArray[np.uint8]:
    """What the kernel asks of a character, as bits of a kind for each of the first two planes."""
    of_category = {
        category: _UPPER * (category in ("Lu", "Lt")) | _LETTER * (category[0] == "L") | _MARK * (category[0] == "M")
        | _OF_WORD * (category[0] in "LNM")
        for category in set(_CATEGORIES)
    }  # fmt: skip
    kinds = np.fromiter(map(of_category.__getitem__, _CATEGORIES), np.uint8, PLANES)
    kinds[[ord(character) for character in INVISIBLE]] |= _INVISIBLE
    return kinds


KINDS = _kinds()


def is_upper(character: str) -> bool:
    """Whether a character is an upper-case or title-case letter of any script."""
    return unicodedata.category(character) in ("Lu", "Lt")


def is_letter(character: str) -> bool:
    """Whether a character is a letter of any script."""
    return unicodedata.category(character)[0] == "L"


def is_mark(character: str) -> bool:
    """Whether a character modifies the one before it."""
    return unicodedata.category(character)[0] == "M"


def is_of_word(character: str) -> bool:
    """Whether a character is a letter, a digit or a mark."""
    return unicodedata.category(character)[0] in "LNM"
