"""Evaluation of a tagger on an annotated corpus: scores, confusions, errors, calibration, robustness."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.tagger import Tagger
from fenestra.model.tags import OUTSIDE, split_tag
from fenestra.training.data.corpus import documents_of
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.perturbations import vary
from fenestra.training.data.spans import Span, spans
from fenestra.training.fit.score import LabelScore, Scores, f1_of_spans, from_counts, score
from fenestra.training.report.predictions import Prediction, Predictor, predict

ErrorKind = Literal["missed", "spurious", "wrong label", "wrong boundary"]

ERROR_KINDS: tuple[ErrorKind, ...] = ("missed", "spurious", "wrong label", "wrong boundary")
THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Thresholds of the score from which entities are kept; 0 keeps all."""
_BINS = 10
_MOST_FREQUENT = 20
_CONTEXT_WORDS = 6


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many tokens of each gold label got which label; ``O`` first. Rows are gold, columns predicted."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """Entities that occur in training with the same text and label, and those that do not, each on its own.

    A gold entity counts where it belongs, and so does a predicted one: recall is over the former, precision over
    the latter, and an entity that is right belongs to one side only.
    """

    seen: LabelScore
    unseen: LabelScore


@dataclass(frozen=True, slots=True)
class Example:
    """An error in its context."""

    before: str
    text: str
    after: str
    line: int
    """Line of the corpus file that the sentence begins at."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """An error that happened ``count`` times, with the first of them as an example."""

    kind: ErrorKind
    text: str
    """The gold entity, or the predicted one where there is no gold one."""
    gold: str | None
    predicted: str | None
    predicted_text: str | None
    count: int
    example: Example


@dataclass(frozen=True, slots=True)
class Errors:
    """How many errors of each kind there are, and the most frequent ones."""

    totals: dict[ErrorKind, int]
    frequent: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """The entities whose score fell into ``[low, high)``; the last bin includes 1."""

    low: float
    high: float
    count: int
    mean_score: float | None
    accuracy: float | None
    """Share of them that are right in label, start and end."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well the scores are calibrated."""

    expected_calibration_error: float
    """Mean gap between score and accuracy over the bins, weighted by count."""
    brier_score: float
    """Mean squared difference between an entity's score and 1 if it is right, 0 if not; small for scores that
    are calibrated and separate right from wrong entities. Source: Brier, Monthly Weather Review 78 (1950), 1–3."""
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left if only entities from a score on are kept."""

    threshold: float
    count: int
    scores: LabelScore
    """Recall is of all gold entities."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The scores on a perturbed copy of the text (:mod:`fenestra.training.data.perturbations`)."""

    sentences: int
    scores: LabelScore
    share_of_f1: float
    """F1 divided by that of the original text; 0 where that is 0."""
    calibration_error: float
    """The expected one, of the scores of the entities."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation of a tagger on a corpus. All scores in [0, 1]."""

    sentences: int
    tokens: int
    scores: Scores
    confusion: Confusion
    familiarity: Seen | None
    """None where the training corpus is not known."""
    errors: Errors
    reliability: Reliability
    thresholds: tuple[Kept, ...]
    """One for each of :data:`THRESHOLDS`."""
    loss: float | None = None
    """Mean cross-entropy in nats per token, where it was measured."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, under the names of the fields."""
        return asdict(self)


def known_entities(sentences: Iterable[Sentence]) -> frozenset[tuple[str, str]]:
    """Label and text of every entity of a corpus: what a tagger trained on it has seen.

    Words are joined by a space, letters are compared as they are written.
    """
    return frozenset((span.label, _text(sentence, span)) for sentence in sentences for span in spans(sentence.tags))


