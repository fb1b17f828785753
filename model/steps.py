"""What a bounded piece of work has done, so that a caller can do something else before the next one."""

from collections.abc import Generator
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")
Stage = Literal["tokenize", "rows", "network", "decode"]


class Step(NamedTuple):
    """A piece of work of a few milliseconds."""

    stage: Stage
    """What the piece was part of."""
    tokens: int = 0
    """Tokens whose rows were looked up; each token counts once, in the stage ``rows``."""
    unknown: int = 0
    """Of those, the tokens whose word has no pretrained vector."""


def run(work: Generator[object, None, T]) -> T:
    """Do all of some work at once, for what it returns."""
    try:
        while True:
            next(work)
    except StopIteration as end:
        result: T = end.value
        return result


def named(stage: Stage, work: Generator[object, None, T]) -> Generator[Step, None, T]:
    """Call every piece of some work by the name of a stage."""
    try:
        while True:
            next(work)
            yield Step(stage)
    except StopIteration as end:
        result: T = end.value
        return result
