"""From what the model found to what the client asked for: filters, units, JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import to_json

from app.api.offsets import Unit, convert
from app.api.schemas import ExplainRequest, TagRequest
from app.edge.problems import Problem
from model import Analysis, Entity, Explanation, TaggedToken

_MOST_NAMES = 50
_PIECE = 1000  # entities and tokens that are written at once
_DIGITS = 6  # of a score, after the point: more than any calibration can mean, and half the length of all there are


def check_labels(wanted: Sequence[str] | None, known: Sequence[str]) -> None:
    """Refuse a label that the model cannot give: the empty result would look like an answer.

    Raises:
        Problem: ``invalid_request``, naming the labels that there are.
    """
    if wanted is not None and not set(wanted) <= set(known):
        names = ", ".join(known[:_MOST_NAMES])
        raise Problem("invalid_request", f"labels: a label is unknown to this model; it knows {names}")


def tag_answer(
    request: TagRequest, name: str, version: str, analyses: Sequence[Analysis], line: int | None = None
) -> Iterator[bytes]:
    """Write the answer of ``POST /tag`` as JSON, in pieces none of which takes long.

    Args:
        request: what was asked.
        name: of the model.
        version: of the model.
        analyses: one for each text or sentence, in order.
        line: of a stream, that this answers.
    """
    head = {} if line is None else {"line": line}
    yield to_json(head | {"model": {"name": name, "version": version}})[:-1] + b',"results":['
    texts = request.texts
    group: list[dict[str, Any]] = []
    between, tokens = b"", 0
    for place, analysis in enumerate(analyses):
        result = _result(request, analysis, None if texts is None else texts[place])
        size = len(result["entities"]) + len(result.get("tokens", ()))
        if size > _PIECE:
            yield from _in_pieces(between, group, result)
            group, between, tokens = [], b",", 0
            continue
        group.append(result)
        tokens += size
        if tokens > _PIECE:
            yield between + to_json(group)[1:-1]
            group, between, tokens = [], b",", 0
    yield (between if group else b"") + to_json(group)[1:-1] + b"]}"


def _in_pieces(between: bytes, before: list[dict[str, Any]], result: dict[str, Any]) -> Iterator[bytes]:
    """Write some results, and then one that is too large to write at once."""
    if before:
        yield between + to_json(before)[1:-1]
        between = b","
    yield between + b"{"
    for number, (name, rows) in enumerate(result.items()):
        yield (b"," if number else b"") + to_json(name) + b":["
        for begin in range(0, len(rows), _PIECE):
            yield (b"," if begin else b"") + to_json(rows[begin : begin + _PIECE])[1:-1]
        yield b"]"
    yield b"}"


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
        _translate(text, [*result["entities"], *result.get("tokens", [])], request.offsets)
    return result


def explain_answer(
    request: ExplainRequest, name: str, version: str, explanations: Sequence[Explanation]
) -> Iterator[bytes]:
    """Write the answer of ``POST /explain`` as JSON.

    Args:
        request: what was asked.
        name: of the model.
        version: of the model.
        explanations: the one.
    """
    (found,) = explanations
    token = _fields(found.token)
    window = [share._asdict() for share in found.shares]
    if request.text is not None and request.offsets != "codepoint":
        _translate(request.text, [token, *(share for share in window if share["text"] is not None)], request.offsets)
    rest = {key: getattr(found, key) for key in ("column", "method", "logit", "bias", "document")}
    yield to_json({"model": {"name": name, "version": version}, "token": token, **rest, "window": window})


def _fields(found: Entity | TaggedToken) -> dict[str, Any]:
    """An entity or token as it goes into the JSON."""
    return found._asdict() | {"score": round(found.score, _DIGITS)}


def _translate(text: str, spans: Sequence[dict[str, Any]], unit: Unit) -> None:
    """Rewrite ``start`` and ``end`` of every span in the unit asked for."""
    points = convert(text, (span[side] for span in spans for side in ("start", "end")), unit)
    for span in spans:
        span["start"], span["end"] = points[span["start"]], points[span["end"]]
