"""Classes of characters that reading asks for and ``re`` has no name for, as ranges of a regular expression's class.

The general categories are those of Unicode as this Python has it. Planes 0 and 1 are looked through once, when this is
imported; what lies behind them is Han.
"""

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

PLANES = 0x20000
"""Code points of the first two planes."""
_HAN = "\U00020000-\U0003ffff"
_CATEGORY = "".join(map(unicodedata.category, map(chr, range(PLANES))))
_NAME_OF, _NUMBER = np.unique(np.frombuffer(_CATEGORY.encode(), "S2"), return_inverse=True)
_NAMES = [name.decode() for name in _NAME_OF.tolist()]

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


Flags = NDArray[np.bool_]
"""Of each code point of the first two planes, whether it is one of a kind."""


def _of(*names: str) -> Flags:
    """Those whose category is one of these, or begins with it."""
    return np.array([category.startswith(names) for category in _NAMES])[_NUMBER]


def _class(members: Flags) -> str:
    """The inside of a regular expression's class: neighbours put together, first and last."""
    edges = np.flatnonzero(np.diff(members, prepend=False, append=False)).tolist()
    ranges = zip(edges[::2], edges[1::2], strict=True)
    return "".join(
        re.escape(chr(first)) + (f"-{re.escape(chr(end - 1))}" if end - first > 1 else "") for first, end in ranges
    )


def class_of(characters: Iterable[str]) -> str:
    """The inside of a regular expression's class of characters of the first two planes."""
    members = np.zeros(PLANES, np.bool_)
    members[list(map(ord, characters))] = True
    return _class(members)


def _is_raised(code: int) -> bool:
    """Whether a character stands raised or ringed behind a word, as the mark of a footnote does: ¹ ² ᵃ ①."""
    return code not in _MODIFIERS and unicodedata.decomposition(chr(code)).startswith(("<super>", "<circle>"))


_LETTERS, _WORD = _of("L"), _of("L", "N", "M")
_raised, _unspaced, _apart = np.zeros((3, PLANES), np.bool_)
_raised[[code for code in np.flatnonzero(_of("No", "Lm")).tolist() if _is_raised(code)]] = True
for _first, _last in _NO_SPACES:
    _unspaced[_first : _last + 1] = True
_apart |= _raised | _unspaced
_apart[[*map(ord, _ORDINALS)]] = True

MARKS = _class(_of("M"))
"""What modifies the character before it; ``\\w`` leaves marks out, which would cut Hindi and decomposed accents."""
UPPER = _class(_of("Lu", "Lt"))
LOWER = _class(_of("Ll"))
LETTERS = _class(_LETTERS & ~_apart)
_joined = _WORD & ~_apart
_joined[[0x200C, 0x200D]] = True
WORD = _class(_joined)
"""Letters, digits and marks of scripts with spaces between words, and the two joiners; no underscore."""
RAISED = _class(_raised)
"""Superscript figures and letters, and figures in circles."""
UNSPACED = _class(_unspaced & _WORD) + _HAN
"""Letters, digits and marks of scripts without spaces between words."""


INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""What may stand between an initial and its stop."""
_UPPER, _LETTER, _MARK, _OF_WORD, _INVISIBLE = 1, 2, 4, 8, 16


KINDS = (_UPPER * _of("Lu", "Lt") | _LETTER * _LETTERS | _MARK * _of("M") | _OF_WORD * _WORD).astype(np.uint8)
"""What the kernel asks of a character, as bits of a kind for each of the first two planes."""
KINDS[[ord(_character) for _character in INVISIBLE]] |= _INVISIBLE


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
