"""Tags: how a sequence of labelled spans is written as one tag per token.

    tokens   Ada    Lovelace  met  Siemens
    IOB2     B-PER  I-PER     O    B-ORG      every span opens with B
    IOB1     I-PER  I-PER     O    I-ORG      B only where two spans of one label touch
    BIOES    B-PER  E-PER     O    S-ORG      ends and single tokens are marked too
    IO       I-PER  I-PER     O    I-ORG      spans that touch melt into one

IOB2 is what every reader, file and answer outside this package speaks.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scheme = Literal["IOB2", "BIOES", "IO"]
OUTSIDE = "O"
PREFIXES: dict[Scheme, str] = {"IOB2": "BI", "BIOES": "BIES", "IO": "I"}
_IOB2: dict[Scheme, dict[str, str]] = {"IOB2": {}, "BIOES": {"S": "B", "E": "I"}, "IO": {"I": "B"}}  # where it differs


def split_tag(tag: str) -> tuple[str, str]:
    """Part a tag into prefix and label: ``"B-PER"`` → ``("B", "PER")``, ``"O"`` → ``("O", "")``."""
    prefix, _, label = tag.partition("-")
    return prefix, label


def tag_set(labels: Sequence[str], scheme: Scheme) -> tuple[str, ...]:
    """All tags of a scheme, ``O`` first: the columns of the network's output, in order."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in PREFIXES[scheme]))


def columns_of(name: str, tags: Sequence[str], scheme: Scheme) -> list[int]:
    """The columns of the tags of a scheme that a name stands for; none if it stands for nothing.

    A label stands for all of its tags, ``O`` for itself, and a tag for itself and for those that IOB2 writes so.

    >>> tags = tag_set(["PER"], "BIOES")
    >>> columns_of("PER", tags, "BIOES"), columns_of("B-PER", tags, "BIOES"), columns_of("S-PER", tags, "BIOES")
    ([1, 2, 3, 4], [1, 4], [4])
    """
    if name == OUTSIDE:
        return [0]
    parts = [split_tag(tag) for tag in tags[1:]]
    written = [f"{_IOB2[scheme].get(prefix, prefix)}-{label}" for prefix, label in parts]
    of_label = [column for column, (_, label) in enumerate(parts, start=1) if label == name]
    return of_label or [column for column, tag in enumerate(tags[1:], start=1) if name in (tag, written[column - 1])]


def may_follow(previous: str | None, tag: str) -> bool:
    """Whether ``tag`` may come after ``previous``, or begin a sentence if that is None.

    ``I-X`` and ``E-X`` only continue ``B-X`` or ``I-X``. That BIOES closes what it opened, :func:`transitions` adds.
    """
    before, before_label = split_tag(previous or OUTSIDE)
    prefix, label = split_tag(tag)
    if prefix in "IE":
        return before in "BI" and before_label == label
    return True


def transitions(tags: Sequence[str], scheme: Scheme) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tags may start a sentence (K), follow one another (K, K; row: before), and end it (K)."""
    count = len(tags)
    starts, ends = np.ones(count, dtype=bool), np.ones(count, dtype=bool)
    steps = np.ones((count, count), dtype=bool)
    if scheme == "IO":
        return starts, steps, ends
    for column, tag in enumerate(tags):
        starts[column] = may_follow(None, tag)
        steps[:, column] = [may_follow(previous, tag) for previous in tags]
    if scheme == "BIOES":
        opened = np.array([split_tag(tag)[0] in "BI" for tag in tags])
        closes = np.array([split_tag(tag)[0] in "IE" for tag in tags])
        steps[np.ix_(opened, ~closes)] = False
        ends[opened] = False
    return starts, steps, ends
