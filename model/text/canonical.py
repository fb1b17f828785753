r"""What a word is in the text, and what it looks up: the canonical form.

A page writes ``Zu\u0308rich``, ``Lon\u00addon`` or ``O&rsquo;Brien`` where a corpus has ``Zürich``, ``London`` and
``O'Brien``. Words are cut, looked up and compared in one form, in training as in serving; what is returned of a text
are the offsets of what stands there. In order:

    character references   ``&amp;`` ``&#8217;`` ``&#x2019;`` become the character, as HTML reads them
    ignorable characters   soft hyphens, joiners, marks of direction, variation selectors … are taken out
    look-alikes            apostrophes become ``'``, hyphens ``-``; wide, mathematical and joined letters become plain
    composition            NFC: a letter and its accent become one character

Plain text, which is nearly all there is, passes unchanged and costs one look.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from fenestra.model.text.characters import MARKS, class_of, is_mark

_REFERENCE = re.compile(r"&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Format characters, fillers, variation selectors and controls that no white space is. The joiners U+200C and U+200D
# mean something to Indic and Arabic letters and hold emoji together: they go only behind a letter that has case.
_IGNORABLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0100-\U000e01ef"
)
_ZERO_WIDTH_SPACE = "\u200b"
_JOINERS = "\u200c\u200d"
APOSTROPHES = "’ʼʻʽʹ՚ꞌ＇‛"
QUOTES = "‘`´′"
"""Apostrophes, but only between two letters."""
HYPHENS = "‐‑⁃﹣－֊"


def _look_alikes() -> dict[str, str]:
    """Letters and digits that differ from others in width, font or in being joined only: ``Ａ``, ``𝐀``, ``ﬁ``."""
    found = {}
    for first, last in ((0xFB00, 0xFB06), (0xFF10, 0xFF5A), (0x1D400, 0x1D7FF)):
        for code in range(first, last + 1):
            plain = unicodedata.normalize("NFKC", chr(code))
            if plain != chr(code) and plain.isalnum():
                found[chr(code)] = plain
    return found


_FOLDED = _look_alikes() | dict.fromkeys(APOSTROPHES, "'") | dict.fromkeys(HYPHENS, "-")
# One class and no alternatives: that is looked for at many times the speed.
_FOLDS = _IGNORABLE + class_of(_FOLDED) + QUOTES
_FOLD = re.compile(f"[{_FOLDS}]")
_CLUSTER = re.compile(rf"\S[{MARKS}]+|[\u1100-\u11ff]{{2,}}|[\uac00-\ud7a3][\u11a8-\u11ff]")
SPECIAL = re.compile(rf"[{_FOLDS}{MARKS}\u1100-\u11ff&]")
_LETTER = re.compile(r"[^\W\d_]")
_REMEMBERED = 1 << 13
_SHORT = 64  # characters of a word that is remembered
_EDGE = 24  # characters of a very long word that are read, at either end
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class Canonical(NamedTuple):
    """The canonical form of a run of characters, and where it comes from."""

    text: str
    places: tuple[tuple[int, int], ...] | None
    """Start and end of what each character stands for; None if every character is itself."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """What the characters from ``start`` to before ``end``, at least one, stand for."""
        return (start, end) if self.places is None else (self.places[start][0], self.places[end - 1][1])


def canonicalise(run: str) -> Canonical:
    r"""The canonical form of characters without white space, which may hold a space where a reference names one.

    >>> canonicalise("Zu\u0308rich")
    Canonical(text='Zürich', places=((0, 1), (1, 3), (3, 4), (4, 5), (5, 6), (6, 7)))
    >>> canonicalise("Bob").places is None
    True
    """
    if _is_plain(run) or not (SPECIAL.search(run) or not unicodedata.is_normalized("NFC", run)):
        return Canonical(run, None)
    text, places = run, [(at, at + 1) for at in range(len(run))]
    if "&" in text:
        text, places = _rewrite(text, places, _REFERENCE, _resolve)
    text, places = _rewrite(text, places, _FOLD, _fold)
    if not unicodedata.is_normalized("NFC", text):
        text, places = _rewrite(text, places, _CLUSTER, lambda match: unicodedata.normalize("NFC", match.group()))
    if not unicodedata.is_normalized("NFC", text):  # single characters that NFC replaces, such as the sign of ångström
        text, places = _rewrite(text, places, _NOT_ASCII, lambda match: unicodedata.normalize("NFC", match.group()))
    return Canonical(text, None if text == run else tuple(places))


def canonical(word: str) -> str:
    r"""The form in which a word is looked up; the word itself where nothing of it would be left.

    >>> canonical("O’Brien"), canonical("Stratford\u2011upon\u2011Avon"), canonical("AT&amp;T")
    ("O'Brien", 'Stratford-upon-Avon', 'AT&T')
    """
    if _is_plain(word):
        return word
    return _canonical(word) if len(word) <= _SHORT else canonicalise(word).text or word


def _is_plain(word: str) -> bool:
    """Whether a word is of characters that are none but themselves; of others it may be, too."""
    return word.isascii() and word.isprintable() and "&" not in word and "`" not in word


def clip(word: str) -> str:
    """Shorten a monstrous word to its two ends, so that no word costs more than a bounded time."""
    return word if len(word) <= 2 * _EDGE else word[:_EDGE] + word[-_EDGE:]


@lru_cache(_REMEMBERED)
def _canonical(word: str) -> str:
    return canonicalise(word).text or word


def _resolve(match: re.Match[str]) -> str:
    """The character that a reference names; the reference itself if it names none."""
    return html.unescape(match.group())


def _fold(match: re.Match[str]) -> str:
    """What an ignorable character or a look-alike is replaced with."""
    character, text, base = match.group(), match.string, match.start() - 1
    while base > 0 and is_mark(text[base]):  # a letter and its accent are a letter, composed or not
        base -= 1
    before, after = text[base : base + 1] if base >= 0 else "", text[match.end() : match.end() + 1]
    if character in _JOINERS:
        return "" if before.islower() or before.isupper() else character
    if character == _ZERO_WIDTH_SPACE:  # where words have no spaces it parts them, and it parts Anna from Berg
        uncased = before.isalpha() and before.lower() == before.upper()
        return " " if uncased or (before.islower() and after.isupper()) else ""
    if character in QUOTES:
        return "'" if _LETTER.match(before) and _LETTER.match(after) else character
    return _FOLDED.get(character, "")


def _rewrite(
    text: str, places: list[tuple[int, int]], pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]
) -> tuple[str, list[tuple[int, int]]]:
    """Replace what a pattern finds; every character put in stands for all that it replaced.

    What is replaced by nothing is dropped, but for marks, which belong to the character before them.
    """
    parts: list[str] = []
    origin: list[tuple[int, int]] = []
    end = 0
    for match in pattern.finditer(text):
        parts.append(text[end : match.start()])
        origin += places[end : match.start()]
        new, end = replace(match), match.end()
        parts.append(new)
        whole = places[match.start()][0], places[match.end() - 1][1]
        origin += [whole] * len(new)
        if not new and origin and is_mark(match.group()[0]) and origin[-1][1] == whole[0]:
            origin[-1] = origin[-1][0], whole[1]
    parts.append(text[end:])
    return "".join(parts), origin + places[end:]
