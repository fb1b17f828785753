"""What corrections changed: on themselves, on others of their kind, and on text that they say nothing of.

T tokens, end to end · K tags
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np

from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set
from fenestra.training.data.corpus import documents_of
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import Span, spans, write_tags
from fenestra.training.fit.score import LabelScore, f1_of_spans
from fenestra.training.report.predictions import predict


@dataclass(frozen=True, slots=True)
class Change:
    """Scores of the model before and after, on the same sentences."""

    before: LabelScore
    after: LabelScore


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the model forgot."""

    texts: int
    lost: float | None
    """F1 points lost on them, estimated; None where there was no text to ask."""
    bound: float
    """What it may lose."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How a learning came out."""

    corrections: int
    """Texts."""
    labels: tuple[str, ...]
    """Of the new model."""
    learned: Change
    held_out: Change | None
    """Of corrections that were held out; None with too few."""
    elsewhere: Elsewhere

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def spans_of(tagger: Tagger, sentences: Sequence[Sentence]) -> list[list[Span]]:
    """The entities that a model finds in each sentence."""
    found = predict(tagger, documents_of(sentences))
    return [one.spans for one in chain.from_iterable(found)]


def score_of(tagger: Tagger, sentences: Sequence[Sentence]) -> LabelScore:
    """Scores of a model on annotated sentences."""
    return f1_of_spans([spans(sentence.tags) for sentence in sentences], spans_of(tagger, sentences))


def points_lost(old: Tagger, new: Tagger, sentences: Sequence[Sentence]) -> float | None:
    """F1 points that a model has lost on text without labels, against the one that it comes from.

    Nobody knows which entities are right there. But the old model says how probable each is: of the entities that a
    model finds, it expects the sum of these probabilities to be right. So what only the old one finds, and was sure
    of, costs most, and where it was in doubt, either answer costs little. Labels that it lacks are not looked at.

    Returns:
        Points, 100 being all; below 0 where the old model likes the new answers better than its own. None without
        sentences: then nobody knows.
    """
    if not sentences:
        return None
    found = [spans_of(tagger, sentences) for tagger in (old, new)]
    known = [[span for span in sentence if span.label in old.labels] for sentence in found[1]]
    chance = _Chances(old, sentences)
    total = sum(map(len, found[0]))
    before, after = (_expected_f1(chance, some, total) for some in (found[0], known))
    return round(100 * (before - after), 3)


def _expected_f1(chance: "_Chances", found: Sequence[Sequence[Span]], total: int) -> float:
    """F1 that the old model expects of some entities, if as many are there as it finds."""
    right = sum(chance.of(number, span) for number, some in enumerate(found) for span in some)
    count = sum(map(len, found))
    return 2 * right / (count + total) if count + total else 1.0


class _Chances:
    """How probable a model holds entities."""

    def __init__(self, tagger: Tagger, sentences: Sequence[Sentence]) -> None:
        self._probability_TK = np.exp(tagger.log_probabilities(documents_of(sentences)))
        self._lengths = [len(sentence.words) for sentence in sentences]
        self._starts = list(accumulate(self._lengths, initial=0))
        self._scheme = tagger.config.scheme
        tags = tag_set(tagger.labels, self._scheme)
        self._column: Mapping[str, int] = {tag: column for column, tag in enumerate(tags)}

    def of(self, number: int, span: Span) -> float:
        """The least probability of a tag of the entity: all of them have to be right."""
        tags = write_tags([span], self._lengths[number], self._scheme)[span.start : span.end]
        first = self._starts[number] + span.start
        return min(float(self._probability_TK[first + place, self._column[tag]]) for place, tag in enumerate(tags))
