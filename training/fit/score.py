"""Scores of a tagging: an entity is right if label, start and end are. The only file that uses seqeval."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fenestra.model.errors import DataError
from fenestra.model.tags import split_tag
from fenestra.training.data.spans import Span

Tags = Sequence[str]


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Precision, recall and F1 in [0, 1], and how many entities the gold annotation has."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Entity scores over all labels together and for each, and the share of tokens with the right tag."""

    micro: LabelScore
    labels: dict[str, LabelScore]
    token_accuracy: float


def score(gold: Sequence[Tags], predicted: Sequence[Tags]) -> Scores:
    """Score entities, micro-averaged and per label, in alphabetical order of the labels.

    Computed by seqeval in its default mode, which reads ill-formed tags as conlleval does. On legal IOB2, which is all
    that a tagger and :mod:`fenestra.training.data.corpus` hand out, its strict mode says the same. An undefined score,
    such as the precision where all tags are ``O``, is 0.

    >>> score([["B-PER", "I-PER", "O", "B-LOC"]], [["B-PER", "I-PER", "O", "B-ORG"]]).micro
    LabelScore(precision=0.5, recall=0.5, f1=0.5, support=2)

    Raises:
        DataError: the two differ in their number of sentences, or a sentence in its number of tags.
    """
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support  # imports scikit-learn, for seconds

    check_lengths(gold, predicted)
    truth, guess = [list(tags) for tags in gold], [list(tags) for tags in predicted]
    names = sorted({split_tag(tag)[1] for tags in (*truth, *guess) for tag in tags} - {""})
    if not names:
        return Scores(LabelScore(0.0, 0.0, 0.0, 0), {}, _token_accuracy(truth, guess))
    columns = precision_recall_fscore_support(truth, guess, average=None, zero_division=0)
    labels = {
        name: LabelScore(float(p), float(r), float(f1), int(support))
        for name, p, r, f1, support in zip(names, *columns, strict=True)
    }
    p, r, f1, support = precision_recall_fscore_support(truth, guess, average="micro", zero_division=0)
    return Scores(LabelScore(float(p), float(r), float(f1), int(support)), labels, _token_accuracy(truth, guess))


def f1_of_spans(gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]]) -> LabelScore:
    """Micro scores from spans that are known already: equal to :func:`score`, at a tenth of its cost.

    The training loop uses it after every epoch; a test compares the two.
    """
    right = found = support = 0
    for truth, guess in zip(gold, predicted, strict=True):
        wanted, given = set(truth), set(guess)
        right += len(wanted & given)
        found += len(given)
        support += len(wanted)
    return from_counts(right, found, support)


def from_counts(right: int, found: int, support: int) -> LabelScore:
    """Scores from how many entities were right, found, and there; an undefined score is 0."""
    precision = right / found if found else 0.0
    recall = right / support if support else 0.0
    f1 = 2 * right / (found + support) if found + support else 0.0
    return LabelScore(precision, recall, f1, support)


def check_lengths(gold: Sequence[Tags], predicted: Sequence[Tags]) -> None:
    """Make sure that there is one predicted tag for each gold one.

    Raises:
        DataError: names the first sentence, counted from 1, that has more or fewer.
    """
    if len(gold) != len(predicted):
        raise DataError(f"{len(gold)} gold sentences, {len(predicted)} predicted ones")
    for number, (truth, guess) in enumerate(zip(gold, predicted, strict=True), start=1):
        if len(truth) != len(guess):
            raise DataError(f"sentence {number}: {len(truth)} gold tags, {len(guess)} predicted ones")


def _token_accuracy(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    tokens = sum(map(len, gold))
    right = sum(a == b for truth, guess in zip(gold, predicted, strict=True) for a, b in zip(truth, guess, strict=True))
    return right / tokens if tokens else 0.0
