"""Entities and explanations as a terminal shows them; the figures are those of the service's page."""

import math
from collections.abc import Iterable, Sequence

from fenestra.model.explain import Explanation
from fenestra.model.results import Entity

_USUAL = ("PER", "LOC", "ORG", "MISC")
_TONES = ("48;5;223;38;5;94", "48;5;194;38;5;22", "48;5;189;38;5;24", "48;5;225;38;5;54", "48;5;224;38;5;88",
          "48;5;195;38;5;23", "48;5;218;38;5;89", "48;5;187;38;5;58")  # fmt: skip
"""Paper and ink of each label, of 256 colours: the nearest to those of ``model/drawing.py``."""
_BAR = 12  # characters of the longest bar
_METHODS = {"exact": "exact: the shares add up, nothing is estimated", "rescale": "by the rescale rule; they add up"}


def drawn(text: str, entities: Iterable[Entity], labels: Sequence[str], *, coloured: bool) -> str:
    """A text with its entities: in colour, or in brackets.

    >>> drawn("Ada met", [Entity(0, 3, "PER", "Ada", 0.9)], ["PER"], coloured=False)
    '[Ada PER 0.90] met'
    """
    order = [*_USUAL, *sorted({*labels} - {*_USUAL})]
    pieces, before = [], 0
    for start, end, label, name, score in entities:
        told = f"{printable(name)} {label} {score:.2f}"
        tone = _TONES[order.index(label) % len(_TONES)]
        pieces += [printable(text[before:start]), f"\x1b[{tone}m {told} \x1b[0m" if coloured else f"[{told}]"]
        before = end
    return "".join([*pieces, printable(text[before:])])


def printable(text: str) -> str:
    """A text that says nothing to a terminal but its letters."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def explained(found: Explanation) -> str:
    """What each word of a window adds to the logit of a tag, as the page tells it: to the hundredth, and it adds up."""
    rows = [(f"{share.position:+d}" if share.position else "0", share.text or "–") for share in found.shares]
    rows += [("", "bias"), ("", "document")]
    numbers = hundredths([*(share.share for share in found.shares), found.bias, found.document])
    most = max(map(abs, numbers)) or 1
    width = max(len(word) for _, word in rows)
    token = found.token
    lines = [
        f"{printable(token.text)} is {token.tag}, {token.score:.2f}; what is added to the score of {found.column}:"
    ]
    for (position, word), number in zip(rows, numbers, strict=True):
        bar = ("█" if number > 0 else "░") * round(_BAR * abs(number) / most)
        lines.append(f"  {position:>3} {printable(word):<{width}} {number / 100:+7.2f} {bar}".rstrip())
    lines.append(f"      {'logit':<{width}} {sum(numbers) / 100:+7.2f}  ({_METHODS[found.method]})")
    return "\n".join(lines)


def hundredths(parts: Sequence[float]) -> list[int]:
    """Whole hundredths that add up to the rounded sum, as in ``app/pages/static/shares.js``.

    >>> hundredths([0.004, 0.004, 0.004])
    [1, 0, 0]
    """
    floors = [math.floor(100 * part) for part in parts]
    lost = sorted(range(len(parts)), key=lambda place: floors[place] - 100 * parts[place])
    for place in lost[: math.floor(100 * sum(parts) + 0.5) - sum(floors)]:
        floors[place] += 1
    return floors
