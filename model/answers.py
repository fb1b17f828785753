"""What the model says of a text.

T tokens of an item · M entities
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple, cast, overload

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

    __slots__ = ("size_T", "start_T", "text")

    def __init__(self, text: str, start_T: NDArray[np.int32], size_T: NDArray[np.int32]) -> None:
        """Keep where every token starts, and how long it is."""
        self.text, self.start_T, self.size_T = text, start_T, size_T

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """Start, end and text of the tokens from ``first`` to before ``end``."""
        start, stop = int(self.start_T[first]), int(self.start_T[end - 1]) + int(self.size_T[end - 1])
        return start, stop, self.text[start:stop]


class WordPlaces:
    """Where words stand in their sentence, counted in words."""

    __slots__ = ("words",)

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """As :meth:`TextPlaces.of`; words are joined by a space."""
        return first, end, " ".join(self.words[first:end])


Places = TextPlaces | WordPlaces


class TokenTable(Sequence[TaggedToken]):
    """The tokens of an item, as a few numbers each; a :class:`TaggedToken` is made when it is asked for."""

    __slots__ = ("_begin", "_names", "_places", "_probability_T", "_size", "_tag_T")

    def __init__(
        self,
        places: Places,
        names: Sequence[str],
        tag_T: NDArray[np.unsignedinteger],
        probability_T: NDArray[np.float32],
        begin: int,
        size: int,
    ) -> None:
        """Keep the numbers.

        Args:
            places: of the tokens.
            names: the IOB2 tags.
            tag_T: which of them each token has; of a whole batch, which is shared.
            probability_T: of that tag; likewise.
            begin: the first token in them.
            size: how many there are.
        """
        self._places, self._names, self._tag_T, self._probability_T = places, names, tag_T, probability_T
        self._begin, self._size = begin, size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> TaggedToken: ...
    @overload
    def __getitem__(self, place: slice) -> list[TaggedToken]: ...
    def __getitem__(self, place: int | slice) -> TaggedToken | list[TaggedToken]:
        chosen = range(self._size)[place]
        if isinstance(chosen, int):
            at = self._begin + chosen
            return self._token(chosen, int(self._tag_T[at]), float(self._probability_T[at]))
        here = slice(self._begin, self._begin + self._size)
        tags, scores = self._tag_T[here][place].tolist(), self._probability_T[here][place].tolist()
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
    found: list[Analysis] = []
    end_I = np.array(sizes, dtype=np.int64).cumsum()
    used_I = paths.begin_M.searchsorted(end_I)  # entities up to the end of each item
    start_M: NDArray[np.integer]
    stop_M: NDArray[np.integer]
    if any(isinstance(place, TextPlaces) for place in places):
        start_T, size_T = _in_line(places, sizes)
        last_M = paths.end_M - 1
        start_M, stop_M = start_T[paths.begin_M], start_T[last_M] + size_T[last_M]
    else:
        begin_M = (end_I - np.array(sizes, dtype=np.int64))[end_I.searchsorted(paths.begin_M, side="right")]
        start_M, stop_M = paths.begin_M - begin_M, paths.end_M - begin_M
    tokens_M = (paths.end_M - paths.begin_M).astype(np.float32)
    strange_M = any_within(strange_T, paths.begin_M, paths.end_M).astype(np.float32)
    score_M = calibration.entity_scores(*map(fill_array, (paths.log_product_M, tokens_M, strange_M)))[: len(start_M)]
    entities = zip(
        start_M.tolist(),
        stop_M.tolist(),
        [labels[label] for label in paths.label_M.tolist()],
        score_M.tolist(),
        strict=True,
    )
    tag_T, probability_T, begin, used, written = paths.tag_T.astype(np.uint16), paths.probability_T, 0, 0, 0
    for size, place, until in zip(sizes, places, used_I.tolist(), strict=True):
        here: list[Entity] = []
        while used < until:
            some = min(until - used, _PIECE)
            here += _told(place, islice(entities, some))
            used += some
            if (written := written + some) >= _PIECE:
                written = 0
                yield
        found.append(Analysis(here, TokenTable(place, names, tag_T, probability_T, begin, size)))
        begin += size
        if (written := written + 1) >= _PIECE:
            written = 0
            yield
    return found


def any_within(true_T: NDArray[np.bool_], begin_M: NDArray[np.int64], end_M: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether anything is true from each ``begin`` to before its ``end``."""
    count_T = np.concatenate([[0], true_T.cumsum()])
    found_M: NDArray[np.bool_] = count_T[end_M] > count_T[begin_M]
    return found_M


_entity = cast(Callable[[tuple[int, int, str, str, float]], Entity], partial(tuple.__new__, Entity))
"""As ``Entity._make``, in half the time."""


def _told(place: Places, found: Iterable[tuple[int, int, str, float]]) -> list[Entity]:
    """Entities of one item with their text, from start, end, label and score of each."""
    if isinstance(place, TextPlaces):
        text = place.text
        return [_entity((start, end, label, text[start:end], score)) for start, end, label, score in found]
    words = place.words
    return [_entity((start, end, label, " ".join(words[start:end]), score)) for start, end, label, score in found]


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
