"""The routes of the service."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from fenestra.app.api.json_body import check_headers, read_body
from fenestra.app.api.ndjson import NDJSON, NdjsonResponse
from fenestra.app.api.openapi import refusals, request_body
from fenestra.app.api.responses import client_gone, disconnect_check, respond
from fenestra.app.api.schemas import (
    ExplainRequest,
    ExplainResponse,
    Health,
    LineError,
    LineResponse,
    ModelInfo,
    ModelsResponse,
    ReloadResponse,
    TagRequest,
    TagResponse,
)
from fenestra.app.api.tagging import explain_once, read_request, tag_once
from fenestra.app.engine.jobs import ClientGone
from fenestra.app.engine.service import service_of

router = APIRouter()
# Probes answer GET and HEAD by these routes; the routes that follow them are for the OpenAPI document.
_PROBE: dict[str, Any] = {"methods": ["GET", "HEAD"], "include_in_schema": False}


STREAM_EXAMPLES: dict[str, Any] = {
    "an answer": {
        "value": {"line": 1, "model": {"name": "english", "version": "847409028300"}, "results": [{"entities": []}]}
    },
    "a refusal": {
        "value": {
            "line": 2,
            "error": {"code": "bad_json", "message": "the body is not valid JSON …", "request_id": "5f0c"},
        }
    },
}
TAGS = [
    {"name": "tagging", "description": "Finds named entities."},
    {"name": "learning", "description": "Corrects entities, and lets models learn from that."},
    {"name": "operation", "description": "For those who run the service."},
    {"name": "other tools", "description": "The interfaces of other tools, for their clients."},
]
"""The groups of operations in the OpenAPI document."""

_LINE = {"oneOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (LineResponse, LineError)]}


@router.post(
    "/tag",
    tags=["tagging"],
    response_model=TagResponse,
    responses=refusals(401, 404, 413, 415, 422, 429, 503, 504),
    openapi_extra=request_body(TagRequest),
)
async def tag(request: Request) -> Response:
    """Find the named entities of texts, or of sentences that are words already."""
    service = service_of(request)
    tag_request = await read_request(service, TagRequest, await read_body(request))
    return await respond(request, tag_once(service, tag_request, request.scope))


@router.post(
    "/explain",
    tags=["tagging"],
    response_model=ExplainResponse,
    responses=refusals(401, 404, 413, 415, 422, 429, 503, 504),
    openapi_extra=request_body(ExplainRequest),
)
async def explain(request: Request) -> Response:
    """Say what each word around a token adds to the score of its tag."""
    service = service_of(request)
    explain_request = await read_request(service, ExplainRequest, await read_body(request))
    return await respond(request, explain_once(service, explain_request, request.scope))


@router.post(
    "/tag/stream",
    tags=["tagging"],
    response_class=Response,
    responses={
        200: {
            "description": "A line for each line, in order; the schema is that of one line",
            "model": LineResponse | LineError,
            "content": {NDJSON: {"schema": _LINE, "examples": STREAM_EXAMPLES}},
        },
        **refusals(401, 415, 429, 503),
    },
    openapi_extra=request_body(TagRequest, NDJSON),
)
async def tag_stream(request: Request) -> Response:
    """Answer each line as `POST /tag` would, in order, for as long as lines come.

    A line in is an object as for `POST /tag`; a key that is not one of its fields is refused. A line out holds the
    number of the line that it answers in `line`, counted from 1, and beside it `model` and `results`, or `error`. The
    other lines go on after an error, and empty lines get no answer. The status is 200 whatever the lines say.

    When the service stops, the last line is an error `not_ready`: send the line that it names and those after it again.
    A stream is one request to the rate limit. All streams together leave half of the queue to other requests, and wait
    for room where those are refused.
    """
    service = service_of(request)
    check_headers(request.headers, NDJSON)
    service.models.get()
    return NdjsonResponse(service)


@router.get("/models", tags=["tagging"], responses=refusals(401, 429, 503))
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


@router.post(
    "/models/{name}/reload",
    tags=["operation"],
    response_model=ReloadResponse,
    responses=refusals(401, 404, 409, 422, 429, 503),
)
async def reload(
    name: Annotated[str, Path(description="Its name, one of `GET /models`.", examples=["english"])], request: Request
) -> ReloadResponse | Response:
    """Read a model's folder again, and serve what is there now if it proves sound; if not, the one before serves on.

    Requests for the same model share a reload that has not begun; if all of their clients disconnect, it is dropped.
    """
    service = service_of(request)
    try:
        old, new = await service.models.reload(name, disconnect_check(request.scope))
    except ClientGone:
        return client_gone(service)
    return ReloadResponse(name=new.name, version=new.version, previous=old.version)


@router.get("/livez", tags=["operation"], responses=refusals(503))
@router.api_route("/livez", **_PROBE)
async def livez(request: Request) -> Health:
    """Say that the process can answer and its model is not stuck."""
    service_of(request).check_alive()
    return Health(status="alive")


@router.get("/readyz", tags=["operation"], responses=refusals(503))
@router.api_route("/readyz", **_PROBE)
async def readyz(request: Request) -> Health:
    """Say that a model is loaded and requests are welcome."""
    service_of(request).check_ready()
    return Health(status="ready")


@router.get(
    "/metrics",
    tags=["operation"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **refusals(401)},
)
async def metrics(request: Request) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(await service_of(request).exposition(), media_type=CONTENT_TYPE_LATEST)
