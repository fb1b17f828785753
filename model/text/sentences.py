"""Where sentences end: a window must not see over the full stop into the next thought.

A rule and not a library: the tokens are there already, abbreviations have kept their period, and a missed break
costs little, since training overlooks some on purpose (``training/fit/batches.py``). What the rule costs on
running text is measured by ``python -m benchmarks.raw_text``, and how it stands beside other splitters by
``python -m benchmarks.segmentation``.

The words that it asks for are those of the language (``language.py``). A cell of a table is a sentence, too: no name
reaches from one cell into the next.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from fenestra.model.text.canonical import canonical, clip
from fenestra.model.text.language import Language, language
from fenestra.model.text.tokens import LINE_ENDS, Token

_STOP = re.compile(r"[.!?…。！？।؟]+")
_CLOSERS = frozenset("'”’»)]}''")
_CONTINUES = frozenset(",;:")
_BULLETS = frozenset("•‣◦▪●○■□⁃∙")
_DASHES = re.compile(r"[‐-―-]+")
_DATELINE = re.compile(r"\d{4}-\d\d-\d\d")  # NEW YORK 1996-08-30 | Stocks fell …
_NUMBER = re.compile(r"[+.-]?\d")
_SHORT_LINE = 50  # characters; a shorter line did not end because the page was full
_PARAGRAPH = "\u2029"
_GAP = 3  # spaces or more part the cells of a table, and so does a tab
_ITEM = 2  # digits of the number of an item
_FEW_WORDS = 2  # of a line; with fewer before them, initials are the end of a name: Moss J. K.

# What there is to know of a word here, as bits.
_ENDS, _ABBREVIATED, _DATE, _COUNTS = 1, 2, 4, 8  # may end a sentence: always, or by what stands around it
_MAY_END = _ENDS | _ABBREVIATED | _DATE | _COUNTS
_CLOSES, _QUOTE, _SMALL, _CAPITAL, _OPENS, _LOUD, _COMMA, _CLOCK = 16, 32, 64, 128, 256, 512, 1024, 2048
_BEFORE_NAME, _DASH, _SHORTENED, _CONTINUING, _BULLET = 4096, 8192, 16384, 32768, 65536
_LABELS = 131072
_REMEMBERED = 1 << 14
_SHORT_WORD = 48  # characters; of longer words the ends are enough

# What stands between two tokens.
LINE, BLANK_LINE, CELL = 1, 2, 4


def sentence_lengths(text: str, tokens: Sequence[Token], of: Language | None = None) -> list[int]:
    """Part the tokens of a text into sentences.

    >>> from fenestra.model.text.tokens import tokenize
    >>> text = "He met Mr. Ito. They left."
    >>> sentence_lengths(text, tokenize(text))
    [5, 3]

    Args:
        text: any text.
        tokens: its tokens, in order.
        of: its language; English when omitted.

    Returns:
        How many tokens each sentence has; they add up to ``len(tokens)``.
    """
    splitter = Splitter(text, of or language())
    splitter.read([token.text for token in tokens], [token.start for token in tokens])
    return splitter.lengths()


def gap(between: str) -> int:
    r"""What white space between two tokens says: a line's end, a blank line, a cell's end, or 0 for nothing.

    >>> [gap(between) for between in (" ", "\n", "\r\n", "\n\n", "\t", "    ")]
    [0, 1, 1, 2, 4, 4]
    """
    if len(between) < 2 and between != "\t" and between not in LINE_ENDS:
        return 0
    lines = sum(map(between.count, LINE_ENDS)) - between.count("\r\n") + between.count(_PARAGRAPH)
    return counted_gap(lines, sum(map(str.isspace, between)) + _GAP * ("\t" in between))


def counted_gap(lines: int, spaces: int) -> int:
    """As :func:`gap`, of so many line ends and spaces, of which a tab counts for as many as part cells."""
    if lines:
        return LINE if lines == 1 else BLANK_LINE
    return CELL if spaces >= _GAP else 0


class Splitter:
    """Parts a text into sentences while its tokens come in."""

    def __init__(self, text: str, of: Language) -> None:
        self._text = text
        self._role = roles(of)
        self._begins: list[int] = []
        self._count = 0
        self._start = self._end = 0  # of the last token, in characters
        self._line = 0  # where the first token of the line starts
        self._line_words = 0  # words of the line or cell, initials and stops not counted
        self._roles = (0, 0)  # of the last token but one, and of the last
        self._word = 0  # role of the last token that closes nothing
        self._opened = False  # whether a straight quotation mark is open
        self._place = -1  # where words in capitals began that could name a dateline's place; -1 none, 0 they cannot
        self._dash = -1  # a dash behind a full stop: what follows tells whether a sentence begins with it; -1 none
        self._item = -2  # a stop behind a number that follows another, which counts if a capital comes next; -2 none

    def read(self, words: Sequence[str], starts: Sequence[int]) -> None:
        """Take the next tokens of the text: what they are, and where they start."""
        text = self._text
        for word, start in zip(words, starts, strict=True):
            role, between = self._role(word), 0
            if self._count and start > self._end:
                between = gap(text[self._end : start])
            if between == BLANK_LINE:
                self._opened = False
            role = self._settle(word, role, start)
            self._find_end(between, role)
            self._find_dateline(role)
            if between:
                self._line, self._line_words = start, 0
            self._move_on(role)
            self._start, self._end = start, start + len(word)

    def lengths(self) -> list[int]:
        """How many tokens each sentence has of what was read so far; they add up to all of them."""
        begins = [*self._begins, self._dash] if self._dash >= 0 else self._begins
        ends = [*begins, self._count] if self._count else []
        return [end - begin for begin, end in zip([0, *begins], ends, strict=False)]

    def _find_end(self, between: int, role: int) -> None:
        """End the sentence before the next token, or before a dash or the number of an item that was the last one."""
        if self._dash >= 0 and (not role & _SMALL or between):
            self._begins.append(self._dash)
        self._dash = -1
        if self._item == self._count - 1 and role & _CAPITAL and self._item - 1 > self._begin:
            self._begins.append(self._item - 1)
        item = role & _BULLET and not self._roles[1] & _BULLET
        if self._count and (item or (between and self._parts(between, role)) or self._stops(role)):
            self._begins.append(self._count)
        elif self._count and role & _DASH and self._stops(role & ~_DASH):
            self._dash = self._count

    @property
    def _begin(self) -> int:
        """The first token of the sentence."""
        return self._begins[-1] if self._begins else 0

    def _move_on(self, role: int) -> None:
        self._line_words += not role & (_BEFORE_NAME | _ENDS | _CONTINUING)
        if not role & _CLOCK:  # AM and PM belong to the number before them
            if not role & _CLOSES or not self._count:
                self._word = role & _MAY_END
            else:
                self._word &= _ENDS  # only a full stop reaches through what closes after it
            self._roles = (self._roles[1], role)
        self._count += 1

    def _settle(self, word: str, role: int, start: int) -> int:
        """The role of a word that means one thing or another by what stands around it."""
        before = self._roles[1]
        if role & _QUOTE and self._quote_closes(start):
            role |= _CLOSES
        if role & _CLOCK and not before & _COUNTS:
            role &= ~(_CLOCK | _SMALL)  # PM Modi, I AM: no time of day
        if role & _ENDS:
            role = self._settle_stop(word, role, start)
        if role & _OPENS and before & _LABELS and len(word) == 1:
            role &= ~_OPENS  # Fig. A
        if role & _OPENS and role & _SHORTENED and self._text.startswith((".", " ."), start + len(word)):
            role &= ~_OPENS  # А. С. Пушкин, А . С . Пушкин
        return role

    def _settle_stop(self, word: str, role: int, start: int) -> int:
        """The role of what may end a sentence; not if it counts (``1. Moss``) or leans on what follows (``.com``)."""
        before, is_free = self._roles[1], start > self._end or not self._count
        if is_free and self._text[start + len(word) : start + len(word) + 1].strip():
            return role & ~_ENDS
        if word == "." and before & _SHORTENED:  # г. Казань, where every stop is a token
            return _ABBREVIATED | before & (_BEFORE_NAME | _LABELS)
        if is_free:
            return role
        if word != "." or not before & _COUNTS:
            return role
        is_short = start - self._start <= _ITEM  # no year or thousands: 3 March 1837. Moss, 12 500. Holm
        if is_short and self._roles[0] & (_COUNTS | _CLOSES):  # Moss 9.81 2. Holm 9.87
            self._item = self._count
            return role & ~_ENDS
        return role & ~_ENDS if self._count - self._begin == 1 else role

    def _quote_closes(self, start: int) -> bool:
        """Whether a straight quotation mark closes.

        It leans on the word that it belongs to; where it stands free, every other one of a paragraph closes.
        """
        free_before = not self._count or start > self._end
        free_after = not self._text[start + 1 : start + 2].strip()
        closes = self._opened if free_before == free_after else free_after
        self._opened = not closes
        return closes

    def _find_dateline(self, role: int) -> None:
        """Break before the place of a dateline, which only its date gives away: ``LONGYEAR , Norway 1996-08-30``.

        Behind a small word or a number nothing begins: ``built by NASA 1996-08-30``.
        """
        if role & _LOUD:
            if self._place < 0 or not self._roles[1] & (_LOUD | _COMMA):
                self._place = 0 if self._roles[1] & (_SMALL | _COUNTS) else self._count
        elif not role & (_CAPITAL | _COMMA):
            if role & _DATE and self._place > self._begin:
                self._begins.append(self._place)
            self._place = -1

    def _parts(self, between: int, following: int) -> bool:
        r"""Whether a line's end or a cell's end is the end of a sentence.

        A blank line is one. A line's end is one after a short line, unless the next goes on in lower case. Between a
        title or an initial and the name that follows there is none: ``met Mr.\nIto``.
        """
        if between == BLANK_LINE:
            return True
        if self._roles[1] & _BEFORE_NAME and following & _CAPITAL and self._line_words >= _FEW_WORDS:
            return False
        return between == CELL or (self._end - self._line <= _SHORT_LINE and not following & _SMALL)

    def _stops(self, following: int) -> bool:
        """Whether what was read ends a sentence that the next token could follow."""
        # Of several stops the last one counts; nothing begins small, with a comma, or with what closes. Whether a
        # sentence begins with a dash is settled by what comes behind it.
        if not self._word or following & (_CLOSES | _ENDS | _CONTINUING | _DASH):
            return False
        if following & _SMALL:  # … but behind a question: so? we left
            return self._roles[1] & (_ENDS | _ABBREVIATED) == _ENDS
        if self._word & _ENDS:
            return True
        if self._word & _ABBREVIATED and following & _OPENS:
            return True
        # A dateline or the row of a table ends here: a date, or two numbers in a row, before a capital.
        row = self._word & _DATE or self._roles[0] & self._word & _COUNTS
        return bool(following & _CAPITAL and row)


class Roles:
    """What a word of a language could be to the sentences around it."""

    def __init__(self, of: Language) -> None:
        self._keep_stops = of.keep_stops
        known: dict[str, int] = {}
        shortened = () if of.keep_stops else (*of.titles, *of.abbreviations, *of.numbered)
        for words, bits in (
            (_CLOSERS, _CLOSES), (('"',), _QUOTE), ((",",), _COMMA), (_CONTINUES, _CONTINUING), (_BULLETS, _BULLET),
            (of.openers, _OPENS), (of.clocks, _CLOCK | _SMALL), (shortened, _SHORTENED),
            ([title + "." * of.keep_stops for title in of.titles], _BEFORE_NAME),
            ([word + "." * of.keep_stops for word in of.numbered], _LABELS),
        ):  # fmt: skip
            known |= {word: known.get(word, 0) | bits for word in words}
        self.listed = known
        """The words of the lists, in their canonical form, and their bits."""
        self._known = lru_cache(_REMEMBERED)(self._of)

    def __call__(self, word: str) -> int:
        """Its role, as bits; of a long word only its ends are looked at."""
        return self._known(clip(word) if len(word) > _SHORT_WORD else word)

    def _of(self, surface: str) -> int:
        word = canonical(surface)
        role, first = self.listed.get(word, 0), word[0]
        if first.islower():
            role |= _SMALL
        elif first.isupper():
            role |= _CAPITAL
            if len(word) > 1 and word.isupper():
                role |= _LOUD
        elif _NUMBER.match(word):
            role |= _COUNTS | (_DATE if _DATELINE.fullmatch(word) else 0)
        elif _STOP.fullmatch(word):
            role |= _ENDS
        elif _DASHES.fullmatch(word):
            role |= _DASH
        if word.endswith((".", "…")):
            role |= _ABBREVIATED
        return role | self._initial(word)

    def _initial(self, word: str) -> int:
        """The role of an initial."""
        if self._keep_stops:
            return _BEFORE_NAME if len(word) == 2 and word[1] == "." and word[0].isupper() else 0
        return _BEFORE_NAME | _SHORTENED if len(word) == 1 and word.isupper() else 0


@lru_cache(64)
def roles(of: Language) -> Roles:
    """The roles of a language's words."""
    return Roles(of)
