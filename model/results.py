"""What the model says of a text.

T tokens of an item · M entities
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.decoding import Paths
from fenestra.model.network.context import parts
from fenestra.model.tags import Span
from fenestra.model.tiles import fill_array

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

    __slots__ = ("size_T", "source", "start_T")

    def __init__(self, text: str, start_T: NDArray[np.int32], size_T: NDArray[np.int32]) -> None:
        """Keep where every token starts, and how long it is."""
        self.source, self.start_T, self.size_T = text, start_T, size_T

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """Start, end and text of the tokens from ``first`` to before ``end``."""
        start, stop = int(self.start_T[first]), int(self.start_T[end - 1]) + int(self.size_T[end - 1])
        return start, stop, self.source[start:stop]


class WordPlaces:
    """Where words stand in their sentence, counted in words."""

    __slots__ = ("source",)

    def __init__(self, words: Sequence[str]) -> None:
        self.source = words

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """As :meth:`TextPlaces.of`; words are joined by a space."""
        return first, end, " ".join(self.source[first:end])


Places = TextPlaces | WordPlaces


class Tags(NamedTuple):
    """What was read off a whole batch of tokens, which the answers to its items share."""

    names: Sequence[str]
    """The IOB2 tags."""
    tag_T: NDArray[np.unsignedinteger]
    """Which of them each token has."""
    probability_T: NDArray[np.float32]
    """Of that tag."""


class TokenTable(Sequence[TaggedToken]):
    """The tokens of an item, as a few numbers each; a :class:`TaggedToken` is made when it is asked for."""

    __slots__ = ("_begin", "_end", "_places", "_tags")

    def __init__(self, places: Places, tags: Tags, begin: int, end: int) -> None:
        """Keep the numbers of the tokens from ``begin`` to before ``end`` of a batch, and where they stand."""
        self._places, self._tags, self._begin, self._end = places, tags, begin, end

    def __len__(self) -> int:
        return self._end - self._begin

    @overload
    def __getitem__(self, place: int) -> TaggedToken: ...
    @overload
    def __getitem__(self, place: slice) -> list[TaggedToken]: ...
    def __getitem__(self, place: int | slice) -> TaggedToken | list[TaggedToken]:
        chosen, tags = range(len(self))[place], self._tags
        if isinstance(chosen, int):
            at = self._begin + chosen
            return self._token(chosen, int(tags.tag_T[at]), float(tags.probability_T[at]))
        here = slice(self._begin, self._end)
        numbers, scores = tags.tag_T[here][place].tolist(), tags.probability_T[here][place].tolist()
        return [self._token(at, tag, score) for at, tag, score in zip(chosen, numbers, scores, strict=True)]

    def __iter__(self) -> Iterator[TaggedToken]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self[:])

    def _token(self, at: int, tag: int, score: float) -> TaggedToken:
        start, end, text = self._places.of(at, at + 1)
        return TaggedToken(text, start, end, self._tags.names[tag], score)


def answers(
    paths: Paths,
    strange_T: NDArray[np.bool_],
    sizes: Sequence[int],
    places: Sequence[Places],
    labels: Sequence[str],
    names: Sequence[str],
    calibration: Calibration,
) -> Generator[None, None, list[Analysis]]:
    """Put what was read off the network's scores back where it stands, giving way now and then.

    Args:
        paths: of tokens end to end.
        strange_T: which of them are words that training did not know.
        sizes: how many of them each item has.
        places: of the tokens of each item.
        labels: of entities.
        names: the IOB2 tags.
        calibration: makes scores of products.
    """
    end_I = np.array(sizes, dtype=np.int64).cumsum()
    item_M = end_I.searchsorted(paths.begin_M, side="right")
    start_M: NDArray[np.integer]
    stop_M: NDArray[np.integer]
    if any(isinstance(place, TextPlaces) for place in places):
        start_T, size_T = _in_line(places, sizes)
        last_M = paths.end_M - 1
        start_M, stop_M = start_T[paths.begin_M], start_T[last_M] + size_T[last_M]
    else:
        begin_M = (end_I - np.array(sizes, dtype=np.int64))[item_M]
        start_M, stop_M = paths.begin_M - begin_M, paths.end_M - begin_M
    tokens_M = (paths.end_M - paths.begin_M).astype(np.float32)
    strange_M = any_within(strange_T, paths.begin_M, paths.end_M).astype(np.float32)
    score_M = calibration.entity_scores(*map(fill_array, (paths.log_product_M, tokens_M, strange_M)))[: len(start_M)]
    entities: list[Entity] = []
    for some in parts(len(start_M), _PIECE):
        entities += _told(
            [places[item] for item in item_M[some].tolist()],
            start_M[some].tolist(),
            stop_M[some].tolist(),
            [labels[label] for label in paths.label_M[some].tolist()],
            score_M[some].tolist(),
        )
        if some.stop < len(start_M):
            yield
    tags, begin, first = Tags(names, paths.tag_T.astype(np.uint16), paths.probability_T), 0, 0
    until_I = paths.begin_M.searchsorted(end_I)  # entities up to the end of each item
    found: list[Analysis] = []
    for some in parts(len(sizes), _PIECE):
        for place, end, until in zip(places[some], end_I[some].tolist(), until_I[some].tolist(), strict=True):
            found.append(_analysis((entities[first:until], TokenTable(place, tags, begin, end))))
            begin, first = end, until
        if some.stop < len(sizes):
            yield
    return found


def any_within(true_T: NDArray[np.bool_], begin_M: NDArray[np.int64], end_M: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether anything is true from each ``begin`` to before its ``end``."""
    count_T = np.concatenate([[0], true_T.cumsum()])
    found_M: NDArray[np.bool_] = count_T[end_M] > count_T[begin_M]
    return found_M


# As ``_make`` of each, in half the time.
_entity = cast(Callable[[tuple[int, int, str, str, float]], Entity], partial(tuple.__new__, Entity))
_analysis = cast(Callable[[tuple[list[Entity], TokenTable]], Analysis], partial(tuple.__new__, Analysis))


def _told(
    places: Sequence[Places],
    starts: Sequence[int],
    stops: Sequence[int],
    labels: Sequence[str],
    scores: Sequence[float],
) -> list[Entity]:
    """Entities with their text, from what each stands in, its start and end there, its label and its score."""
    pieces = [place.source[start:stop] for place, start, stop in zip(places, starts, stops, strict=True)]
    texts = [piece if isinstance(piece, str) else " ".join(piece) for piece in pieces]
    return list(map(_entity, zip(starts, stops, labels, texts, scores, strict=True)))


def _in_line(places: Sequence[Places], sizes: Sequence[int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where every token of some items starts, and how long it is; a word is at its place, and one long."""
    none = np.zeros(0, np.int32)
    start_T = [
        p.start_T if isinstance(p, TextPlaces) else np.arange(n, dtype=np.int32)
        for p, n in zip(places, sizes, strict=True)
    ]
    size_T = [
        p.size_T if isinstance(p, TextPlaces) else np.ones(n, np.int32) for p, n in zip(places, sizes, strict=True)
    ]
    return np.concatenate([none, *start_T]), np.concatenate([none, *size_T])


def prediction(analysis: Analysis) -> Prediction:
    """What an analysis says of a sentence of words."""
    return Prediction(
        [token.tag for token in analysis.tokens],
        [token.score for token in analysis.tokens],
        [Span(entity.start, entity.end, entity.label) for entity in analysis.entities],
        [entity.score for entity in analysis.entities],
    )
