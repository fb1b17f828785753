"""Whether answers are batch-invariant on this machine.

That the same arithmetic gives the same bits in every batch is a property of a processor and a library, and not a law;
so it is tried where the model is to be used, before it is.
"""

import math
from collections.abc import Callable, Sequence

from fenestra.model.errors import RunError
from fenestra.model.results import Result

TEXTS = (
    "Ada Lovelace met Charles Babbage in London. She wrote to him for years; he answered.",
    "BRUSSELS 1996-08-22",
    "",
    "The European Commission said on Thursday it disagreed with German advice to consumers.",
    "one",
    "Washington spoke in Washington. WASHINGTON said London was not Washington, nor Ito Ito.",
    "Иван Петров живёт в Санкт-Петербурге. 🙂 東京は日本の首都です。",
    "Shares of Apple Inc. rose 3.5 % to $ 1,200.50, Mr. J. Smith of U.S. bank Goldman Sachs told Reuters's "
    "correspondent in New York, and those of Microsoft, which he hadn't bought, fell by as much.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 3,
)


def check(tag: Callable[[Sequence[str]], list[Result]], tolerance: float = 0.0) -> None:
    """Tag some texts alone and in a batch and compare.

    Args:
        tag: to be tried.
        tolerance: of scores; 0 compares bit for bit. A GPU adds in another order in another batch.

    Raises:
        RunError: a text is tagged otherwise in a batch than alone, or a score is not finite.
    """
    alone = [tag([text])[0] for text in TEXTS]
    for turn in range(len(TEXTS)):
        order = [*range(turn, len(TEXTS)), *range(turn)]
        for number, found in zip(order, tag([TEXTS[number] for number in order]), strict=True):
            if not _same(found, alone[number], tolerance):
                raise RunError("self-test: a text is tagged otherwise in a batch than alone")
    scores = [piece.score for found in alone for pieces in (found.tokens, found) for piece in pieces]
    if not all(map(math.isfinite, scores)):
        raise RunError("self-test: a score is not a finite number")


def _same(one: Result, other: Result, tolerance: float) -> bool:
    """Whether two results have the same entities and tokens."""
    if not tolerance:
        return one == other
    ours, theirs = [*one, *one.tokens], [*other, *other.tokens]
    return len(ours) == len(theirs) and all(
        a[:4] == b[:4] and abs(a.score - b.score) <= tolerance for a, b in zip(ours, theirs, strict=True)
    )
