"""What the model says of a text.

T tokens · P items: texts or sentences of words, a document each · M entities
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.decoding import Paths
from fenestra.model.drawing import draw, joined


class Alternative(NamedTuple):
    """What a token or an entity may be instead: a tag or a label, and its probability."""

    name: str
    score: float


class _EntityFields(NamedTuple):
    start: int
    end: int
    label: str
    text: str
    score: float
    """Calibrated probability that label, start and end are right."""


class _TokenFields(NamedTuple):
    text: str
    start: int
    end: int
    tag: str
    score: float


class Entity(_EntityFields):
    """A named thing. ``start`` and ``end`` count code points of a text, or the words of a sentence of words."""

    alternatives: Sequence[Alternative] = ()
    """Other labels of the same span, the likeliest first; empty unless they were asked for."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON or a table."""
        return _to_dict(self)

    def __repr__(self) -> str:
        return f"Entity({self.text!r}, {self.label}, {self.start}:{self.end}, {self.score:.3f})"


class TaggedToken(_TokenFields):
    """A token with its IOB2 tag and the probability of that tag; offsets as in :class:`Entity`."""

    alternatives: Sequence[Alternative] = ()
    """Other tags of the token, the likeliest first; empty unless they were asked for."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON or a table."""
        return _to_dict(self)


class Places:
    """Where the tokens of an item stand: code points of a text, or words of a sentence of words."""

    __slots__ = ("size_T", "source", "start_T")

    def __init__(self, source: str | Sequence[str], start_T: NDArray[np.int32], size_T: NDArray[np.int32]) -> None:
        """Keep where every token starts, and how long it is."""
        self.source, self.start_T, self.size_T = source, start_T, size_T

    @classmethod
    def of_words(cls, sentences: Sequence[Sequence[str]]) -> "list[Places]":
        """Those of sentences of words, where each word is at its place and one long; they share their numbers."""
        longest = max(map(len, sentences), default=0)
        start_T, size_T = np.arange(longest, dtype=np.int32), np.ones(longest, np.int32)
        return [cls(words, start_T[: len(words)], size_T[: len(words)]) for words in sentences]

    def __len__(self) -> int:
        return len(self.start_T)

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """Start, end and text of the tokens from ``first`` to before ``end``; words are joined by a space."""
        start, stop = int(self.start_T[first]), int(self.start_T[end - 1]) + int(self.size_T[end - 1])
        return start, stop, joined(self.source[start:stop])


class TokenTable(Sequence[TaggedToken]):
    """The tokens of an item, as a few numbers each; a :class:`TaggedToken` is made when it is asked for."""

    __slots__ = ("_names", "_others", "_places", "_probability_T", "_tag_T")

    def __init__(
        self,
        places: Places,
        names: Sequence[str],
        tag_T: NDArray[np.unsignedinteger],
        probability_T: NDArray[np.float32],
        others: Sequence[Sequence[Alternative]] | None = None,
    ) -> None:
        """Keep where the tokens stand, the tags there are, which of them each has, its probability, and others."""
        self._places, self._names, self._others = places, names, others
        self._tag_T, self._probability_T = tag_T, probability_T

    def __len__(self) -> int:
        return len(self._tag_T)

    @overload
    def __getitem__(self, place: int) -> TaggedToken: ...
    @overload
    def __getitem__(self, place: slice) -> list[TaggedToken]: ...
    def __getitem__(self, place: int | slice) -> TaggedToken | list[TaggedToken]:
        chosen = range(len(self))[place]
        if isinstance(chosen, int):
            return self[chosen : chosen + 1][0]
        numbers, scores = self._tag_T[place].tolist(), self._probability_T[place].tolist()
        return list(map(self._token, chosen, numbers, scores))

    def __iter__(self) -> Iterator[TaggedToken]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self[:])

    def _token(self, at: int, tag: int, score: float) -> TaggedToken:
        start, end, text = self._places.of(at, at + 1)
        token = TaggedToken(text, start, end, self._names[tag], score)
        if self._others is not None:
            token.alternatives = self._others[at]
        return token


