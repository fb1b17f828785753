"""What someone may have meant by an unknown name: one mechanism for verbs, options, settings, labels and models."""

import difflib
from collections.abc import Iterable

_ALIKE = 0.7  # difflib's ratio: `epohs` and `epochs` are at 0.91, `PROT` and `PORT` at 0.75, `tag` and `bag` at 0.67


def near(name: str, known: Iterable[str], *, n: int = 1, alike: float = _ALIKE) -> list[str]:
    """Known names of nearly the same spelling, the nearest first; capitals make no difference.

    Args:
        name: what was written.
        known: what it may have meant.
        n: how many at most.
        alike: least similarity, from 0 to 1: twice the letters that both have in the same order, out of all.

    Returns:
        None of them rather than a guess at something else.
    """
    spelt = {other.casefold(): other for other in reversed([*known])}
    name = name.casefold()
    swapped = [other for other in spelt if sorted(other) == sorted(name)]  # `PRE` for `PER` is at 0.67
    found = dict.fromkeys([*swapped, *difflib.get_close_matches(name, spelt, n=n, cutoff=alike)])
    return [spelt[other] for other in found][:n]


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """The end of an error message that names what is near; empty where nothing is.

    Args:
        name: what was written.
        known: what it may have meant.
        prefix: what all begin with, and so makes none of them alike.

    >>> did_you_mean("epohs", ["epochs", "batch_size"]), did_you_mean("bogus", ["epochs", "batch_size"])
    ('; did you mean epochs?', '')
    """
    bare = [other[len(prefix) :] for other in known]
    return "".join(f"; did you mean {prefix}{other}?" for other in near(name[len(prefix) :], bare))
