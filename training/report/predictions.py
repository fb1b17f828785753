"""What a tagger says of annotated sentences, as tags and spans."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol, runtime_checkable

from fenestra.model.results import Result
from fenestra.model.tagger import Tagger
from fenestra.training.data.spans import Span

_DOCUMENTS = 64  # that are tagged together


class Prediction(NamedTuple):
    """What the model says of one sentence: a tag and a score per token, and the spans with theirs."""

    tags: list[str]
    token_scores: list[float]
    spans: list[Span]
    span_scores: list[float]


@runtime_checkable
class Predictor(Protocol):
    """What tags without being a tagger: a teacher."""

    labels: tuple[str, ...]

    def predictions(self, documents: Sequence[Sequence[Sequence[str]]]) -> Iterator[Prediction]:
        """One for each sentence of all documents."""


def predict(tagger: Tagger | Predictor, documents: Iterable[Sequence[Sequence[str]]]) -> Iterator[list[Prediction]]:
    """Tag documents whose sentences are words, a few at a time: one prediction for each sentence of each document."""
    rest = iter(documents)
    while some := list(islice(rest, _DOCUMENTS)):
        if isinstance(tagger, Predictor):
            found = tagger.predictions(some)
            yield from (list(islice(found, len(document))) for document in some)
        else:
            yield from ([prediction(result) for result in document] for document in tagger.tag_documents(some))


def prediction(result: Result) -> Prediction:
    """What a result says of a sentence of words."""
    tokens = result.tokens[:]
    return Prediction(
        [token.tag for token in tokens],
        [token.score for token in tokens],
        [Span(entity.start, entity.end, entity.label) for entity in result],
        [entity.score for entity in result],
    )
