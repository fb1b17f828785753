"""Text into tokens that remember where they came from, in the manner of the Penn Treebank.

The tagger was trained on text that people split by hand, so raw text is split the way they did:
punctuation stands alone, ``'s`` and ``n't`` come off their word, hyphens hold, abbreviations keep their period.
One compiled expression does the work. Every repetition in it is over a class that the next item cannot
match, or is bounded, so the time is linear in the text whatever it holds.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple


class Token(NamedTuple):
    """A piece of text and its place: ``text[start:end]``, counted in Unicode code points."""

    text: str
    start: int
    end: int


def _combining_marks() -> str:
    r"""Code points of the first two planes that modify the character before them, as ranges of a regex class.

    Python's ``\w`` leaves them out, which would cut Hindi words and decomposed accents to pieces.
    """
    marks = (code for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M")
    ranges = []
    for _, run in groupby(enumerate(marks), key=lambda pair: pair[1] - pair[0]):
        codes = [code for _, code in run]
        ranges.append(f"{chr(codes[0])}-{chr(codes[-1])}")
    return "".join(ranges)


_MARKS = _combining_marks()
_WORD = rf"[\w{_MARKS}\u200c\u200d]"
_LETTER = r"[^\W\d_]"
_GLUE = rf"[{_MARKS}\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
_ABBREVIATIONS = (
    "Mr Mrs Ms Dr Prof Rev Hon St ST Mt Ft Sgt Capt Cpl Lt Col Gen Adm Maj Gov Sen Rep Pres Messrs Mme Mlle "
    "Inc Corp Ltd Co Bros Cos Assn Dept Univ Intl Natl Plc Jr Sr Esq PhD Ph.D M.D "
    "Jan Feb Mar Apr Jun Jul Aug Sept Sep Oct Nov Dec Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun "
    "Ave Blvd Rd No Nos vs etc cf al approx est ca Fig Vol Ed eds pp Ala Ariz Ark Calif Colo Conn Fla Ga "
    "Ill Ind Kan La Mass Md Mich Minn Miss Mo Mont Neb Nev Okla Ore Pa Penn Tenn Tex Va Vt Wash Wis Wyo"
).split()
_ALWAYS_ABBREVIATED = "|".join(re.escape(a) for a in sorted(_ABBREVIATIONS, key=len, reverse=True))

_PATTERN = re.compile(
    rf"""
      (?:https?://|www\.)[^\s<>"]*[^\s<>".,;:!?')\]}}]          # an address on the web
    | [\w.+-]{{1,64}}@[\w-]{{1,64}}(?:\.[\w-]{{1,64}}){{1,8}}   # an address for mail
    | [@\#]{_WORD}+                                             # a name or topic of social media
    | {_LETTER}(?:\.{_LETTER})+\.?(?:-{_WORD}+)*(?!{_WORD})     # U.S.  a.m.  U.N.-led
    | (?:{_ALWAYS_ABBREVIATED})\.(?!{_WORD})                    # Mr.  Inc.  Sept.
    | [A-Z]\.(?=\ [^\W\d_a-z])                                  # the J. of J. Smith
    | [+-]?\d+(?:[.,:/-]\d+)+(?!{_WORD})                        # 1,200.50  3-1  1996-08-22  10:30  192.168.1.1
    | [+-]?\.\d+(?!{_WORD}|\.\d)                                # .500
    | [A-Z]{{1,3}}\$(?!{_LETTER})                                # C$  US$
    | {_WORD}+(?:(?:[-&'’_]+|\.(?=[a-z0-9]))(?={_WORD}){_WORD}+)*   # a word, with hyphens and apostrophes inside
    | ['’](?:s|S|re|ve|ll|d|m|n|em)(?!{_WORD})                  # a clitic after a space
    | \.{{2,}} | -{{2,}} | [‐-―]+ | ``|''                       # ellipsis, dashes, Treebank quotes
    | [\U0001f1e6-\U0001f1ff]{{2}}                              # a flag
    | \S(?:{_GLUE}+(?:(?<=\u200d)[^\s\w])?)*                    # any other sign, with what modifies it
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(?i:(n['’]t)|['’](?:s|re|ve|ll|d|m))$")
_RUN = re.compile(r"\S+")
_NAME_FOLLOWS = re.compile(r"\ [^\W\d_a-z]")
_LONGEST_RUN = 64  # characters; longer ones are cut as they are read, and not remembered
_REMEMBERED = 1 << 14


def tokenize(text: str) -> list[Token]:
    """Split text into tokens, in order and without overlap, with ``text[token.start:token.end] == token.text``.

    >>> [token.text for token in tokenize("Ada's U.S. firm didn't move.")]
    ['Ada', "'s", 'U.S.', 'firm', 'did', "n't", 'move', '.']
    >>> tokenize("🙂 Ada")
    [Token(text='🙂', start=0, end=1), Token(text='Ada', start=2, end=5)]
    """
    return [
        Token(word, start, start + len(word))
        for words, starts in pieces(text, 1 << 16)
        for word, start in zip(words, starts, strict=True)
    ]


def pieces(text: str, size: int) -> Iterator[tuple[list[str], list[int]]]:
    """Split text as :func:`tokenize` does, about ``size`` tokens at a time; the first piece is there even if empty.

    No token reaches over white space, so what was said of a run of signs between two spaces may be remembered:
    running text repeats itself.

    Yields:
        Words, and where each starts.
    """
    words: list[str] = []
    starts: list[int] = []
    for run in _RUN.finditer(text):
        piece, start = run.group(), run.start()
        if len(piece) > _LONGEST_RUN:
            for word in cut_long(text, start, run.end()):
                words.append(word)
                starts.append(start)
                start += len(word)
                if len(words) >= size:
                    yield words, starts
                    words, starts = [], []
            continue
        for word in cut(piece, initial=initial_of_a_name(text, start, run.end())):
            words.append(word)
            starts.append(start)
            start += len(word)
        if len(words) >= size:
            yield words, starts
            words, starts = [], []
    yield words, starts


def initial_of_a_name(text: str, start: int, end: int) -> bool:
    """Whether a run ends like the ``J.`` of ``J. Smith``: the only token that asks what follows the space."""
    is_initial = text[end - 1] == "." and end - start > 1 and "A" <= text[end - 2] <= "Z"
    return is_initial and _NAME_FOLLOWS.match(text, end) is not None


def cut(run: str, *, initial: bool = False) -> tuple[str, ...]:
    """The tokens of a run of signs without white space; ``initial`` as of :func:`initial_of_a_name`."""
    return _cut(f"{run} A")[:-1] if initial else _cut(run)


@lru_cache(_REMEMBERED)
def _cut(run: str) -> tuple[str, ...]:
    """The tokens of text that holds no white space, or none that matters."""
    return tuple(cut_long(run, 0, len(run)))


def cut_long(text: str, start: int, end: int) -> Iterator[str]:
    """The tokens of ``text[start:end]`` one by one, where white space or nothing stands around it."""
    for match in _PATTERN.finditer(text, start):
        if match.start() >= end:
            return
        piece = match.group()
        if ("'" in piece or "’" in piece) and (clitic := _CLITIC.search(piece)) and clitic.start() > 0:
            yield piece[: clitic.start()]
            yield piece[clitic.start() :]
        else:
            yield piece
