"""Text into tokens that remember where they came from, in the manner of the Penn Treebank.

The tagger was trained on text that people split by hand, so raw text is split the way they did:
punctuation stands alone, ``'s`` and ``n't`` come off their word, hyphens hold, abbreviations keep their period.
One compiled expression does the work. Every repetition in it is over a class that the next item cannot
match, or is bounded, so the time is linear in the text whatever it holds.
"""

import re
import unicodedata
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
    "Mr Mrs Ms Dr Prof Rev Hon St Mt Ft Sgt Capt Cpl Lt Col Gen Adm Maj Gov Sen Rep Pres Messrs Mme Mlle "
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
    | [+-]?\d+(?:[.,:/-]\d+)+(?!{_WORD})                        # 1,200.50  3-1  1996-08-22  10:30
    | {_WORD}+(?:(?:[-&'’_]+|\.(?=[a-z0-9]))(?={_WORD}){_WORD}+)*   # a word, with hyphens and apostrophes inside
    | ['’](?:s|S|re|ve|ll|d|m|n|em)(?!{_WORD})                  # a clitic after a space
    | \.{{2,}} | -{{2,}} | [‐-―]+ | ``|''                       # ellipsis, dashes, Treebank quotes
    | [\U0001f1e6-\U0001f1ff]{{2}}                              # a flag
    | \S(?:{_GLUE}+(?:(?<=\u200d)[^\s\w])?)*                    # any other sign, with what modifies it
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(r"(?i:(n['’]t)|['’](?:s|re|ve|ll|d|m))$")


def tokenize(text: str) -> list[Token]:
    """Split text into tokens, in order and without overlap, with ``text[token.start:token.end] == token.text``.

    >>> [token.text for token in tokenize("Ada's U.S. firm didn't move.")]
    ['Ada', "'s", 'U.S.', 'firm', 'did', "n't", 'move', '.']
    >>> tokenize("🙂 Ada")
    [Token(text='🙂', start=0, end=1), Token(text='Ada', start=2, end=5)]
    """
    tokens: list[Token] = []
    for match in _PATTERN.finditer(text):
        piece, start, end = match.group(), match.start(), match.end()
        if ("'" in piece or "’" in piece) and (clitic := _CLITIC.search(piece)) and clitic.start() > 0:
            cut = clitic.start()
            tokens.append(Token(piece[:cut], start, start + cut))
            tokens.append(Token(piece[cut:], start + cut, end))
        else:
            tokens.append(Token(piece, start, end))
    return tokens
