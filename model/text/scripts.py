"""Whether a text is written in the script of a language: a Cyrillic text is lost on a model that learnt English.

The sign is the letters, not the vocabulary: of a list of rare names a model knows few words, and it is made for them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

SAMPLE = 1000
"""Characters of a text that are looked at: its beginning tells."""
_FIRST_WORDS = 50
_LEAST = 16  # letters: no single name of another script is a text in it
_LATIN = r"A-Za-zªº\u00C0-\u02AF\u1E00-\u1EFF\u2C60-\u2C7F\uA720-\uA7FF\uFB00-\uFB06\uFF21-\uFF3A\uFF41-\uFF5A"
_CYRILLIC = r"\u0400-\u052F\u1C80-\u1C8F\u2DE0-\u2DFF\uA640-\uA69F"
_GREEK = r"\u0370-\u03FF\u1F00-\u1FFF"
_NO_LETTERS = r"\u0000-@\[-`{-©«-¿\u02B0-\u036F\u2000-\u2BFF\u3000-\u303F\U0001D400-\U0001D7FF\U0001F000-\U0001FAFF"


class _Script(NamedTuple):
    name: str
    own: re.Pattern[str]
    """A letter of the script."""
    other: re.Pattern[str]
    """A letter of any other, or a rare sign: classes such as ``\\w`` would take four times as long."""
    has_ascii: bool


def _script(name: str, letters: str) -> _Script:
    return _Script(name, re.compile(f"[{letters}]"), re.compile(f"[^{letters}{_NO_LETTERS}]"), name == "Latin")


_LANGUAGES = {
    _script(
        "Latin", _LATIN
    ): "af ca cs cy da de en es et eu fi fr ga gl hr hu id is it lt lv ms nb nl nn no pl pt ro sk sl sq sv sw tr vi",
    _script("Cyrillic", _CYRILLIC): "be bg mk ru uk",
    _script("Greek", _GREEK): "el",
}
_SCRIPTS = {code: script for script, codes in _LANGUAGES.items() for code in codes.split()}
_NAMES = {
    name.upper(): name
    for name in "Latin Cyrillic Greek Arabic Hebrew Thai Armenian Georgian Devanagari Bengali Tamil".split()
} | {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


def script_of(code: str) -> str | None:
    """The script of a language by its ISO 639-1 code; None where it has several, or is not known here."""
    script = _SCRIPTS.get(code)
    return script.name if script else None


def other_script(text: str | Sequence[str], code: str) -> str | None:
    """The script that most letters of a text have, if it is not that of a language.

    Args:
        text: or a sentence of words. Its first :data:`SAMPLE` characters, or 50 words, count; digits, signs, and fewer
            than 16 letters of other scripts tell nothing.
        code: of the language, ISO 639-1.

    Returns:
        Its name, ``of another script`` where that is not known here; None where the text fits.

    >>> other_script("Анна Соколова переехала из Казани.", "en"), other_script("We met Анна Соколова in Kazan.", "en")
    ('Cyrillic', None)
    """
    script = _SCRIPTS.get(code)
    if not isinstance(text, str):
        text = " ".join(text[:_FIRST_WORDS])
    if script is None or (script.has_ascii and text.isascii()):  # which Python knows without looking
        return None
    sample = text[:SAMPLE]
    if script.other.search(sample) is None:
        return None
    others = [sign for sign in script.other.findall(sample) if sign.isalpha()]
    if len(others) < _LEAST or len(others) <= len(script.own.findall(sample)):
        return None
    names = Counter(map(_name, others))
    rare = names.pop(script.name, 0)  # small capitals and the like
    count = len(others) - rare
    return names.most_common(1)[0][0] if count >= _LEAST and count > len(script.own.findall(sample)) + rare else None


def _name(letter: str) -> str:
    """The script of a letter."""
    return _NAMES.get(unicodedata.name(letter, "").partition(" ")[0], "of another script")