def evaluate(
    gold: Sequence[Sentence],
    predictions: Iterable[Prediction],
    known: Collection[tuple[str, str]] | None,
    *,
    labels: Sequence[str] = (),
    loss: float | None = None,
) -> Evaluation:
    """Compare the predictions for the gold words with the gold tags.

    Args:
        gold: the annotated sentences.
        predictions: of :func:`fenestra.training.report.predictions.predict` for their words, in order.
        known: from :func:`known_entities` of the training corpus; None if that is not available.
        labels: order in which the confusion matrix lists labels; any others follow in alphabetical order.
        loss: in nats per token, to be kept with the rest.

    Raises:
        DataError: a prediction has more or fewer tags than its sentence has words.
    """
    answers = list(predictions)
    scores = score([sentence.tags for sentence in gold], [answer.tags for answer in answers])
    pairs = [Pair(sentence, spans(sentence.tags), answer) for sentence, answer in zip(gold, answers, strict=True)]
    return Evaluation(
        sentences=len(gold),
        tokens=sum(len(sentence.words) for sentence in gold),
        scores=scores,
        confusion=_confusion(pairs, labels),
        familiarity=None if known is None else _familiarity(pairs, known),
        errors=_errors(pairs),
        reliability=reliability_of(pairs),
        thresholds=_thresholds(pairs),
        loss=loss,
    )


def measure(
    tagger: Tagger | Predictor, gold: Sequence[Sentence], known: Collection[tuple[str, str]] | None
) -> Evaluation:
    """Tag the words of annotated sentences, document by document, and compare the predictions with the tags.

    Arguments as for :func:`evaluate`.
    """
    predictions = chain.from_iterable(predict(tagger, documents_of(gold)))
    return evaluate(gold, predictions, known, labels=tagger.labels)


def measure_variants(
    tagger: Tagger | Predictor, gold: Sequence[Sentence], names: Iterable[str], original: LabelScore
) -> dict[str, Variant]:
    """Tag and score perturbed copies of a corpus.

    Args:
        tagger: its predictions are scored.
        gold: the original annotated sentences.
        names: of :data:`fenestra.training.data.perturbations.VARIANTS`.
        original: micro scores of the tagger on ``gold``, which the others are compared with.
    """
    found = {}
    for name in names:
        varied = vary(name, gold)
        answers = chain.from_iterable(predict(tagger, documents_of(varied)))
        pairs = [Pair(sentence, spans(sentence.tags), answer) for sentence, answer in zip(varied, answers, strict=True)]
        scores = f1_of_spans((pair.gold for pair in pairs), (pair.answer.spans for pair in pairs))
        share = scores.f1 / original.f1 if original.f1 else 0.0
        found[name] = Variant(len(varied), scores, share, reliability_of(pairs).expected_calibration_error)
    return found


class Pair(NamedTuple):
    """A sentence with its true spans, and the prediction for it."""

    sentence: Sentence
    gold: list[Span]
    answer: Prediction


def _text(sentence: Sentence, span: Span) -> str:
    return " ".join(sentence.words[span.start : span.end])


def _confusion(pairs: Sequence[Pair], labels: Sequence[str]) -> Confusion:
    """Count label by label, one token at a time; whether a tag begins or continues does not matter here."""
    counts = Counter(
        (split_tag(gold)[1] or OUTSIDE, split_tag(predicted)[1] or OUTSIDE)
        for pair in pairs
        for gold, predicted in zip(pair.sentence.tags, pair.answer.tags, strict=True)
    )
    others = {label for both in counts for label in both} - {OUTSIDE, *labels}
    order = (OUTSIDE, *labels, *sorted(others))
    return Confusion(order, tuple(tuple(counts[row, column] for column in order) for row in order))


def _familiarity(pairs: Sequence[Pair], known: Collection[tuple[str, str]]) -> Seen:
    """Score entities that occur in training, and those that do not, separately."""
    counts: Counter[tuple[bool, str]] = Counter()
    for pair in pairs:
        found, wanted = set(pair.answer.spans), set(pair.gold)
        for role, group in (("right", found & wanted), ("found", found), ("gold", wanted)):
            counts.update(((span.label, _text(pair.sentence, span)) in known, role) for span in group)
    seen, unseen = (
        from_counts(counts[side, "right"], counts[side, "found"], counts[side, "gold"]) for side in (True, False)
    )
    return Seen(seen, unseen)


