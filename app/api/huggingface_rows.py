"""From what the model found to the rows of ``POST /hf``: groups of tokens, or tokens."""

from collections.abc import Iterator, Sequence
from typing import Any

from fenestra.app.api.row_lists import PART, Part, Rows
from fenestra.model.label_names import Names
from fenestra.model.progress import parts
from fenestra.model.results import DIGITS, Entity, Result
from fenestra.model.tags import OUTSIDE


def entities(result: Sequence[Entity], names: Names, ignored: frozenset[str]) -> Iterator[Part]:
    """Entities."""
    for piece in parts(len(result), PART):
        found = result[piece]
        named = ((names.get(entity.label), entity) for entity in found)
        rows = [
            _group(name, entity.score, entity.text, entity.start, entity.end)
            for name, entity in named
            if name is not None and name not in ignored
        ]
        yield len(found), rows


def _group(name: str, score: float, word: str, start: int, end: int) -> dict[str, Any]:
    return {"entity_group": name, "score": round(score, DIGITS), "word": word, "start": start, "end": end}


def entities_and_others(text: str, result: Result, names: Names, ignored: frozenset[str]) -> Iterator[Part]:
    """Entities, and all tokens between two of them as one group of the label O, whose score is their mean."""
    others, at = _Outside(text), 0
    for piece in parts(len(result.tokens), PART):
        rows: Rows = []
        found = result.tokens[piece]
        for token in found:
            if token.tag == OUTSIDE:
                others.add(token.start, token.end, token.score)
                continue
            rows += others.take()
            if at < len(result) and result[at].start <= token.start:
                rows += next(entities(result[at : at + 1], names, ignored))[1]
                at += 1
        if piece.stop >= len(result.tokens):
            rows += others.take()
        yield len(found), rows


class _Outside:
    """The tokens that are no entity, since the last one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = self._count = 0
        self._scores = 0.0

    def add(self, start: int, end: int, score: float) -> None:
        """Take one more."""
        if not self._count:
            self._start = start
        self._end, self._count, self._scores = end, self._count + 1, self._scores + score

    def take(self) -> Rows:
        """The group that they make, if there are any."""
        if not self._count:
            return []
        score, word = self._scores / self._count, self._text[self._start : self._end]
        self._count, self._scores = 0, 0.0
        return [_group(OUTSIDE, score, word, self._start, self._end)]


def tokens(result: Result, names: Names, ignored: frozenset[str]) -> Iterator[Part]:
    """Tokens, each with its tag."""
    for piece in parts(len(result.tokens), PART):
        found = result.tokens[piece]
        tagged = ((_named(token.tag, names), index, token) for index, token in enumerate(found, piece.start + 1))
        rows = [
            {
                "entity": tag,
                "score": round(token.score, DIGITS),
                "index": index,
                "word": token.text,
                "start": token.start,
                "end": token.end,
            }
            for tag, index, token in tagged
            if tag is not None and tag not in ignored
        ]
        yield len(found), rows


def _named(tag: str, names: Names) -> str | None:
    """A tag with the new name of its label; None if that is dropped.

    >>> _named("B-PER", {"PER": "PERSON"}), _named("I-MISC", {"PER": "PERSON"}), _named("O", {})
    ('B-PERSON', None, 'O')
    """
    if tag == OUTSIDE:
        return tag
    name = names.get(tag[2:])
    return None if name is None else tag[:2] + name
