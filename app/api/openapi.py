"""What the OpenAPI document says of a route and the framework cannot see: its body, and its refusals."""

from typing import Any

from pydantic import BaseModel

from fenestra.app.api.schemas import ErrorResponse


def request_body(schema: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    """The body of a route, for ``openapi_extra``: app/api/json_body.py parses it, not the framework.

    The schema is written in full here; app/pages/document.py gives it its place in the components.
    """
    content = {media_type: {"schema": schema.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, for ``responses``; 400, 431 and 500 are possible on every path."""
    return {status: {"model": ErrorResponse} for status in sorted({400, 431, 500, *statuses})}
