"""The interface of Presidio's analyzer, for what speaks to one: remote recognizers, gateways, the anonymizer's callers.

A request names a language; the first model that reads it answers. Offsets count code points, as in Presidio itself.
"""

from collections.abc import Iterable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from fenestra.app import label_map
from fenestra.app.api.doors import SAYS_LABELS, names_in_answer, text_refusals
from fenestra.app.api.json_body import read_body
from fenestra.app.api.openapi import answer_header, request_body
from fenestra.app.api.presidio_rows import Filter, found_entities
from fenestra.app.api.presidio_schemas import AnalyzeRequest, Recognized
from fenestra.app.api.responses import respond
from fenestra.app.api.row_lists import write_lists
from fenestra.app.api.tagging import read_request, tag_texts
from fenestra.app.engine.models import ServedModel
from fenestra.app.engine.service import Service, service_of
from fenestra.app.errors import Problem
from fenestra.model.label_names import PRESIDIO

router = APIRouter()

SAYS_TYPES = answer_header(label_map.TYPES_HEADER, "The types that were looked for, as `LOCATION, PERSON`.")
RECOGNIZER = "FenestraRecognizer"
"""By this name the recognizer goes, in process and here."""
_MOST = 50  # types that an error names
Language = Annotated[str | None, Query(description="What texts are written in, such as `en`.")]
_STATUSES = (401, 413, 415, 422, 429, 503, 504)


@router.post(
    "/analyze",
    tags=["other tools"],
    response_model=list[Recognized] | list[list[Recognized]],
    responses={200: {"headers": SAYS_LABELS | SAYS_TYPES}, **text_refusals(*_STATUSES)},
    openapi_extra=request_body(AnalyzeRequest),
)
async def analyze(request: Request) -> Response:
    """Find entities as Presidio's analyzer answers; a list of lists for a list of texts."""
    service = service_of(request)
    asked = await read_request(service, AnalyzeRequest, await read_body(request))
    model = _models_of(service, asked.language)[0]
    names = names_in_answer(model, service.settings, asked.label_map, PRESIDIO)
    types = _types(names.values(), asked.entities)
    wanted = Filter(names, types, asked.score_threshold or 0.0, _allowed(asked))
    explainer = (RECOGNIZER, f"{model.name} {model.version}") if asked.return_decision_process else None
    rows = partial(found_entities, wanted, explainer)
    many = not isinstance(asked.text, str)
    texts = [asked.text] if isinstance(asked.text, str) else asked.text
    body = tag_texts(service, model, texts, partial(write_lists, parts_of=rows, many=many), request.scope)
    return await respond(request, body, label_map.labels_header(model.labels, names) | label_map.types_header(types))


@router.get("/supportedentities", tags=["other tools"], responses=text_refusals(401, 422, 429, 503))
async def supportedentities(request: Request, language: Language = None) -> list[str]:
    """List the types of entities that a language's model finds; without a language, those of all models."""
    service = service_of(request)
    names = [names_in_answer(model, service.settings, None, PRESIDIO) for model in _models_of(service, language)]
    return sorted({name for those in names for name in those.values()})


@router.get("/recognizers", tags=["other tools"], responses=text_refusals(401, 422, 429, 503))
async def recognizers(request: Request, language: Language = None) -> list[str]:
    """List the recognizers of a language, as Presidio names them: there is one."""
    _models_of(service_of(request), language)
    return [RECOGNIZER]


@router.get(
    "/health",
    tags=["other tools"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **text_refusals(503)},
)
@router.api_route("/health", methods=["GET", "HEAD"], include_in_schema=False)
async def health(request: Request) -> PlainTextResponse:
    """Say that requests are welcome, as `GET /readyz` does, in words: clients of Presidio ask here."""
    service_of(request).check_ready()
    return PlainTextResponse("Fenestra is up")


def _models_of(service: Service, language: str | None) -> list[ServedModel]:
    """The models that read a language, at least one; all, if none is named.

    Raises:
        Problem: ``not_ready``; ``invalid_request``: no model reads it.
    """
    service.models.get()
    found = [model for model in service.models if language in (None, model.language)]
    if not found:
        known = ", ".join(sorted({model.language for model in service.models}))
        raise Problem("invalid_request", f"language: no model reads it; they read {known}")
    return found


def _types(found: Iterable[str], asked: list[str] | None) -> list[str]:
    """The types that are looked for.

    Raises:
        Problem: ``invalid_request``: the model finds none of those that were asked for.
    """
    known = sorted(set(found))
    wanted = frozenset(asked or known)
    types = [name for name in known if name in wanted]
    if asked and not types:
        raise Problem("invalid_request", f"entities: none of them is found here; there are {', '.join(known[:_MOST])}")
    return types


def _allowed(asked: AnalyzeRequest) -> frozenset[str]:
    """The texts that are left out.

    Raises:
        Problem: ``invalid_request``: they are regular expressions.
    """
    if asked.allow_list and asked.allow_list_match == "regex":
        raise Problem("invalid_request", "allow_list_match: regular expressions are not matched here; send exact texts")
    return frozenset(asked.allow_list or ())
