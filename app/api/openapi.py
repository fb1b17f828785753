"""What the OpenAPI document says of a route and the framework cannot see: its body, its refusals, its headers."""

from typing import Any

from pydantic import BaseModel

from fenestra.app.api.schemas import ErrorResponse


def request_body(schema: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    """The body of a route, for ``openapi_extra``: app/api/json_body.py parses it, not the framework.

    The schema is written in full here; app/pages/document.py gives it its place in the components.
    """
    content = {media_type: {"schema": schema.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def refusals(*statuses: int, kind: type[BaseModel] = ErrorResponse) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for ``responses``; 400, 431 and 500 are possible on every path.

    One of them brings the schema into the document, and the others refer to it: for each that brought it, the framework
    would build a validator, at a millisecond of the start.
    """
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}
    found: dict[int | str, dict[str, Any]] = {status: {"content": content} for status in sorted({400, 431, *statuses})}
    found[500] = {"model": kind}
    return found


def answer_header(name: str, meaning: str) -> dict[str, Any]:
    """A header of an answer, for ``responses``."""
    return {name: {"description": meaning, "schema": {"type": "string"}}}
