"""Work in bounded pieces: what one piece has done, so that a caller can do something else before the next one."""

from collections.abc import Callable, Generator, Iterator
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")
Stage = Literal["tokenize", "rows", "network", "decode"]
_PIECE_CHARACTERS = 1 << 15  # half a millisecond or so


class Progress(NamedTuple):
    """What a piece of work of a few milliseconds has done."""

    stage: Stage
    """The stage that the piece was part of."""
    tokens: int = 0
    """Tokens whose features were looked up; each token counts once, in the stage ``rows``."""
    unknown: int = 0
    """Of those, the tokens whose word has no pretrained vector."""


Pause = Callable[[], object]
"""Called between two pieces of work of about a millisecond, by a thread that lets others go first."""


def no_pause() -> None:
    """Go on at once."""


def finish(work: Generator[object, None, T], pause: Pause = no_pause) -> T:
    """Do all of some work, for what it returns; ``pause`` is called after every piece of it."""
    while True:
        try:
            next(work)
            pause()
        except StopIteration as end:
            result: T = end.value
            return result


def parts(count: int, size: int) -> Iterator[slice]:
    """Cut ``count`` things into slices of ``size``.

    >>> list(parts(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))


def split_in_pieces(text: str, separator: str, begin: int, end: int) -> Iterator[list[str]]:
    """Split ``text[begin:end]`` at every separator, some thousand characters at a time.

    >>> list(split_in_pieces("a b c", " ", 0, 5))
    [['a', 'b', 'c']]
    """
    while True:
        stop = text.find(separator, min(begin + _PIECE_CHARACTERS, end), end)
        if stop < 0:
            yield text[begin:end].split(separator)
            return
        yield text[begin:stop].split(separator)
        begin = stop + 1
