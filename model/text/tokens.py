"""Text into tokens that remember where they came from, in the manner of the Penn Treebank.

The tagger was trained on text that people split by hand, so raw text is split the way they did: punctuation stands
alone, ``'s`` and ``n't`` come off their word, hyphens hold, abbreviations keep their period where it is customary.
Runs of characters between white space are split in their canonical form (``canonical.py``), and every token keeps the
place of what stands in the text. One compiled expression does the work. Every repetition in it is over a class that the
next item cannot match, or is bounded, so the time is linear in the text whatever it holds.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from fenestra.model.text.canonical import canonical, canonicalise
from fenestra.model.text.characters import (
    INVISIBLE,
    LETTERS,
    LOWER,
    MARKS,
    RAISED,
    UNSPACED,
    UPPER,
    WORD,
    is_letter,
    is_mark,
    is_of_word,
    is_upper,
)
from fenestra.model.text.language import Language, language

Span = tuple[int, int]
"""Start and end, in code points."""


class Token(NamedTuple):
    """A piece of text and its place: ``text[start:end]``, counted in Unicode code points."""

    text: str
    start: int
    end: int


_GLUE = rf"[{MARKS}\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
# Between two words: open-forum.com, Lenta.ru; in capitals, only before what ends the names of hosts: Mail.Ru
_DOT_INSIDE = (
    rf"\.(?=[a-z0-9])|(?<=[{WORD}][{WORD}])\.(?=[{LOWER}][{WORD}]|(?:Com|COM|Net|NET|Org|ORG|Ru|RU|Ру|РФ)(?![{WORD}]))"
)
_RUN = re.compile(r"\S+")
_LONGEST_RUN = 64  # characters; longer ones are cut as they are read, and not remembered
_REMEMBERED = 1 << 14
_APART = ",;:!?)"  # what is a token by itself behind any letter
NOTHING, NAME, NUMBER = 0, 1, 2
"""What follows a run; see :meth:`Tokenizer.after_stop`."""
_EXAMPLES = ("", " X", " 1")
_NUMERAL = re.compile(r"[IVXLC]{2,}(?![^\s,;:)\].])|[B-HJ-Z](?![^\s,;:)\]])")
_REFERENCE = 40  # characters that a reference to a character, &Aring;, has at the most
LINE_ENDS = "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"


def tokenize(text: str, of: Language | None = None) -> list[Token]:
    """Split text into tokens, in order and without overlap, with ``text[token.start:token.end] == token.text``.

    White space and ignorable characters belong to no token, unless they stand inside of one.

    >>> [token.text for token in tokenize("Ada's U.S. firm didn't move.")]
    ['Ada', "'s", 'U.S.', 'firm', 'did', "n't", 'move', '.']
    >>> tokenize("🙂 Ada")
    [Token(text='🙂', start=0, end=1), Token(text='Ada', start=2, end=5)]

    Args:
        text: any text.
        of: its language; English when omitted.
    """
    return [
        Token(word, start, start + len(word))
        for words, starts in tokenizer(of or language()).pieces(text, 1 << 16)
        for word, start in zip(words, starts, strict=True)
    ]


class Tokenizer:
    """Splits texts of a language into tokens. Threads may share it."""

    def __init__(self, of: Language) -> None:
        """Compile what the language's words are needed for."""
        self.language = of
        self._openers = frozenset(of.openers)
        self._pattern = re.compile(_expression(of), re.VERBOSE)
        self._clitic = re.compile(f"(?i:{_any(of.clitics)})$") if of.clitics else None
        self._cut = lru_cache(_REMEMBERED)(self._cut_short)

    def pieces(self, text: str, size: int) -> Iterator[tuple[list[str], list[int]]]:
        """Split text as :func:`tokenize` does, about ``size`` tokens at a time; the first piece is there even if empty.

        No token reaches over white space, so what was said of a run of signs between two spaces may be remembered:
        running text repeats itself.

        Yields:
            Words, and where each starts.
        """
        words: list[str] = []
        starts: list[int] = []
        for run in _RUN.finditer(text):
            base = run.start()
            for start, end in self.spans(run.group(), self.after_stop(text, base, run.end())):
                words.append(text[base + start : base + end])
                starts.append(base + start)
                if len(words) >= size:
                    yield words, starts
                    words, starts = [], []
        yield words, starts

    def spans(self, run: str, after: int = NOTHING) -> tuple[Span, ...] | Iterator[Span]:
        """The tokens of a run of signs without white space, by place in it; ``after`` as of :meth:`after_stop`."""
        return self._cut(run, after) if len(run) <= _LONGEST_RUN else self._cut_long(run, after)

    def after_stop(self, text: str, start: int, end: int) -> int:
        """What follows the full stop at the end of a run, if that decides whether the stop belongs to the word before.

        Such words are the only ones that ask what stands around their run.

        Returns:
            ``NUMBER``, before a number, a Roman one or a letter that numbers: ``Phil. 4:8``, ``Art. IV``, ``App. B``.
            ``NAME``, behind a single capital that is an initial: the ``J.`` of ``J. Smith``. It is one before a small
            letter, and before a capital, unless that is of a word that opens sentences (``Malcolm X. He left``); before
            a year (``Moss, C. (1990)``); and behind another initial wherever it stands (``Moss J. K.``).
            ``NOTHING`` otherwise.
        """
        stop = end - 1
        while stop > start and text[stop] in INVISIBLE:
            stop -= 1
        if text[stop] != "." or not self.language.keep_stops:
            return NOTHING
        after, lines = end, 0
        while after < len(text) and text[after].isspace():
            lines += text[after] in LINE_ENDS and text[after : after + 2] != "\r\n"
            after += 1
        following = text[after] if after < len(text) and lines < 2 else ""
        if after > end and following and self._numbers(text, after, text[max(start, stop - 2) : stop]):
            return NUMBER
        at = stop - 1
        while at >= start and (is_mark(text[at]) or text[at] in INVISIBLE):
            at -= 1
        before = text[at : at + 1] if at >= start else ""
        if before == ";":  # &Aring;. Berg
            before = canonical(text[max(start, at - _REFERENCE) : at + 1])[-1]
        is_capital = bool(before) and is_upper(before)
        before_name = is_capital and bool(following) and self._continues_name(text, after)
        return NAME if before_name or (is_capital and _follows_initial(text, at)) else NOTHING

    @staticmethod
    def _numbers(text: str, after: int, before: str) -> bool:
        """Whether a number starts here; or one of letters, if there are two letters before the stop, so no initial."""
        if "0" <= text[after] <= "9":
            return True
        return len(before) == 2 and before.isascii() and before.isalpha() and bool(_NUMERAL.match(text, after))

    def _continues_name(self, text: str, after: int) -> bool:
        """Whether what starts here may follow an initial: a letter, but of no word that opens sentences; &; a year."""
        following, second = text[after], text[after + 1 : after + 2]
        if following == "(":
            return "0" <= second <= "9"
        if is_letter(following):
            if not is_upper(following) or second == ".":
                return True
        elif following != "&" and following not in INVISIBLE:
            return False
        word = self.first_of(text, after)
        return word == "&" or (bool(word) and is_letter(word[0]) and word not in self._openers)

    def first_of(self, text: str, start: int) -> str:
        """The first word of the run that starts here."""
        run = _RUN.match(text, start)
        if run is None:
            return ""
        begin, end = next(iter(self.spans(run.group())), (0, 0))
        return canonical(text[start + begin : start + end])

    def _cut_short(self, run: str, after: int) -> tuple[Span, ...]:
        size = len(run)
        if run.isascii():  # most runs are a word, or a word and a comma
            if run.isalpha():
                return ((0, size),)
            if run[-1] in _APART and run[:-1].isalpha():
                return (0, size - 1), (size - 1, size)
        return tuple(self._cut_long(run, after))

    def _cut_long(self, run: str, after: int) -> Iterator[Span]:
        """The tokens of a run one by one."""
        form = canonicalise(run)
        text, limit, last = form.text + _EXAMPLES[after], len(form.text), 0
        for match in self._pattern.finditer(text):
            start, end = match.span()
            if start >= limit:
                return
            clitic = self._clitic.search(match.group()) if self._clitic and "'" in match.group() else None
            cuts = (start, start + clitic.start(), end) if clitic and clitic.start() > 0 else (start, end)
            for piece in pairwise(cuts):
                first, until = form.span(*piece)
                first = max(first, last)  # what stands for several characters, 安\u0301, may lie in two tokens
                if first < until:
                    yield first, until
                    last = until


