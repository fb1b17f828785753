"""What the model says of a text.

T tokens of an item · M entities
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.decoding import Paths


class Alternative(NamedTuple):
    """What a token or an entity may be instead: a tag or a label, and its probability."""

    name: str
    score: float


class Entity(NamedTuple):
    """A named thing. ``start`` and ``end`` count code points of a text, or the words of a sentence of words."""

    start: int
    end: int
    label: str
    text: str
    score: float
    """Calibrated probability that label, start and end are right."""

    @property
    def alternatives(self) -> Sequence[Alternative]:
        """Other labels of the same span, the likeliest first; empty unless they were asked for."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON or a table."""
        return _to_dict(self)

    def __repr__(self) -> str:
        return f"Entity({self.text!r}, {self.label}, {self.start}:{self.end}, {self.score:.3f})"


class TaggedToken(NamedTuple):
    """A token with its IOB2 tag and the probability of that tag; offsets as in :class:`Entity`."""

    text: str
    start: int
    end: int
    tag: str
    score: float

    @property
    def alternatives(self) -> Sequence[Alternative]:
        """Other tags of the token, the likeliest first; empty unless they were asked for."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON or a table."""
        return _to_dict(self)


class RankedEntity(Entity):
    """An entity that knows its alternatives."""

    alternatives: Sequence[Alternative] = ()


class RankedToken(TaggedToken):
    """A token that knows its alternatives."""

    alternatives: Sequence[Alternative] = ()


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
    """What was read off a whole batch of tokens, which the results of its items share."""

    names: Sequence[str]
    """The IOB2 tags."""
    tag_T: NDArray[np.unsignedinteger]
    """Which of them each token has."""
    probability_T: NDArray[np.float32]
    """Of that tag."""
    others_T: Sequence[Sequence[Alternative]] | None = None
    """Other tags of each token, if they were asked for."""


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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the tokens of this item alone, not those of its batch."""
        tags, here = self._tags, slice(self._begin, self._end)
        others = None if tags.others_T is None else tags.others_T[here]
        own = Tags(tags.names, tags.tag_T[here].copy(), tags.probability_T[here].copy(), others)
        return TokenTable, (self._places, own, 0, len(self))

    def _token(self, at: int, tag: int, score: float) -> TaggedToken:
        start, end, text = self._places.of(at, at + 1)
        if self._tags.others_T is None:
            return TaggedToken(text, start, end, self._tags.names[tag], score)
        token = RankedToken(text, start, end, self._tags.names[tag], score)
        token.alternatives = self._tags.others_T[self._begin + at]
        return token


class Result(list[Entity]):
    """The entities of one text or sentence, ordered by start. In a notebook it draws itself."""

    __hash__ = None
    __slots__ = ("_places", "tokens")

    tokens: TokenTable
    """Every token with its tag and score."""

    def __init__(self, entities: Sequence[Entity], tokens: TokenTable, places: Places) -> None:
        super().__init__(entities)
        self.tokens, self._places = tokens, places

    @property
    def source(self) -> str | Sequence[str]:
        """What was tagged: the text, or the words of the sentence."""
        return self._places.source

    def to_dicts(self) -> list[dict[str, Any]]:
        """The entities as plain values, for JSON or a table."""
        return [entity.to_dict() for entity in self]

    def __eq__(self, other: object) -> bool:
        """Whether another result has the same entities and tokens, or a list the same entities."""
        if isinstance(other, Result):
            return list.__eq__(self, other) and self.tokens == other.tokens
        return list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> tuple[Any, ...]:
        return Result, (list(self), self.tokens, self._places)

    def _repr_html_(self) -> str:
        from fenestra.model.drawing import draw  # only a notebook needs it

        return draw(self)


def results(
    paths: Paths,
    oov_T: NDArray[np.bool_],
    sizes: Sequence[int],
    places: Sequence[Places],
    labels: Sequence[str],
    tags: Tags,
    calibration: Calibration,
) -> list[Result]:
    """Put what was decoded back where it stands: one result an item.

    Args:
        paths: of tokens end to end.
        oov_T: which of them are out-of-vocabulary words.
        sizes: how many of them each item has.
        places: of the tokens of each item.
        labels: of entities.
        tags: of the tokens.
        calibration: makes scores of products.
    """
    size_I = np.array(sizes, dtype=np.int64)
    end_I = size_I.cumsum()
    item_M = end_I.searchsorted(paths.begin_M, side="right")
    start_M: NDArray[np.integer]
    stop_M: NDArray[np.integer]
    if any(isinstance(place, TextPlaces) for place in places):
        start_T, size_T = _in_line(places, sizes)
        last_M = paths.end_M - 1
        start_M, stop_M = start_T[paths.begin_M], start_T[last_M] + size_T[last_M]
    else:
        begin_M = (end_I - size_I)[item_M]
        start_M, stop_M = paths.begin_M - begin_M, paths.end_M - begin_M
    score_M = scores(paths.log_product_M, paths, oov_T, calibration)
    entities = _entities(
        [places[item] for item in item_M.tolist()],
        start_M.tolist(),
        stop_M.tolist(),
        [labels[label] for label in paths.label_M.tolist()],
        score_M.tolist(),
    )
    until_I = paths.begin_M.searchsorted(end_I).tolist()  # entities up to the end of each item
    found, begin, first = [], 0, 0
    for place, end, until in zip(places, end_I.tolist(), until_I, strict=True):
        found.append(Result(entities[first:until], TokenTable(place, tags, begin, end), place))
        begin, first = end, until
    return found


def scores(
    log_product_M: NDArray[np.float32], paths: Paths, oov_T: NDArray[np.bool_], calibration: Calibration
) -> NDArray[np.float64]:
    """Calibrated probabilities of entities; arguments as of :func:`results`."""
    tokens_M = (paths.end_M - paths.begin_M).astype(np.float32)
    oov_M = any_within(oov_T, paths.begin_M, paths.end_M).astype(np.float32)
    return calibration.entity_scores(log_product_M, tokens_M, oov_M)


def any_within(true_T: NDArray[np.bool_], begin_M: NDArray[np.int64], end_M: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether anything is true from each ``begin`` to before its ``end``."""
    count_T = np.concatenate([[0], true_T.cumsum()])
    found_M: NDArray[np.bool_] = count_T[end_M] > count_T[begin_M]
    return found_M


# As ``_make``, in half the time.
_entity = cast(Callable[[tuple[int, int, str, str, float]], Entity], partial(tuple.__new__, Entity))


def _entities(
    places: Sequence[Places],
    starts: Sequence[int],
    stops: Sequence[int],
    labels: Sequence[str],
    score_M: Sequence[float],
) -> list[Entity]:
    """Entities with their text, from what each stands in, its start and end there, its label and its score."""
    pieces = [place.source[start:stop] for place, start, stop in zip(places, starts, stops, strict=True)]
    texts = [piece if isinstance(piece, str) else " ".join(piece) for piece in pieces]
    return list(map(_entity, zip(starts, stops, labels, texts, score_M, strict=True)))


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


def _to_dict(found: Entity | TaggedToken) -> dict[str, Any]:
    values = found._asdict()
    if found.alternatives:
        values["alternatives"] = [alternative._asdict() for alternative in found.alternatives]
    return values
