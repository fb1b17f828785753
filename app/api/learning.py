"""Routes to correct entities, and to let a model learn from corrections."""

import threading
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from fenestra.app.api.json_body import Bounds, parse, read_body
from fenestra.app.api.learning_schemas import (
    MOST_LISTED,
    CorrectedEntity,
    CorrectedText,
    CorrectionRequest,
    CorrectionResponse,
    CorrectionsResponse,
    LearnRequest,
    LearnResponse,
)
from fenestra.app.api.offsets import Unit, convert, points_of
from fenestra.app.api.openapi import refusals, request_body
from fenestra.app.api.reading import read_strictly
from fenestra.app.api.schemas import ReloadResponse
from fenestra.app.api.tagging import read_request
from fenestra.app.engine.learning import LearnOptions, on_disk
from fenestra.app.engine.models import run_in_thread
from fenestra.app.engine.service import Service, service_of
from fenestra.app.errors import Problem
from fenestra.app.learning.corrections import Correction, Corrections, Span

router = APIRouter(prefix="/models/{name}", tags=["learning"])
Name = Annotated[str, Path(description="Its name, one of `GET /models`.", examples=["english"])]
_LISTING = threading.Lock()


@router.post(
    "/corrections", status_code=201, response_model=CorrectionResponse,
    responses=refusals(401, 404, 413, 415, 422, 429, 503), openapi_extra=request_body(CorrectionRequest),
)  # fmt: skip
async def correct(name: Name, request: Request) -> Response:
    """Keep a text with the entities that it should have; of a text that was corrected before, the new ones count."""
    service = service_of(request)
    corrections = service.learning.corrections(name)
    asked = await service.work.aside(partial(_read, service, await read_body(request)))
    spans = await service.work.aside(partial(spans_of, asked))
    kept = await on_disk(corrections.add, asked.text, spans)
    return _json(await run_in_thread(_written, kept, asked.offsets), 201)


@router.get("/corrections", response_model=CorrectionsResponse, responses=refusals(401, 404, 422, 429, 503))
async def corrections(
    name: Name,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="How many to list.")] = 100,
    skip: Annotated[int, Query(ge=0, description="How many of the newest to leave out.")] = 0,
    offsets: Annotated[Unit, Query(description="Unit of `start` and `end`.")] = "codepoint",
) -> Response:
    """List the corrections, the newest first."""
    kept = service_of(request).learning.corrections(name)
    return _json(await on_disk(_listed, kept, slice(skip, skip + limit), offsets))


@router.delete("/corrections/{key}", response_model=CorrectionResponse, responses=refusals(401, 404, 422, 429, 503))
async def forget(
    name: Name, key: Annotated[str, Path(description="Id of the correction.")], request: Request
) -> Response:
    """Forget a correction, its text too. A model that has learnt from it stays as it is: learn again, or undo."""
    gone = await on_disk(service_of(request).learning.corrections(name).remove, key)
    return _json(await run_in_thread(_written, gone, "codepoint"))


@router.post(
    "/learn", status_code=202, response_model=LearnResponse,
    responses=refusals(401, 404, 409, 413, 415, 422, 429, 501, 503), openapi_extra=request_body(LearnRequest),
)  # fmt: skip
async def learn(name: Name, request: Request) -> LearnResponse:
    """Learn from all corrections, in the background; the new model serves if it has not forgotten too much.

    It goes on from the model that the settings name, whichever serves. One learning runs at a time.
    """
    service = service_of(request)
    asked = await read_request(service, LearnRequest, await read_body(request))
    return LearnResponse(**await service.learning.begin(name, LearnOptions(asked.force, asked.seed)))


@router.get("/learn", response_model=LearnResponse, responses=refusals(401, 404, 422, 429, 503))
async def learning(name: Name, request: Request) -> LearnResponse:
    """Say how the learning that runs, or the last one, stands."""
    return LearnResponse(**await service_of(request).learning.state(name))


@router.delete("/learn", response_model=LearnResponse, responses=refusals(401, 404, 409, 422, 429, 503))
async def cancel(name: Name, request: Request) -> LearnResponse:
    """End the learning that runs; the model before serves on."""
    return LearnResponse(**await service_of(request).learning.cancel(name))


@router.post("/undo", response_model=ReloadResponse, responses=refusals(401, 404, 409, 422, 429, 503))
async def undo(name: Name, request: Request) -> ReloadResponse:
    """Serve the model before the last one that was learnt."""
    old, new = await service_of(request).learning.undo(name)
    return ReloadResponse(name=new.name, version=new.version, previous=old.version)


def _read(service: Service, raw: bytes) -> CorrectionRequest:
    """Validate a correction; the names of fields are looked at first, before an error could repeat one.

    Raises:
        Problem: it is not valid.
    """
    value = parse(raw, Bounds.of(service.settings))
    entities = value.get(CorrectionRequest.listed) if isinstance(value, dict) else None
    known = CorrectedEntity.model_fields
    for entity in entities if isinstance(entities, list) else ():
        if isinstance(entity, Mapping) and not entity.keys() <= known.keys():
            names = ", ".join(known)
            raise Problem("unknown_or_duplicate_field", f"an entity has an unknown field; the known ones are {names}")
    return read_strictly(CorrectionRequest, value, service.settings)


def spans_of(asked: CorrectionRequest) -> tuple[Span, ...]:
    """The entities in code points, by their start.

    Raises:
        Problem: ``invalid_request``: one is not in the text, holds half of a character, is blank, or two overlap.
    """
    counts = (count for entity in asked.entities for count in (entity.start, entity.end))
    place = points_of(asked.text, counts, asked.offsets)
    found: list[Span] = []
    for number, entity in sorted(enumerate(asked.entities), key=lambda pair: pair[1].start):
        start, end = place.get(entity.start), place.get(entity.end)
        if start is None or end is None or not start < end:
            raise Problem("invalid_request", f"entities[{number}]: start and end are no part of the text")
        if not asked.text[start:end].strip():
            raise Problem("invalid_request", f"entities[{number}]: holds blanks alone")
        if found and start < found[-1][1]:
            raise Problem("invalid_request", f"entities[{number}]: overlaps with another one")
        found.append((start, end, entity.label))
    return tuple(found)


def shown(kept: Correction, unit: Unit) -> CorrectionResponse:
    """A correction as an answer has it."""
    place = convert(kept.text, [point for start, end, _ in kept.entities for point in (start, end)], unit)
    entities = [
        CorrectedText(start=place[start], end=place[end], label=label, text=kept.text[start:end])
        for start, end, label in kept.entities
    ]
    return CorrectionResponse(id=kept.id, created=kept.created, text=kept.text, entities=entities)


def _written(kept: Correction, unit: Unit) -> bytes:
    return shown(kept, unit).model_dump_json().encode()


def _listed(kept: Corrections, part: slice, unit: Unit) -> bytes:
    """Read and write a list; a million entities take seconds and much memory, so this runs on a thread, one at a time.

    Each call into C is bounded by one text.
    """
    with _LISTING:
        found = kept.all()
        some = found[::-1][part]
        return b'{"total":%d,"corrections":[%b]}' % (len(found), b",".join(_written(one, unit) for one in some))


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")
