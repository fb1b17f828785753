"""Where sentences end: a window must not see over the full stop into the next thought.

A rule and not a library: the tokens are there already, abbreviations have kept their period, and a missed break
costs little, since training overlooks some on purpose (``training/batches.py``). What the rule costs on
running text is measured by ``python -m benchmarks.raw_text``.
"""

import re
from collections.abc import Sequence

from model.tokens import Token

_STOP = re.compile(r"[.!?…。！？।؟]+")
_CLOSERS = frozenset("'”’»)]}''")
_DATELINE = re.compile(r"\d{4}-\d\d-\d\d")  # NEW YORK 1996-08-30 | Stocks fell …
_NUMBER = re.compile(r"[+.-]?\d")
_OPENERS = frozenset(
    "The A An It He She They We You I This That These Those There In On At But And For If When While As After Before "
    "However His Her Its Their Our My No Not Some Many Most All One What Who Why How Where".split()
)
_SHORT_LINE = 50  # characters; a shorter line did not end because the page was full


def sentence_lengths(text: str, tokens: Sequence[Token]) -> list[int]:
    """Part the tokens of a text into sentences.

    >>> from model.tokens import tokenize
    >>> text = "He met Mr. Ito. They left."
    >>> sentence_lengths(text, tokenize(text))
    [5, 3]

    Returns:
        How many tokens each sentence has; they add up to ``len(tokens)``.
    """
    lengths, begin, line = [], 0, 0
    closing = _closing_quotes(text, tokens)
    for after in range(1, len(tokens)):
        gap = text[tokens[after - 1].end : tokens[after].start]
        lines = gap.count("\n")
        wide = tokens[after - 1].end - line
        if lines > 1 or (lines and _line_ends(wide, tokens[after].text)) or _stops(tokens, after, closing):
            lengths.append(after - begin)
            begin = after
        if lines:
            line = tokens[after].start
    if begin < len(tokens):
        lengths.append(len(tokens) - begin)
    return lengths


def _closing_quotes(text: str, tokens: Sequence[Token]) -> set[int]:
    """Which tokens are a straight quotation mark that closes.

    It leans on the word that it belongs to; where it stands free, every other one of a paragraph closes.
    """
    closing: set[int] = set()
    opened = False
    for place, token in enumerate(tokens):
        before = text[tokens[place - 1].end : token.start] if place else " "
        opened = opened and before.count("\n") < 2
        if token.text == '"':
            free_after = not text[token.end : token.end + 1].strip()
            closes = opened if bool(before) == free_after else free_after
            opened = not closes
            if closes:
                closing.add(place)
    return closing


def _line_ends(width: int, following: str) -> bool:
    """Whether a single line break ends a sentence: after a short line, unless the next goes on in lower case."""
    return width <= _SHORT_LINE and not following[0].islower()


def _stops(tokens: Sequence[Token], after: int, closing: set[int]) -> bool:
    """Whether the token before ``after`` ends a sentence that ``after`` could follow."""
    following = tokens[after].text
    if following[0].islower() or following in _CLOSERS or after in closing:
        return False
    last = after - 1
    while last > 0 and (tokens[last].text in _CLOSERS or last in closing):
        last -= 1
    word = tokens[last].text
    if _STOP.fullmatch(word):
        return True
    if last != after - 1:
        return False
    return (word.endswith(".") and following in _OPENERS) or (following[0].isupper() and _ends_row(tokens, last))


def _ends_row(tokens: Sequence[Token], last: int) -> bool:
    """Whether a dateline or the row of a table ends here: a date, or two numbers in a row, before a capital."""
    word = tokens[last].text
    numbers = last > 0 and all(_NUMBER.match(tokens[place].text) for place in (last - 1, last))
    return bool(_DATELINE.fullmatch(word)) or numbers
