"""``POST /hf`` and ``/hf/{model}``: the interface of Hugging Face for token classification.

Its clients post to the address that they are given and append nothing, so that a model is chosen by the address. The
tokens are whole words here: of one word, no two parts can disagree. So all strategies that put tokens together come to
the same, which is what ``POST /tag`` finds.
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from fenestra.app import label_map
from fenestra.app.api.doors import SAYS_LABELS, names_in_answer, text_refusals
from fenestra.app.api.huggingface_rows import entities, entities_and_others, tokens
from fenestra.app.api.huggingface_schemas import FoundEntity, FoundToken, HuggingFaceParameters, HuggingFaceRequest
from fenestra.app.api.json_body import read_body
from fenestra.app.api.openapi import request_body
from fenestra.app.api.responses import respond
from fenestra.app.api.row_lists import Part, write_lists
from fenestra.app.api.tagging import read_request, tag_texts
from fenestra.app.engine.service import service_of
from fenestra.model.results import Result
from fenestra.model.tags import OUTSIDE

router = APIRouter()

_IGNORED = (OUTSIDE,)  # as in transformers
_MODEL = "Its name, one of `GET /models`."
_STATUSES = (401, 404, 413, 415, 422, 429, 503, 504)


Found = list[FoundEntity] | list[FoundToken] | list[list[FoundEntity] | list[FoundToken]]
_DOCUMENT: dict[str, Any] = {
    "tags": ["other tools"],
    "response_model": Found,
    "responses": {200: {"headers": SAYS_LABELS}, **text_refusals(*_STATUSES)},
    "openapi_extra": request_body(HuggingFaceRequest),
}


@router.post("/hf", **_DOCUMENT)
async def huggingface(request: Request) -> Response:
    """Find entities as Hugging Face's token classification answers; a list of lists for a list of texts."""
    return await _classify(request, None)


@router.post("/hf/{model}", **_DOCUMENT)
async def huggingface_model(
    model: Annotated[str, Path(description=_MODEL, examples=["english"])], request: Request
) -> Response:
    """As `POST /hf`, with the model of that name."""
    return await _classify(request, model)


async def _classify(request: Request, name: str | None) -> Response:
    service = service_of(request)
    asked = await read_request(service, HuggingFaceRequest, await read_body(request))
    model, wanted = service.models.get(name), asked.parameters or HuggingFaceParameters()
    names = names_in_answer(model, service.settings, wanted.label_map)
    ignored = frozenset(_IGNORED if wanted.ignore_labels is None else wanted.ignore_labels)
    texts = [asked.inputs] if isinstance(asked.inputs, str) else asked.inputs

    def rows(place: int, result: Result) -> Iterator[Part]:
        if wanted.aggregation_strategy == "none":
            return tokens(result, names, ignored)
        if OUTSIDE in ignored:
            return entities(result, names, ignored)
        return entities_and_others(texts[place], result, names, ignored)

    write = partial(write_lists, parts_of=rows, many=not isinstance(asked.inputs, str))
    body = tag_texts(service, model, texts, write, request.scope)
    return await respond(request, body, label_map.labels_header(model.labels, names))
