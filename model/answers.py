"""What the model says of a text.

T tokens of an item · M entities
"""

from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from model.calibration import Calibration
from model.decoding import Paths
from model.iob import Span
from model.tiles import fill_array

_PIECE = 2048  # entities and items that are written before giving way


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
    tokens: Sequence[TaggedToken]


class Prediction(NamedTuple):
    """What the model says of one sentence: a tag and a score per token, and the spans with theirs."""

    tags: list[str]
    token_scores: list[float]
    spans: list[Span]
    span_scores: list[float]


class TextPlaces:
    """Where the tokens of a raw text stand, in code points."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts, self._sizes = array("i"), array("i")

    def read(self, words: Sequence[str], starts: Sequence[int]) -> None:
        """Take the next tokens."""
        self._starts.extend(starts)
        self._sizes.extend(map(len, words))

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """Start, end and text of the tokens from ``first`` to before ``end``."""
        start, stop = self._starts[first], self._starts[end - 1] + self._sizes[end - 1]
        return start, stop, self.text[start:stop]


class WordPlaces:
    """Where words stand in their sentence, counted in words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """As :meth:`TextPlaces.of`; words are joined by a space."""
        return first, end, " ".join(self._words[first:end])


Places = TextPlaces | WordPlaces


class TokenTable(Sequence[TaggedToken]):
    """The tokens of an item, as a few numbers each; a :class:`TaggedToken` is made when it is asked for."""

    def __init__(
        self, places: Places, names: Sequence[str], tag_T: NDArray[np.uint8], probability_T: NDArray[np.float32]
    ) -> None:
        """Keep the numbers.

        Args:
            places: of the tokens.
            names: the IOB2 tags.
            tag_T: which of them each token has.
            probability_T: of that tag.
        """
        self._places, self._names, self._tag_T, self._probability_T = places, names, tag_T, probability_T

    def __len__(self) -> int:
        return len(self._tag_T)

    @overload
    def __getitem__(self, place: int) -> TaggedToken: ...
    @overload
    def __getitem__(self, place: slice) -> list[TaggedToken]: ...
    def __getitem__(self, place: int | slice) -> TaggedToken | list[TaggedToken]:
        chosen = range(len(self))[place]
        if isinstance(chosen, int):
            return self._token(chosen, int(self._tag_T[chosen]), float(self._probability_T[chosen]))
        tags, scores = self._tag_T[place].tolist(), self._probability_T[place].tolist()
        return [self._token(at, tag, score) for at, tag, score in zip(chosen, tags, scores, strict=True)]

    def __iter__(self) -> Iterator[TaggedToken]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self[:])

    def _token(self, at: int, tag: int, score: float) -> TaggedToken:
        start, end, text = self._places.of(at, at + 1)
        return TaggedToken(text, start, end, self._names[tag], score)


def answers(
    paths: Paths,
    sizes: Iterable[int],
    places: Iterable[Places],
    labels: Sequence[str],
    names: Sequence[str],
    calibration: Calibration,
) -> Generator[None, None, list[Analysis]]:
    """Put what was read off the network's scores back where it stands, giving way now and then.

    Args:
        paths: of tokens end to end.
        sizes: how many of them each item has.
        places: of the tokens of each item.
        labels: of entities.
        names: the IOB2 tags.
        calibration: makes scores of products.
    """
    found: list[Analysis] = []
    bounds_M = list(zip(paths.begin_M.tolist(), paths.end_M.tolist(), paths.label_M.tolist(), strict=True))
    score_M = calibration.entity_scores(fill_array(paths.log_product_M))[: len(bounds_M)].tolist()
    tag_T = paths.tag_T.astype(np.min_scalar_type(len(names)))
    begin = used = written = 0
    for size, place in zip(sizes, places, strict=True):
        entities = []
        while used < len(bounds_M) and bounds_M[used][1] <= begin + size:
            first, end, label = bounds_M[used]
            start, stop, text = place.of(first - begin, end - begin)
            entities.append(Entity(start, stop, labels[label], text, score_M[used]))
            used += 1
            if (written := written + 1) % _PIECE == 0:
                yield
        here = slice(begin, begin + size)
        found.append(Analysis(entities, TokenTable(place, names, tag_T[here], paths.probability_T[here])))
        begin += size
        if (written := written + 1) % _PIECE == 0:
            yield
    return found


def prediction(analysis: Analysis) -> Prediction:
    """What an analysis says of a sentence of words."""
    return Prediction(
        [token.tag for token in analysis.tokens],
        [token.score for token in analysis.tokens],
        [Span(entity.start, entity.end, entity.label) for entity in analysis.entities],
        [entity.score for entity in analysis.entities],
    )
