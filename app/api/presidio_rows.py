"""From what the model found to the rows of ``POST /analyze``."""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from fenestra.app.api.row_lists import PART, Part
from fenestra.model.label_names import Names
from fenestra.model.progress import parts
from fenestra.model.results import DIGITS, Entity, Result

_OF_PATTERNS = {
    "pattern_name": None,
    "pattern": None,
    "score_context_improvement": 0,
    "supportive_context_word": "",
    "validation_result": None,
    "regex_flags": None,
}
"""Of an explanation: what only recognizers that work with patterns have to say."""


class Filter(NamedTuple):
    """Which entities a request wants."""

    names: Names
    """The type of each label."""
    types: Collection[str]
    """Those that are looked for."""
    least: float
    """The lowest score."""
    allowed: Collection[str]
    """Texts that are no entity, whatever the model says."""

    def type_of(self, entity: Entity) -> str | None:
        """The type of an entity; None if it is not wanted."""
        name = self.names.get(entity.label)
        if name not in self.types or entity.score < self.least or entity.text in self.allowed:
            return None
        return name


def found_entities(wanted: Filter, explainer: tuple[str, str] | None, _place: int, result: Result) -> Iterator[Part]:
    """What is to be written of one text.

    Args:
        wanted: which entities.
        explainer: the names of the recognizer and of the model, if every entity is to be explained.
        result: what the model found.
    """
    for piece in parts(len(result), PART):
        found = result[piece]
        typed = ((wanted.type_of(entity), entity) for entity in found)
        yield len(found), [_row(name, entity, explainer) for name, entity in typed if name is not None]


def _row(name: str, entity: Entity, explainer: tuple[str, str] | None) -> dict[str, Any]:
    """An entity, its keys in Presidio's order."""
    score = round(entity.score, DIGITS)
    return {
        "analysis_explanation": explainer and _explanation(entity.label, score, *explainer),
        "end": entity.end,
        "entity_type": name,
        "score": score,
        "start": entity.start,
    }


def _explanation(label: str, score: float, recognizer: str, model: str) -> dict[str, Any]:
    text = f"Identified as {label} by the model {model}"
    return {
        "recognizer": recognizer,
        "original_score": score,
        "score": score,
        "textual_explanation": text,
    } | _OF_PATTERNS