def _follows_initial(text: str, at: int) -> bool:
    """Whether a capital at a place stands behind an initial."""
    before = at - 1
    while before >= 0 and text[before].isspace():
        before -= 1
    initial = before >= 1 and text[before] == "." and is_upper(text[before - 1])
    return initial and (before == 1 or not is_of_word(text[before - 2]))


@lru_cache(64)
def tokenizer(of: Language) -> Tokenizer:
    """The tokenizer of a language."""
    return Tokenizer(of)


def _any(words: tuple[str, ...]) -> str:
    """An expression for one of some words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) or "(?!)"


def _expression(of: Language) -> str:
    """The expression that finds the next token of a run."""
    upper, letter, word = f"[{UPPER}][{MARKS}]*", f"[{LETTERS}]", f"[{WORD}]"
    # The stops that belong to what is before them; none in a language that sets every stop apart.
    kept = rf"""
      {upper}\.(?:-?{upper}\.)*(?=[{UPPER}][{WORD}'-]*[{LOWER}])  # J.K.  F.  of J.K.Rowling, F.Kennedy
    | {upper}(?:\.-{upper})+\.(?!{word})                         # J.-P.  of J.-P. Moss
    | {letter}(?:\.{letter})+\.?(?:-{word}+)*(?!{word})         # U.S.  a.m.  U.N.-led
    | (?:{_any((*of.titles, *of.abbreviations))})\.(?!{word})   # Mr.  Inc.  Sept.
    | (?:{_any(of.titles)})\.(?=[{UPPER}][{LOWER}.'])           # Dr.  of Dr.Kerr, Dr.A.Kerr, Dr.O'Brien
    | (?:{_any(of.numbered)})\.(?=\s*\d)                       # Phil.  of Phil. 4:8
    | {upper}\.(?=\s+[{LETTERS}{UNSPACED}]|[,;:)\]])            # the J. of J. Smith
    |"""
    apart = rf"""
      [A-Z](?:\.[A-Z])+\.?(?!{word})                            # U.S.
    |"""
    return rf"""
      (?:https?://|www\.)[^\s<>"]*[^\s<>".,;:!?')\]}}]          # an address on the web
    | [\w.+-]{{1,64}}@[\w-]{{1,64}}(?:\.[\w-]{{1,64}}){{1,8}}   # an address for mail
    | [@\#][{WORD}{UNSPACED}_]+                                 # a name or topic of social media
    |{kept if of.keep_stops else apart}
      [+-]?\d+(?:[.,:/-]\d+)+(?!{word})                         # 1,200.50  3-1  1996-08-22  10:30  192.168.1.1
    | [+-]?\.\d+(?!{word}|\.\d)                                 # .500
    | [A-Z]{{1,3}}\$(?!{letter})                                # C$  US$
    | (?:{letter}{{1,2}}|\d{{1,9}})[ªº](?!{word})               # Mª  1º
      # a word, with hyphens and apostrophes inside, but no rows of them: Oslo--Bergen, Oslo____Bergen
    | {word}+(?:(?:(?:(?!--|__)[-&'_])+|{_DOT_INSIDE})(?={word}){word}+)*
    | [{UNSPACED}](?:[{UNSPACED}\d])*                           # words of a script without spaces
    | (?:{_any(of.particles)})(?!{word})                        # a clitic after a space
    | _+ | [{RAISED}]+                                          # rows of underscores, footnotes
    | \.{{2,}} | -{{2,}} | [‐-―]+ | ``|''                       # ellipsis, dashes, Treebank quotes
    | \*{{2,}} | ={{2,}} | ~{{2,}} | \#{{2,}}                   # mark-up
    | [\U0001f1e6-\U0001f1ff]{{2}}                              # a flag
    | \S(?:{_GLUE}+(?:(?<=\u200d)[^\s\w])?)*                    # any other sign, with what modifies it
    """
