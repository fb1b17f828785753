"""What the model says of a text."""

from typing import NamedTuple

from model.iob import Span


class Entity(NamedTuple):
    """A named thing. With texts, ``text[start:end]`` in code points; with given tokens, token indices."""

    start: int
    end: int
    label: str
    text: str
    score: float


class TaggedToken(NamedTuple):
    """A token with its IOB2 tag and the probability of that tag; offsets as in :class:`Entity`."""

    text: str
    start: int
    end: int
    tag: str
    score: float


class Analysis(NamedTuple):
    """What the model says of one text or sentence."""

    entities: list[Entity]
    tokens: list[TaggedToken]


class Prediction(NamedTuple):
    """What the model says of one sentence: a tag and a score per token, and the spans with theirs."""

    tags: list[str]
    token_scores: list[float]
    spans: list[Span]
    span_scores: list[float]
