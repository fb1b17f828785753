"""Tags and spans: how a sequence of labelled spans is written as one tag per token.

    tokens   Ada    Lovelace  met  Siemens
    IOB2     B-PER  I-PER     O    B-ORG      every span opens with B
    IOB1     I-PER  I-PER     O    I-ORG      B only where two spans of one label touch
    BIOES    B-PER  E-PER     O    S-ORG      ends and single tokens are marked too
    IO       I-PER  I-PER     O    I-ORG      spans that touch melt into one

IOB2 is what every reader, file and answer outside this package speaks.
All spans are half-open token intervals.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Scheme = Literal["IOB2", "BIOES", "IO"]
OUTSIDE = "O"
PREFIXES: dict[Scheme, str] = {"IOB2": "BI", "BIOES": "BIES", "IO": "I"}


class Span(NamedTuple):
    """A labelled run of tokens: ``tokens[start:end]``."""

    start: int
    end: int
    label: str


def split_tag(tag: str) -> tuple[str, str]:
    """Part a tag into prefix and label: ``"B-PER"`` → ``("B", "PER")``, ``"O"`` → ``("O", "")``."""
    prefix, _, label = tag.partition("-")
    return prefix, label


def spans(tags: Iterable[str]) -> list[Span]:
    """Read the spans out of tags of any scheme, as conlleval does.

    An ``I-X`` that continues nothing opens a span: IOB1 is written so, and an
    evaluation that dropped such spans would flatter a model that emits them.

    >>> spans(["I-PER", "I-PER", "O", "B-LOC", "B-LOC"])
    [Span(start=0, end=2, label='PER'), Span(start=3, end=4, label='LOC'), Span(start=4, end=5, label='LOC')]
    """
    found: list[Span] = []
    start, current = 0, ""
    position = -1
    for position, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        if current and (prefix not in "IE" or label != current):
            found.append(Span(start, position, current))
            current = ""
        if prefix != OUTSIDE and not current:
            start, current = position, label
        if current and prefix in "ES":
            found.append(Span(start, position + 1, current))
            current = ""
    if current:
        found.append(Span(start, position + 1, current))
    return found


def write_tags(found: Iterable[Span], length: int, scheme: Scheme = "IOB2") -> list[str]:
    """Write spans that do not overlap as ``length`` tags; the inverse of :func:`spans`.

    >>> write_tags([Span(0, 2, "PER"), Span(3, 4, "LOC")], 4, "BIOES")
    ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    tags = [OUTSIDE] * length
    for start, end, label in found:
        tags[start:end] = [f"I-{label}"] * (end - start)
        if scheme != "IO":
            tags[start] = f"B-{label}"
        if scheme == "BIOES":
            tags[end - 1] = f"E-{label}" if end - start > 1 else f"S-{label}"
    return tags


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Rewrite tags of any scheme in another one."""
    return write_tags(spans(tags), len(tags), scheme)


def tag_set(labels: Sequence[str], scheme: Scheme) -> tuple[str, ...]:
    """All tags of a scheme, ``O`` first: the columns of the network's output, in order."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in PREFIXES[scheme]))


def may_follow(previous: str | None, tag: str) -> bool:
    """Whether ``tag`` may come after ``previous``; ``None`` stands for either end of the sentence.

    As IOB2: ``I-X`` only continues ``B-X`` or ``I-X``. As BIOES also: what ``B`` opened, ``E`` closes.
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
