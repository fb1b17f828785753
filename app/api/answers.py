"""From what the model found to what the client asked for: filters, units, JSON."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from app.api.offsets import convert
from app.api.schemas import TagRequest
from app.edge.problems import Problem
from model import Analysis, Entity, TaggedToken

_MOST_NAMES = 50
_DIGITS = 6  # of a score, after the point: more than any calibration can mean, and half the length of all there are


def check_labels(wanted: Sequence[str] | None, known: Sequence[str]) -> None:
    """Refuse a label that the model cannot give: the empty result would look like an answer.

    Raises:
        Problem: ``invalid_request``, naming the labels that there are.
    """
    if wanted is not None and not set(wanted) <= set(known):
        names = ", ".join(known[:_MOST_NAMES])
        raise Problem("invalid_request", f"labels: a label is unknown to this model; it knows {names}")


def tag_answer(request: TagRequest, analyses: Sequence[Analysis], name: str, version: str) -> bytes:
    """Write the answer of ``POST /tag`` as JSON.

    Args:
        request: what was asked.
        analyses: one for each text or sentence, in order.
        name: of the model.
        version: of the model.
    """
    texts = request.texts
    results = [
        _result(request, analysis, None if texts is None else texts[place]) for place, analysis in enumerate(analyses)
    ]
    return to_json({"model": {"name": name, "version": version}, "results": results})


def _result(request: TagRequest, analysis: Analysis, text: str | None) -> dict[str, Any]:
    """One item of the answer; ``text`` is None when offsets count tokens."""
    labels = None if request.labels is None else frozenset(request.labels)
    result: dict[str, Any] = {
        "entities": [
            _fields(entity)
            for entity in analysis.entities
            if entity.score >= request.min_score and (labels is None or entity.label in labels)
        ]
    }
    if request.details:
        result["tokens"] = [_fields(token) for token in analysis.tokens]
    if text is not None and request.offsets != "codepoint":
        _translate(text, [*result["entities"], *result.get("tokens", [])], request)
    return result


def _fields(found: Entity | TaggedToken) -> dict[str, Any]:
    """An entity or token as it goes into the JSON."""
    return found._asdict() | {"score": round(found.score, _DIGITS)}


def _translate(text: str, spans: Sequence[dict[str, Any]], request: TagRequest) -> None:
    """Rewrite ``start`` and ``end`` of every span in the unit asked for."""
    points = convert(text, (span[side] for span in spans for side in ("start", "end")), request.offsets)
    for span in spans:
        span["start"], span["end"] = points[span["start"]], points[span["end"]]
