"""Work in bounded pieces: what one piece has done, so that a caller can do something else before the next one."""

from collections.abc import Generator, Iterator
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")
Stage = Literal["tokenize", "rows", "network", "decode"]


class Progress(NamedTuple):
    """What a piece of work of a few milliseconds has done."""

    stage: Stage
    """The stage that the piece was part of."""
    tokens: int = 0
    """Tokens whose features were looked up; each token counts once, in the stage ``rows``."""
    unknown: int = 0
    """Of those, the tokens whose word has no pretrained vector."""


def finish(work: Generator[object, None, T]) -> T:
    """Do all of some work at once, for what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def parts(count: int, size: int) -> Iterator[slice]:
    """Cut ``count`` things into slices of ``size``.

    >>> list(parts(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))
