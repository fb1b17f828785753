"""What a bounded piece of work has done, so that a caller can do something else before the next one."""

from typing import Literal, NamedTuple

Stage = Literal["tokenize", "rows", "network", "decode"]


class Step(NamedTuple):
    """A piece of work of a few milliseconds."""

    stage: Stage
    """What the piece was part of."""
    tokens: int = 0
    """Tokens whose rows were looked up; each token counts once, in the stage ``rows``."""
    unknown: int = 0
    """Of those, the tokens whose word has no pretrained vector."""
