"""What a word's letters say of it: case, shape, affixes, character n-grams.

Every function here depends on one word and nothing else. That is what makes a word a row
(see ``model/README.md``): the row can be computed once and kept.
"""

import re
from zlib import crc32

from fenestra.model.text.canonical import clip

_LONG_RUN = re.compile(r"(.)\1{2,}", re.DOTALL)  # a run longer than two adds nothing to the shape


def _kind(character: str) -> str:
    """What a character is in a shape."""
    if character.isdigit():
        return "d"
    return character if not character.isalpha() else "X" if character.isupper() else "x"


_ASCII_KINDS = {code: _kind(chr(code)) for code in range(128)}


def case(word: str) -> str:
    """The word's capitalisation, one of nine classes (after Collobert et al. 2011, section 4.3, and finer).

    >>> [case(word) for word in ("Ada", "USA", "met", "iPhone", "1996", "3rd", "A", "F.", ",")]
    ['title', 'upper', 'lower', 'mixed', 'digits', 'alphanumeric', 'capital', 'upper', 'sign']
    """
    if not word.isalpha():
        if not any(character.isalnum() for character in word):
            return "sign"
        if any(character.isdigit() for character in word):
            return "alphanumeric" if any(character.isalpha() for character in word) else "digits"
    if word.islower():
        return "lower"
    if word.isupper():
        return "capital" if len(word) == 1 else "upper"
    if word[0].isupper() and word[1:].islower():
        return "title"
    return "uncased" if word.lower() == word.upper() else "mixed"


def shape(word: str) -> str:
    """Letters become X, x; digits d; other signs stay; long runs are cut to two.

    >>> [shape(word) for word in ("Lovelace", "U.S.", "1996-08-22", "McDonald")]
    ['Xxx', 'X.X.', 'dd-dd-dd', 'XxXxx']
    """
    kinds = clip(word).translate(_ASCII_KINDS) if word.isascii() else "".join(map(_kind, clip(word)))
    return _LONG_RUN.sub(r"\1\1", kinds)


def ngrams(word: str, sizes: tuple[int, ...], buckets: int) -> list[int]:
    """Hash the character n-grams of ``<word>`` into ``[1, buckets]`` (fastText; Bojanowski et al. 2017).

    Case is kept: ``<U`` and ``<u`` are different beginnings.
    """
    marked = f"<{clip(word)}>"
    return [
        1 + crc32(marked[start : start + size].encode("utf-8", "surrogatepass")) % buckets
        for size in sizes
        for start in range(len(marked) - size + 1)
    ]


def fields(word: str, *, prefixes: tuple[int, ...], suffixes: tuple[int, ...]) -> dict[str, str]:
    """The one-valued features of a word, by field name. Affixes are lower-cased: case has its own field.

    >>> fields("Munich", prefixes=(2,), suffixes=(3,))
    {'word': 'munich', 'case': 'title', 'shape': 'Xxx', 'prefix2': 'mu', 'suffix3': 'ich'}
    """
    lowered = word.lower()
    return {
        "word": lowered,
        "case": case(word),
        "shape": shape(word),
        **{f"prefix{size}": lowered[:size] for size in prefixes},
        **{f"suffix{size}": lowered[-size:] for size in suffixes},
    }
