"""The paths of the service. Each is a few lines of sense; the work is elsewhere."""

from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import Response

from app.api.asking import explain_once, tag_once
from app.api.schemas import (
    ErrorResponse,
    ExplainRequest,
    ExplainResponse,
    Health,
    ModelInfo,
    ModelsResponse,
    ReloadResponse,
    TagRequest,
    TagResponse,
)
from app.api.sending import CLIENT_GONE, PacedResponse, gone_of
from app.api.stream import NDJSON, LinesResponse
from app.edge.body import check_headers, read_json
from app.engine.jobs import ClientGone
from app.engine.service import service_of

router = APIRouter()


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers other than 200, for the OpenAPI document."""
    return {status: {"model": ErrorResponse} for status in statuses}


def _body(schema: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    """What a body looks like, for the OpenAPI document: app.edge.body reads it, not the framework."""
    content = {media_type: {"schema": schema.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/tag",
    tags=["tagging"],
    response_model=TagResponse,
    responses=_refusals(400, 401, 404, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=_body(TagRequest),
)
async def tag(request: Request) -> Response:
    """Find the named entities of texts, or of sentences that are words already."""
    service = service_of(request)
    asked = TagRequest.read(await read_json(request), service.settings)
    return await _respond(request, tag_once(service, asked, request.scope))


@router.post(
    "/explain",
    tags=["tagging"],
    response_model=ExplainResponse,
    responses=_refusals(400, 401, 404, 413, 415, 422, 429, 500, 503, 504),
    openapi_extra=_body(ExplainRequest),
)
async def explain(request: Request) -> Response:
    """Say what each word around a token adds to the score of its tag."""
    service = service_of(request)
    asked = ExplainRequest.read(await read_json(request), service.settings)
    return await _respond(request, explain_once(service, asked, request.scope))


@router.post(
    "/tag/stream",
    tags=["tagging"],
    response_class=Response,
    responses={200: {"content": {NDJSON: {}}}, **_refusals(401, 415, 429, 503)},
    openapi_extra=_body(TagRequest, NDJSON),
)
async def tag_stream(request: Request) -> Response:
    """Answer each line as `POST /tag` would, in order, for as long as lines come."""
    service = service_of(request)
    check_headers(request.headers, NDJSON)
    service.models.get()
    return LinesResponse(service)


@router.get("/models", tags=["tagging"], responses=_refusals(401, 429, 503))
async def models(request: Request) -> ModelsResponse:
    """List the models, with the labels that each can give; the first is the default one."""
    found = service_of(request).models
    default = found.get().name
    return ModelsResponse(
        models=[
            ModelInfo(name=model.name, version=model.version, labels=list(model.labels), default=model.name == default)
            for model in found
        ]
    )


@router.post("/models/{name}/reload", tags=["operation"], responses=_refusals(401, 404, 409, 429, 503))
async def reload(name: str, request: Request) -> ReloadResponse:
    """Read a model's folder again, and serve what is there now if it proves sound."""
    before, now = await service_of(request).models.reload(name)
    return ReloadResponse(name=now.name, version=now.version, previous=before.version)


@router.get("/livez", tags=["operation"], responses=_refusals(503))
async def livez(request: Request) -> Health:
    """Say that the process can answer and its model is not stuck."""
    service_of(request).check_alive()
    return Health(status="alive")


@router.get("/readyz", tags=["operation"], responses=_refusals(503))
async def readyz(request: Request) -> Health:
    """Say that a model is loaded and requests are welcome."""
    service_of(request).check_ready()
    return Health(status="ready")


@router.get("/metrics", tags=["operation"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(service_of(request).metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _respond(request: Request, answer: Awaitable[bytes]) -> Response:
    """Send an answer when it is there, unless the client has hung up."""
    metrics = service_of(request).metrics
    try:
        return PacedResponse(await answer, gone=gone_of(request.scope), metrics=metrics)
    except ClientGone:
        metrics.cancelled()
        return Response(status_code=CLIENT_GONE)
