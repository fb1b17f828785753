"""Where sentences end: a window must not see over the full stop into the next thought.

A rule and not a library: the tokens are there already, abbreviations have kept their period, and a missed break
costs little, since training overlooks some on purpose (``training/fit/batches.py``). What the rule costs on
running text is measured by ``python -m benchmarks.raw_text``.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from fenestra.model.text.tokens import Token
from fenestra.model.words.surface import clip

_STOP = re.compile(r"[.!?…。！？।؟]+")
_CLOSERS = frozenset("'”’»)]}''")
_DATELINE = re.compile(r"\d{4}-\d\d-\d\d")  # NEW YORK 1996-08-30 | Stocks fell …
_NUMBER = re.compile(r"[+.-]?\d")
_OPENERS = frozenset(
    "The A An It He She They We You I This That These Those There In On At But And For If When While As After Before "
    "However His Her Its Their Our My No Not Some Many Most All One What Who Why How Where".split()
)
_CLOCKS = frozenset(("AM", "PM"))  # of a time of day
_SHORT_LINE = 50  # characters; a shorter line did not end because the page was full


# What there is to know of a word here, as bits.
_ENDS, _ABBREVIATED, _DATE, _COUNTS = 1, 2, 4, 8  # may end a sentence: always, or by what stands around it
_MAY_END = _ENDS | _ABBREVIATED | _DATE | _COUNTS
_CLOSES, _QUOTE, _SMALL, _CAPITAL, _OPENS, _LOUD, _COMMA, _CLOCK = 16, 32, 64, 128, 256, 512, 1024, 2048
_REMEMBERED = 1 << 14
_SHORT_WORD = 48  # characters; of longer words the ends are enough


def sentence_lengths(text: str, tokens: Sequence[Token]) -> list[int]:
    """Part the tokens of a text into sentences.

    >>> from fenestra.model.text.tokens import tokenize
    >>> text = "He met Mr. Ito. They left."
    >>> sentence_lengths(text, tokenize(text))
    [5, 3]

    Returns:
        How many tokens each sentence has; they add up to ``len(tokens)``.
    """
    splitter = Splitter(text)
    splitter.read([token.text for token in tokens], [token.start for token in tokens])
    return splitter.lengths()


class Splitter:
    """Parts a text into sentences while its tokens come in."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._has_lines = "\n" in text
        self._begins: list[int] = []
        self._count = 0
        self._end = 0  # of the last token, in characters
        self._line = 0  # where the first token of the line starts
        self._roles = (0, 0)  # of the last token but one, and of the last
        self._word = 0  # role of the last token that closes nothing
        self._opened = False  # whether a straight quotation mark is open
        self._place = -1  # where words in capitals began that could name a dateline's place; -1 none, 0 they cannot

    def read(self, words: Sequence[str], starts: Sequence[int]) -> None:
        """Take the next tokens of the text: what they are, and where they start."""
        short = words if max(map(len, words), default=0) <= _SHORT_WORD else map(clip, words)
        for word, start, role in zip(words, starts, map(_role, short), strict=True):
            lines = self._text.count("\n", self._end, start) if self._has_lines and self._count else 0
            if lines > 1:
                self._opened = False
            if role & _QUOTE and self._quote_closes(start):
                role |= _CLOSES
            if role & _CLOCK and not self._roles[1] & _COUNTS:
                role &= ~(_CLOCK | _SMALL)  # PM Modi, I AM: no time of day
            if self._count and (
                (lines and (lines > 1 or self._line_ends(role))) or (self._word > 0 and self._stops(role))
            ):
                self._begins.append(self._count)
            self._find_dateline(role)
            if lines:
                self._line = start
            if not role & _CLOCK:  # AM and PM belong to the number before them
                if not role & _CLOSES or not self._count:
                    self._word = role & _MAY_END
                else:
                    self._word &= _ENDS  # only a full stop reaches through what closes after it
                self._roles = (self._roles[1], role)
            self._end = start + len(word)
            self._count += 1

    def lengths(self) -> list[int]:
        """How many tokens each sentence has of what was read so far; they add up to all of them."""
        ends = [*self._begins, self._count] if self._count else []
        return [end - begin for begin, end in zip([0, *self._begins], ends, strict=False)]

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
            if role & _DATE and self._place > (self._begins[-1] if self._begins else 0):
                self._begins.append(self._place)
            self._place = -1

    def _line_ends(self, following: int) -> bool:
        """Whether a single line break ends a sentence: after a short line, unless the next goes on in lower case."""
        return self._end - self._line <= _SHORT_LINE and not following & _SMALL

    def _stops(self, following: int) -> bool:
        """Whether what was read ends a sentence that the next token could follow."""
        if following & (_SMALL | _CLOSES | _ENDS):  # of several stops the last one counts
            return False
        if self._word & _ENDS:
            return True
        if self._word & _ABBREVIATED and following & _OPENS:
            return True
        # A dateline or the row of a table ends here: a date, or two numbers in a row, before a capital.
        row = self._word & _DATE or self._roles[0] & self._word & _COUNTS
        return bool(following & _CAPITAL and row)


def role(word: str) -> int:
    """What a word could be to the sentences around it, as bits; of a long word only its ends are looked at."""
    return _role(clip(word) if len(word) > _SHORT_WORD else word)


@lru_cache(_REMEMBERED)
def _role(word: str) -> int:
    """What a word could be to the sentences around it."""
    facts = {
        _ENDS: _STOP.fullmatch(word),
        _ABBREVIATED: word.endswith("."),
        _DATE: _DATELINE.fullmatch(word),
        _COUNTS: _NUMBER.match(word),
        _CLOSES: word in _CLOSERS,
        _QUOTE: word == '"',
        _SMALL: word[0].islower() or word in _CLOCKS,
        _CAPITAL: word[0].isupper(),
        _OPENS: word in _OPENERS,
        _LOUD: len(word) > 1 and word[0].isupper() and word.isupper(),
        _COMMA: word == ",",
        _CLOCK: word in _CLOCKS,
    }
    return sum(bit for bit, holds in facts.items() if holds)
