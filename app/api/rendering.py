"""From what the model found to what the client asked for: filters, units, JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from fenestra.app.api.offsets import Unit, convert
from fenestra.app.api.schemas import ExplainRequest, TagRequest
from fenestra.app.errors import Problem
from fenestra.model.explain import Explanation
from fenestra.model.progress import parts
from fenestra.model.results import DIGITS, Alternative, Entity, Result, TaggedToken
from fenestra.model.text.scripts import other_script, script_of

_Rows = list[dict[str, Any]]
_Found = Sequence[Entity | TaggedToken]

_MOST_NAMES = 50
_PIECE = 1000  # entities and tokens that are written at once


def check_labels(wanted: Iterable[str] | None, known: Sequence[str], field: str = "labels") -> None:
    """Refuse a label that the model does not have: an empty result would look like an answer.

    Raises:
        Problem: ``invalid_request``, naming the field of the request and the labels that there are.
    """
    if wanted is not None and not set(wanted) <= set(known):
        names = ", ".join(known[:_MOST_NAMES])
        raise Problem("invalid_request", f"{field}: a label is unknown to this model; it knows {names}")


def tag_answer(
    request: TagRequest, name: str, version: str, results: list[Result], line: int | None = None, language: str = ""
) -> Iterator[bytes]:
    """Write the response of ``POST /tag`` as JSON, in pieces that are each bounded in time.

    Args:
        request: the validated request.
        name: of the model.
        version: of the model.
        results: one for each text or sentence, in order; each is dropped when it is written.
        line: of a stream, that this responds to.
        language: that the model reads, ISO 639-1; a text in another script than its own is warned of.
    """
    opening = _opening(name, version)
    if line is not None:
        opening = b'{"line":%d,' % line + opening[1:]
    texts, items = request.texts, request.items
    group: _Rows = []
    between, tokens = opening, 0
    misread: dict[str, list[int]] = {}
    results.reverse()
    for place in range(len(results)):
        result = results.pop()
        text = None if texts is None else texts[place]
        script = other_script(items[place], language)
        if script is not None:
            misread.setdefault(script, []).append(place)
            tokens += _PIECE // 50  # it took as long to find out as so many entities
        lists = _lists(request, result)
        size = sum(map(len, lists.values()))
        if size > _PIECE:
            if group:
                yield between + to_json(group)[1:-1]
                between = b","
            yield between
            yield from _in_pieces(request, lists, text)
            group, between, tokens = [], b",", 0
            continue
        group.append({name: _rows(request, found, text)[0] for name, found in lists.items()})
        tokens += size
        if tokens > _PIECE:
            yield between + to_json(group)[1:-1]
            group, between, tokens = [], b",", 0
    warned = b',"warnings":' + to_json(_warnings(misread, language)) if misread else b""
    yield (between if group or between is opening else b"") + to_json(group)[1:-1] + b"]" + warned + b"}"


def _warnings(misread: Mapping[str, list[int]], language: str) -> list[dict[str, Any]]:
    """Say which results are of texts in another script than that of the language."""
    own = script_of(language)
    return [
        {
            "code": "other_script",
            "message": f"most letters are {script}; this model reads {own} script (language {language})",
            "results": places,
        }
        for script, places in misread.items()
    ]


@lru_cache(maxsize=64)
def _opening(name: str, version: str) -> bytes:
    """The beginning of every response of a model."""
    return to_json({"model": {"name": name, "version": version}})[:-1] + b',"results":['


def _in_pieces(request: TagRequest, lists: dict[str, _Found], text: str | None) -> Iterator[bytes]:
    """Write a result that is too large for one piece."""
    opening = b"{"
    for name, found in lists.items():
        yield opening + to_json(name) + b":["
        comma, known = b"", (0, 0)
        for piece in parts(len(found), _PIECE):
            rows, known = _rows(request, found[piece], text, known)
            yield comma + to_json(rows)[1:-1]
            comma = b","
        yield b"]"
        opening = b","
    yield b"}"


def _lists(request: TagRequest, result: Result) -> dict[str, _Found]:
    """The lists that make up a result."""
    entities: Sequence[Entity] = result
    if request.labels is not None or request.min_score:
        labels, least = frozenset(request.labels or ()), request.min_score
        every = request.labels is None
        entities = [entity for entity in result if entity.score >= least and (every or entity.label in labels)]
    return {"entities": entities, "tokens": result.tokens} if request.details else {"entities": entities}


def _rows(
    request: TagRequest, found: _Found, text: str | None, known: tuple[int, int] = (0, 0)
) -> tuple[_Rows, tuple[int, int]]:
    """Entities or tokens, in order and without overlap, as they go into the JSON.

    ``text`` is None when offsets count tokens. What ``convert`` knows is taken and returned.
    """
    rows = (_with_alternatives if request.alternatives else plain_rows)(found)
    if text is not None and request.offsets != "codepoint":
        known = _translate(text, rows, request.offsets, known)
    return rows, known


def explain_answer(
    request: ExplainRequest, name: str, version: str, explanations: Sequence[Explanation]
) -> Iterator[bytes]:
    """Write the response of ``POST /explain`` as JSON.

    Args:
        request: the validated request.
        name: of the model.
        version: of the model.
        explanations: the one.
    """
    (found,) = explanations
    (token,) = plain_rows([found.token])
    window = [share._asdict() for share in found.shares]
    if request.text is not None and request.offsets != "codepoint":
        _translate(request.text, [token, *(share for share in window if share["text"] is not None)], request.offsets)
    if request.alternatives:
        token["alternatives"] = _alternatives(found.alternatives)
    rest = {key: getattr(found, key) for key in ("column", "method", "logit", "bias", "document")}
    if found.against is not None:
        rest["against"] = found.against
    yield to_json({"model": {"name": name, "version": version}, "token": token, **rest, "window": window})


def plain_rows(found: _Found) -> _Rows:
    """Entities or tokens as they go into the JSON."""
    if found and isinstance(found[0], Entity):
        return [
            {"start": start, "end": end, "label": label, "text": text, "score": round(score, DIGITS)}
            for start, end, label, text, score in found
        ]
    return [
        {"text": text, "start": start, "end": end, "tag": tag, "score": round(score, DIGITS)}
        for text, start, end, tag, score in found
    ]


def _with_alternatives(found: _Found) -> _Rows:
    """As :func:`plain_rows`, with what each may be instead."""
    rows = plain_rows(found)
    for row, one in zip(rows, found, strict=True):
        if vars(one):
            row["alternatives"] = _alternatives(one.alternatives)
    return rows


def _alternatives(others: Iterable[Alternative]) -> _Rows:
    """Runner-up tags or labels as they go into the JSON."""
    return [{"name": name, "score": round(score, DIGITS)} for name, score in others]


def _translate(text: str, spans: _Rows, unit: Unit, known: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Rewrite ``start`` and ``end`` of every span in the unit asked for; takes and returns what ``convert`` knows."""
    points = convert(text, (span[side] for span in spans for side in ("start", "end")), unit, known)
    for span in spans:
        span["start"], span["end"] = points[span["start"]], points[span["end"]]
    return max(points.items(), default=known)
