"""Two models on one corpus: the scores of both, whether they differ by more than chance, errors that came and went."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger
from fenestra.training.data.corpus import documents_of
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import Span, spans
from fenestra.training.fit.score import LabelScore, from_counts
from fenestra.training.report.evaluation import ErrorKind, Example, example_of, mistakes
from fenestra.training.report.predictions import Prediction, Predictor, predict
from fenestra.training.report.significance import Bootstrap, McNemar, mcnemar, paired_bootstrap


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """The scores of both models, of one label or of all together."""

    first: LabelScore
    second: LabelScore
    f1: Bootstrap


@dataclass(frozen=True, slots=True)
class Answer:
    """An error that one model makes and the other does not."""

    kind: ErrorKind
    text: str
    """The gold entity, or the predicted one where there is no gold one."""
    gold: str | None
    predicted: str | None
    example: Example


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on one corpus. All scores in [0, 1]; differences are the second minus the first."""

    sentences: int
    tokens: int
    micro: LabelComparison
    labels: dict[str, LabelComparison]
    token_test: McNemar
    """Of tokens with the right tag."""
    sentence_test: McNemar
    """Of sentences all of whose tags are right."""
    gained: tuple[Answer, ...]
    """Errors of the second model only, in the order of the corpus."""
    lost: tuple[Answer, ...]
    """Errors of the first model only."""
    kept: int
    """Errors that both make, whether or not of the same kind."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, under the names of the fields."""
        return asdict(self)


def compare(first: Tagger | Predictor, second: Tagger | Predictor, gold: Sequence[Sentence]) -> Comparison:
    """Tag a corpus with two models and compare what they say.

    Raises:
        InputError: the corpus is empty.
    """
    answers = (list(chain.from_iterable(predict(model, documents_of(gold)))) for model in (first, second))
    return compare_answers(gold, *answers)


def compare_answers(gold: Sequence[Sentence], first: Sequence[Prediction], second: Sequence[Prediction]) -> Comparison:
    """Compare two sets of predictions for the same annotated sentences.

    Raises:
        InputError: there is no sentence.
        ValueError: a prediction has more or fewer tags than its sentence has words.
    """
    if not gold:
        raise InputError("the corpus has no sentence to compare the models on")
    truths = [spans(sentence.tags) for sentence in gold]
    found_1, found_2 = ([answer.spans for answer in answers] for answers in (first, second))
    labels = sorted({span.label for some in (*truths, *found_1, *found_2) for span in some})
    right_1, right_2 = (_right_tags(gold, answers) for answers in (first, second))
    gained, lost, kept = _exchanged(gold, truths, found_1, found_2)
    return Comparison(
        sentences=len(gold),
        tokens=sum(len(sentence.words) for sentence in gold),
        micro=_compared(truths, found_1, found_2),
        labels={label: _compared(*(_of(label, some) for some in (truths, found_1, found_2))) for label in labels},
        token_test=mcnemar(np.concatenate(right_1), np.concatenate(right_2)),
        sentence_test=mcnemar(*(np.array([r.all() for r in right]) for right in (right_1, right_2))),
        gained=tuple(gained),
        lost=tuple(lost),
        kept=kept,
    )


def _of(label: str, sentences: Sequence[Sequence[Span]]) -> list[list[Span]]:
    return [[span for span in sentence if span.label == label] for sentence in sentences]


def _right_tags(gold: Sequence[Sentence], answers: Sequence[Prediction]) -> list[NDArray[np.bool_]]:
    """Of each sentence, which tokens have the right tag."""
    return [
        np.array([want == got for want, got in zip(sentence.tags, answer.tags, strict=True)], dtype=bool)
        for sentence, answer in zip(gold, answers, strict=True)
    ]


def _compared(
    truths: Sequence[Sequence[Span]], first: Sequence[Sequence[Span]], second: Sequence[Sequence[Span]]
) -> LabelComparison:
    counts_S5 = np.array(
        [
            (len(set(truth) & set(one)), len(one), len(set(truth) & set(two)), len(two), len(truth))
            for truth, one, two in zip(truths, first, second, strict=True)
        ],
        dtype=np.int64,
    )
    right_1, found_1, right_2, found_2, there = map(int, counts_S5.sum(0))
    return LabelComparison(
        from_counts(right_1, found_1, there), from_counts(right_2, found_2, there), paired_bootstrap(counts_S5)
    )


def _exchanged(
    gold: Sequence[Sentence],
    truths: Sequence[Sequence[Span]],
    first: Sequence[Sequence[Span]],
    second: Sequence[Sequence[Span]],
) -> tuple[list[Answer], list[Answer], int]:
    """Errors of the second model only, of the first only, and how many both make, by the span that they are about."""
    gained: list[Answer] = []
    lost: list[Answer] = []
    kept = 0
    for sentence, truth, one, two in zip(gold, truths, first, second, strict=True):
        before, after = (_errors(sentence, truth, found) for found in (one, two))
        gained += [error for span, error in after.items() if span not in before]
        lost += [error for span, error in before.items() if span not in after]
        kept += len(before.keys() & after.keys())
    return gained, lost, kept


def _errors(sentence: Sentence, truth: Sequence[Span], found: Sequence[Span]) -> dict[Span, Answer]:
    """The errors in a sentence, by the span that they are about."""
    errors = {}
    for kind, span, instead in mistakes(truth, found):
        example = example_of(sentence, span)
        predicted = span.label if kind == "spurious" else instead.label if instead else None
        errors[span] = Answer(kind, example.text, None if kind == "spurious" else span.label, predicted, example)
    return errors


def counted(errors: Sequence[Answer]) -> dict[str, int]:
    """How many errors of each kind, the most frequent first."""
    return dict(Counter(error.kind for error in errors).most_common())
