"""Spans of annotated sentences, read from tags of any scheme and written in any (``model/tags.py``).

All spans are half-open token intervals.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fenestra.model.tags import OUTSIDE, Scheme, split_tag


class Span(NamedTuple):
    """A labelled run of tokens: ``tokens[start:end]``."""

    start: int
    end: int
    label: str


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


def touching(found: Sequence[Span]) -> list[Span]:
    """The spans that begin directly behind one of the same label."""
    ends = {(span.end, span.label) for span in found}
    return [span for span in found if (span.start, span.label) in ends]


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Rewrite tags of any scheme in another one."""
    return write_tags(spans(tags), len(tags), scheme)