def _errors(pairs: Sequence[Pair]) -> Errors:
    """Group equal errors, most frequent first; of equally frequent ones, the earliest."""
    totals: dict[ErrorKind, int] = dict.fromkeys(ERROR_KINDS, 0)
    counts: Counter[tuple[ErrorKind, str, str | None, str | None, str | None]] = Counter()
    first: dict[tuple[ErrorKind, str, str | None, str | None, str | None], Example] = {}
    for pair in pairs:
        for kind, span, instead in mistakes(pair.gold, pair.answer.spans):
            predicted = span if kind == "spurious" else instead
            group = (
                kind,
                _text(pair.sentence, span),
                None if kind == "spurious" else span.label,
                predicted.label if predicted else None,
                _text(pair.sentence, predicted) if predicted else None,
            )
            totals[kind] += 1
            counts[group] += 1
            first.setdefault(group, example_of(pair.sentence, span))
    frequent = (Mistake(*group, count, first[group]) for group, count in counts.most_common(_MOST_FREQUENT))
    return Errors(totals, tuple(frequent))


def mistakes(gold: Sequence[Span], found: Sequence[Span]) -> Iterator[tuple[ErrorKind, Span, Span | None]]:
    """List each gold span that was not found with an overlapping predicted span, then predicted spans without overlap.

    An overlapping span of the right label has a wrong boundary and comes first; one of another label is a wrong label.
    """
    wanted, given = set(gold), set(found)
    for span in gold:
        if span in given:
            continue
        near = [other for other in found if other.start < span.end and span.start < other.end]
        if not near:
            yield "missed", span, None
        elif same_label := [other for other in near if other.label == span.label]:
            yield "wrong boundary", span, same_label[0]
        else:
            yield "wrong label", span, near[0]
    for other in found:
        if other not in wanted and not any(other.start < span.end and span.start < other.end for span in gold):
            yield "spurious", other, None


def example_of(sentence: Sentence, span: Span) -> Example:
    """The words around a span, as many as fit on a line."""
    words = sentence.words
    before = words[max(span.start - _CONTEXT_WORDS, 0) : span.start]
    after = words[span.end : span.end + _CONTEXT_WORDS]
    return Example(" ".join(before), _text(sentence, span), " ".join(after), sentence.line)


def reliability_of(pairs: Sequence[Pair]) -> Reliability:
    """Sort the entities found into ten bins by score, and measure the share of right ones in each."""
    scores, right = _scored(pairs)
    place = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    bins, gap = [], 0.0
    for number in range(_BINS):
        inside = place == number
        count = int(inside.sum())
        mean = float(scores[inside].mean()) if count else None
        accuracy = float(right[inside].mean()) if count else None
        if mean is not None and accuracy is not None:
            gap += count * abs(mean - accuracy)
        bins.append(Bin(number / _BINS, (number + 1) / _BINS, count, mean, accuracy))
    found = len(scores) or 1  # with nothing found both measures are 0
    return Reliability(gap / found, float(((scores - right) ** 2).sum()) / found, tuple(bins))


def _thresholds(pairs: Sequence[Pair]) -> tuple[Kept, ...]:
    """Score the entities from each threshold on, against all gold entities."""
    scores, right = _scored(pairs)
    support = sum(len(pair.gold) for pair in pairs)
    left = []
    for threshold in THRESHOLDS:
        kept = scores >= threshold
        count = int(kept.sum())
        left.append(Kept(threshold, count, from_counts(int(right[kept].sum()), count, support)))
    return tuple(left)


def _scored(pairs: Sequence[Pair]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The score of every entity found, and whether it is right; in order."""
    scores = np.array([score for pair in pairs for score in pair.answer.span_scores], dtype=np.float64)
    right = np.array([span in pair.gold for pair in pairs for span in pair.answer.spans], dtype=bool)
    return scores, right
