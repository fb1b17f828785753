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


def check(tag: Callable[[Sequence[str]], list[Result]]) -> None:
    """Tag some texts alone and in a batch and compare, bit for bit.

    Raises:
        RunError: a text is tagged otherwise in a batch than alone, or a score is not finite.
    """
    alone = [tag([text])[0] for text in TEXTS]
    for turn in range(len(TEXTS)):
        order = [*range(turn, len(TEXTS)), *range(turn)]
        for number, found in zip(order, tag([TEXTS[number] for number in order]), strict=True):
            if found != alone[number]:
                raise RunError("self-test: a text is tagged otherwise in a batch than alone")
    scores = [piece.score for found in alone for pieces in (found.tokens, found) for piece in pieces]
    if not all(map(math.isfinite, scores)):
        raise RunError("self-test: a score is not a finite number")
