"""The Open Inference Protocol V2, as KServe and Triton have it over HTTP: for what speaks to model servers.

Tensors are JSON: texts come as BYTES, and the entities of each go out as BYTES that hold JSON. A path may name the
version of a model: the one that is served, since no other is there.
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic_core import to_json
from starlette.responses import Response

from fenestra.app.api.doors import text_refusals
from fenestra.app.api.json_body import read_body
from fenestra.app.api.kserve_schemas import InferRequest, InferResponse
from fenestra.app.api.openapi import request_body
from fenestra.app.api.rendering import plain_rows
from fenestra.app.api.responses import respond
from fenestra.app.api.row_lists import PART, Part, write_lists
from fenestra.app.api.tagging import read_request, tag_texts
from fenestra.app.engine.models import ServedModel
from fenestra.app.engine.service import service_of
from fenestra.app.errors import Problem
from fenestra.model.progress import parts
from fenestra.model.results import Result
from fenestra.model.version import VERSION

router = APIRouter()

_TAGS: dict[str, Any] = {"tags": ["other tools"]}
_BINARY = "inference-header-content-length"
_TENSOR = {"datatype": "BYTES", "shape": [-1]}
_VERSION = "/v2/models/{name}/versions/{version}"
_HIDDEN: dict[str, Any] = {"include_in_schema": False, "response_model": None}  # the same with a version
Name = Annotated[str, Path(description="Its name, one of `GET /models`.", examples=["english"])]


@router.get("/v2", **_TAGS, responses=text_refusals(401, 429))
async def v2_server() -> dict[str, Any]:
    """Name the server."""
    return {"name": "fenestra", "version": VERSION, "extensions": []}


@router.get("/v2/health/live", **_TAGS, responses=text_refusals(503))
async def v2_live(request: Request) -> dict[str, bool]:
    """Say that the process can answer, as `GET /livez` does."""
    service_of(request).check_alive()
    return {"live": True}


@router.get("/v2/health/ready", **_TAGS, responses=text_refusals(503))
async def v2_ready(request: Request) -> dict[str, bool]:
    """Say that requests are welcome, as `GET /readyz` does: `live` as the protocol has it, `ready` as KServe reads."""
    service_of(request).check_ready()
    return {"live": True, "ready": True}


@router.get("/v2/models/{name}", **_TAGS, responses=text_refusals(401, 404, 422, 429, 503))
@router.get(_VERSION, **_HIDDEN)
async def v2_model(name: Name, request: Request) -> dict[str, Any]:
    """Describe a model: its version and tensors."""
    model = _model(request, name)
    tensors = {"inputs": [{"name": "text", **_TENSOR}], "outputs": [{"name": "entities", **_TENSOR}]}
    return {"name": model.name, "versions": [model.version], "platform": "fenestra", **tensors}


@router.get("/v2/models/{name}/ready", **_TAGS, responses=text_refusals(401, 404, 422, 429, 503))
@router.get(f"{_VERSION}/ready", **_HIDDEN)
async def v2_model_ready(name: Name, request: Request) -> dict[str, Any]:
    """Say that requests to a model are welcome."""
    service_of(request).check_ready()
    return {"name": _model(request, name).name, "ready": True}


@router.post(
    "/v2/models/{name}/infer",
    **_TAGS,
    response_model=InferResponse,
    responses=text_refusals(401, 404, 413, 415, 422, 429, 503, 504),
    openapi_extra=request_body(InferRequest),
)
@router.post(f"{_VERSION}/infer", **_HIDDEN)
async def v2_infer(name: Name, request: Request) -> Response:
    """Find the entities of texts: for each, the `entities` of `POST /tag` as JSON."""
    if _BINARY in request.headers:
        raise Problem("unsupported_media_type", "send tensors as JSON; the binary extension is not supported")
    service = service_of(request)
    asked = await read_request(service, InferRequest, await read_body(request, or_untyped=True))
    model = _model(request, name)
    tensor = asked.inputs[0]
    write = partial(_write, model, asked)
    return await respond(request, tag_texts(service, model, tensor.data, write, request.scope))


def _model(request: Request, name: str) -> ServedModel:
    """The model that a path names, and its version if the path has one.

    Raises:
        Problem: ``not_ready``, ``not_found``.
    """
    model = service_of(request).models.get(name)
    if request.path_params.get("version") not in (None, model.version):
        raise Problem("not_found", "the model is served in another version; GET /models lists them")
    return model


def _write(model: ServedModel, asked: InferRequest, results: list[Result]) -> Iterator[bytes]:
    head = {"model_name": model.name, "model_version": model.version} | ({} if asked.id is None else {"id": asked.id})
    output = {"name": "entities", "datatype": "BYTES", "shape": asked.inputs[0].shape}
    yield to_json(head)[:-1] + b',"outputs":[' + to_json(output)[:-1] + b',"data":'
    yield from write_lists(results, _entities, many=True, as_strings=True)
    yield b"}]}"


def _entities(place: int, result: Result) -> Iterator[Part]:
    for piece in parts(len(result), PART):
        found = result[piece]
        yield len(found), plain_rows(found)
