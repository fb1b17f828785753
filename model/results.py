"""What the model says of a text.

T tokens · Y items: texts, or sentences of words · M entities
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from fenestra.model.columns import Columns
from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.decoding import Paths
from fenestra.model.drawing import draw, joined

DIGITS = 6
"""Of a score that is written, after the point: more than any calibration can mean, and half as long as all of them."""


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

    __slots__ = ("source", "start_T", "width_T")

    def __init__(self, source: str | Sequence[str], start_T: NDArray[np.int32], width_T: NDArray[np.int32]) -> None:
        """Keep where every token starts, and how many code points or words it has."""
        self.source, self.start_T, self.width_T = source, start_T, width_T

    def of(self, first: int, end: int) -> tuple[int, int, str]:
        """Start, end and text of the tokens from ``first`` to before ``end``; words are joined by a space."""
        start, stop = int(self.start_T[first]), int(self.start_T[end - 1]) + int(self.width_T[end - 1])
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
    __slots__ = ("_place", "_tokens", "source")

    def __init__(
        self,
        entities: Iterable[Entity],
        tokens: "TokenTable | TokenColumns",
        source: str | Sequence[str],
        place: int = 0,
    ) -> None:
        """Keep the entities, every token with its tag and score, and the text, or the words, that were tagged.

        The tokens may come as those of a batch, in which this is the item number ``place``: most who ask for entities
        never look at tokens.
        """
        super().__init__(entities)
        self._tokens, self.source, self._place = tokens, source, place

    @property
    def tokens(self) -> TokenTable:
        """Every token with its tag and score."""
        if isinstance(self._tokens, TokenColumns):
            self._tokens = self._tokens.table(self._place, self.source)
        return self._tokens

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


class TokenColumns(NamedTuple):
    """The tokens of all items of a batch."""

    names: Sequence[str]
    """The tags of IOB2."""
    end_Y: NDArray[np.int64]
    """Tokens up to the end of each item."""
    start_T: NDArray[np.int32]
    width_T: NDArray[np.int32]
    tag_T: NDArray[np.unsignedinteger]
    probability_T: NDArray[np.float32]
    others_T: Sequence[Sequence[Alternative]] | None
    """Other tags of each token, if they were asked for."""

    def table(self, place: int, source: str | Sequence[str]) -> TokenTable:
        """Those of one item."""
        here = slice(int(self.end_Y[place - 1]) if place else 0, int(self.end_Y[place]))
        places = Places(source, self.start_T[here], self.width_T[here])
        others = None if self.others_T is None else self.others_T[here]
        return TokenTable(places, self.names, self.tag_T[here], self.probability_T[here], others)


def results(found: Columns, tokens: TokenColumns, sources: Sequence[str | Sequence[str]]) -> list[Result]:
    """Make an object of every entity, and a result of every item."""
    starts, ends = found.start_M.tolist(), found.end_M.tolist()
    its = [sources[item] for item in found.item_M.tolist()]
    texts = [joined(source[a:b]) for source, a, b in zip(its, starts, ends, strict=True)]
    labels = [found.labels[label] for label in found.label_M.tolist()]
    entities = list(map(_entity, zip(starts, ends, labels, texts, found.score_M.tolist(), strict=True)))
    made, first = [], 0
    for place, (source, until) in enumerate(zip(sources, found.until(len(sources)).tolist(), strict=True)):
        made.append(Result(entities[first:until], tokens, source, place))
        first = until
    return made


def scores(
    log_product_M: NDArray[np.float32], paths: Paths, oov_T: NDArray[np.bool_], calibration: Calibration
) -> NDArray[np.float64]:
    """Calibrated probabilities of the entities of ``paths``, from the log of the probability of the tags of each."""
    tokens_M = (paths.end_M - paths.begin_M).astype(np.float32)
    oov_M = any_within(oov_T, paths.begin_M, paths.end_M).astype(np.float32)
    return calibration.entity_scores(log_product_M, tokens_M, oov_M)


def any_within(true_T: NDArray[np.bool_], begin_M: NDArray[np.int64], end_M: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether anything is true from each ``begin`` to before its ``end``."""
    count_T = np.zeros(len(true_T) + 1, np.int64)
    true_T.cumsum(out=count_T[1:])
    found_M: NDArray[np.bool_] = count_T[end_M] > count_T[begin_M]
    return found_M


def _to_dict(found: Entity | TaggedToken) -> dict[str, Any]:
    values = found._asdict()
    if found.alternatives:
        values["alternatives"] = [alternative._asdict() for alternative in found.alternatives]
    return values