class Result(list[Entity]):
    """The entities of one text or sentence, ordered by start. In a notebook it draws itself."""

    __hash__ = None
    __slots__ = ("source", "tokens")

    def __init__(self, entities: Sequence[Entity], tokens: TokenTable, source: str | Sequence[str]) -> None:
        """Keep the entities, every token with its tag and score, and the text, or the words, that were tagged."""
        super().__init__(entities)
        self.tokens, self.source = tokens, source

    def to_dicts(self) -> list[dict[str, Any]]:
        """The entities as plain values, for JSON or a table."""
        return [entity.to_dict() for entity in self]

    def __eq__(self, other: object) -> bool:
        """Whether another result has the same entities and tokens, or a list the same entities."""
        return list.__eq__(self, other) and (not isinstance(other, Result) or self.tokens == other.tokens)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> tuple[Any, ...]:
        return Result, (list(self), self.tokens, self.source)

    def _repr_html_(self) -> str:
        return draw(self.source, self)


# As ``_make``, in half the time.
_entity = cast(Callable[[tuple[int, int, str, str, float]], Entity], partial(tuple.__new__, Entity))


def results(
    paths: Paths,
    score_M: NDArray[np.float64],
    places: Sequence[Places],
    labels: Sequence[str],
    names: Sequence[str],
    others_T: Sequence[Sequence[Alternative]] | None = None,
) -> list[Result]:
    """Put the paths of all items, end to end, back where their tokens stand: one result an item.

    ``names`` are the tags of IOB2, and ``others_T`` other tags of each token, if they were asked for.
    """
    none, tag_T = np.zeros(0, np.int32), paths.tag_T.astype(np.uint16)
    start_T = np.concatenate([none, *(place.start_T for place in places)])
    size_T = np.concatenate([none, *(place.size_T for place in places)])
    end_P = np.array([len(place) for place in places], np.int64).cumsum()
    last_M, item_M = paths.end_M - 1, end_P.searchsorted(paths.begin_M, side="right")
    starts, stops = start_T[paths.begin_M].tolist(), (start_T[last_M] + size_T[last_M]).tolist()
    sources = [places[item].source for item in item_M.tolist()]
    texts = [joined(source[a:b]) for source, a, b in zip(sources, starts, stops, strict=True)]
    of_label = [labels[label] for label in paths.label_M.tolist()]
    entities = list(map(_entity, zip(starts, stops, of_label, texts, score_M.tolist(), strict=True)))
    until_P = paths.begin_M.searchsorted(end_P).tolist()  # entities up to the end of each item
    found, begin, first = [], 0, 0
    for place, end, until in zip(places, end_P.tolist(), until_P, strict=True):
        others = None if others_T is None else others_T[begin:end]
        tokens = TokenTable(place, names, tag_T[begin:end], paths.probability_T[begin:end], others)
        found.append(Result(entities[first:until], tokens, place.source))
        begin, first = end, until
    return found


def scores(
    log_product_M: NDArray[np.float32], paths: Paths, oov_T: NDArray[np.bool_], calibration: Calibration
) -> NDArray[np.float64]:
    """Calibrated probabilities of the entities of ``paths``, from the log of the probability of the tags of each."""
    tokens_M = (paths.end_M - paths.begin_M).astype(np.float32)
    oov_M = any_within(oov_T, paths.begin_M, paths.end_M).astype(np.float32)
    return calibration.entity_scores(log_product_M, tokens_M, oov_M)


def any_within(true_T: NDArray[np.bool_], begin_M: NDArray[np.int64], end_M: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether anything is true from each ``begin`` to before its ``end``."""
    count_T = np.concatenate([[0], true_T.cumsum()])
    found_M: NDArray[np.bool_] = count_T[end_M] > count_T[begin_M]
    return found_M


def _to_dict(found: Entity | TaggedToken) -> dict[str, Any]:
    values = found._asdict()
    if found.alternatives:
        values["alternatives"] = [alternative._asdict() for alternative in found.alternatives]
    return values
