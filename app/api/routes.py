"""The paths of the service. Each is a few lines of sense; the work is elsewhere."""

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from app.api.answers import check_labels, tag_answer
from app.api.schemas import ErrorResponse, Health, ModelInfo, ModelsResponse, TagRequest, TagResponse
from app.edge.body import read_json
from app.engine.service import service_of

router = APIRouter()


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers other than 200, for the OpenAPI document."""
    return {status: {"model": ErrorResponse} for status in statuses}


# The body is read by app.edge.body and not by the framework, so the document is told what it looks like.
_TAG_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": TagRequest.model_json_schema()}}}
}


@router.post(
    "/tag",
    tags=["tagging"],
    response_model=TagResponse,
    responses=_refusals(400, 404, 413, 415, 422, 500, 503, 504),
    openapi_extra=_TAG_BODY,
)
async def tag(request: Request) -> Response:
    """Find the named entities of texts, or of sentences that are words already."""
    service = service_of(request)
    asked = TagRequest.read(await read_json(request), service.settings)
    model = service.model(asked.model)
    check_labels(asked.labels, model.labels)
    texts = asked.texts
    analyses = await (model.inference.sentences(asked.sentences) if texts is None else model.inference.texts(texts))
    service.metrics.tagged(analyses)
    return Response(tag_answer(asked, analyses, model.name, model.version), media_type="application/json")


@router.get("/models", tags=["tagging"], responses=_refusals(503))
async def models(request: Request) -> ModelsResponse:
    """List the models, with the labels that each can give."""
    model = service_of(request).model()
    listed = ModelInfo(name=model.name, version=model.version, labels=list(model.labels), default=True)
    return ModelsResponse(models=[listed])


@router.get("/livez", tags=["operation"])
async def livez() -> Health:
    """Say that the process can answer."""
    return Health(status="alive")


@router.get("/readyz", tags=["operation"], responses=_refusals(503))
async def readyz(request: Request) -> Health:
    """Say that a model is loaded and requests are welcome."""
    service_of(request).model()
    return Health(status="ready")


@router.get("/metrics", tags=["operation"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(service_of(request).metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
