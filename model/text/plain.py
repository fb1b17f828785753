"""The characters that the kernel reads without Python, and what it asks of each.

Of a word of plain characters every one can be looked at by itself: its canonical form, its small letter and its
capital are one character each, whatever stands around it. Words with others are left to Python, as are all characters
from U+3000 on.
"""

import re
import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.text import canonical
from fenestra.model.text.characters import MARKS, RAISED, UNSPACED, WORD
from fenestra.model.text.language import Language

PLAIN = 0x3000
"""Characters below this can be plain."""
ODD, ALPHA, DIGIT, ALNUM, LOWER, UPPER, TITLE, ONE_CASE, ODD_TITLE, OF_WORD, DASH, QUOTE, LETTER, STRESSED = (
    1 << bit for bit in range(14)
)
"""Bits of a character; ``CHAR_`` in ``kernel.h``."""

STRESS = "\u0301"
"""The acute that marks the stress of a Russian word: plain behind a letter that it makes no other letter of."""
_CASE_OF_ASCII = "\u017f\u212a\u0130\u0131"  # letters of ASCII where case is ignored


class Characters(NamedTuple):
    """Of each character below PLAIN."""

    bits: NDArray[np.uint32]
    form: NDArray[np.uint32]
    """Its canonical form."""
    lower: NDArray[np.uint32]
    title: NDArray[np.uint32]


@cache
def characters(of: Language) -> Characters:
    """What is asked of plain characters in texts of a language."""
    every = _characters()
    bits = every.bits.copy()
    for entry in (*of.titles, *of.abbreviations, *of.numbered, *of.particles, *of.clitics):
        for character in entry:  # signs of a word that is listed, such as §§, are no tokens by themselves
            if ord(character) < PLAIN and not bits[ord(character)] & OF_WORD and character not in ".'-&":
                bits[ord(character)] |= ODD
    return every._replace(bits=bits)


@cache
def _characters() -> Characters:
    """The same in texts of no language."""
    every = [chr(code) for code in range(PLAIN)]
    text = "".join(every)
    bits, form = np.zeros(PLAIN, np.uint32), np.arange(PLAIN, dtype=np.uint32)

    def mark(bit: int, members: "list[str] | set[str]") -> None:
        bits[[ord(character) for character in members]] |= bit

    mark(ALPHA, [c for c in every if c.isalpha()])
    mark(DIGIT, [c for c in every if c.isdigit()])
    mark(ALNUM, [c for c in every if c.isalnum()])
    mark(LOWER, [c for c in every if c.islower()])
    mark(UPPER, [c for c in every if c.isupper()])
    mark(TITLE, [c for c in every if c.istitle() and not c.isupper()])
    mark(ONE_CASE, [c for c in every if c.lower() == c.upper()])
    mark(ODD_TITLE, [c for c in every if len(c.title()) != 1])
    mark(OF_WORD, re.findall(f"[{WORD}]", text))
    mark(DASH, re.findall("[‐-―]", text))
    mark(LETTER, re.findall(r"[^\W\d_]", text))

    mark(STRESSED, [c for c in every if c.isalpha() and unicodedata.normalize("NFC", c + STRESS) == c + STRESS])

    special = canonical.SPECIAL.findall(text)
    plain = dict.fromkeys(canonical.APOSTROPHES, "'") | dict.fromkeys(canonical.HYPHENS, "-")
    quotes = set(canonical.QUOTES)
    mark(QUOTE, [c for c in special if c in quotes])
    mark(ODD, [c for c in special if c not in plain and c not in quotes and c != "&"])
    mark(ODD, re.findall(rf"[{MARKS}{RAISED}{UNSPACED}ªº\s]|[^\W\D0-9]", text))
    mark(ODD, [c for c in every if len(c.lower()) != 1 or c == "Σ" or unicodedata.normalize("NFC", c) != c])
    mark(ODD, ["`", *_CASE_OF_ASCII])
    for character, instead in plain.items():
        if ord(character) < PLAIN:
            form[ord(character)] = ord(instead)

    def single(spelled: list[str]) -> NDArray[np.uint32]:
        return np.array([ord(s) if len(s) == 1 else 0 for s in spelled], np.uint32)

    return Characters(bits, form, single([c.lower() for c in every]), single([c.title() for c in every]))
