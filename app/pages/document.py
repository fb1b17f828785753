"""Writes the OpenAPI document, with what the framework leaves out."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from pydantic_core import to_json

_Json = dict[str, Any]
_PLACE = "#/components/schemas/"
_WITH_LABELS = ("TagRequest",)


def document(app: FastAPI, labels: list[str]) -> bytes:
    """Write the document; the first time it takes a tenth of a second.

    API keys are declared as optional: whether one is required is up to the settings.

    Args:
        app: the application.
        labels: those of the models that are loaded now.
    """
    found: _Json = deepcopy(app.openapi())
    found["servers"] = [{"url": "."}]  # where the document is, under whatever prefix a proxy serves it
    found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{}, {"key": []}]
    _move_to_components(found)
    if labels:
        for name in _WITH_LABELS:
            schemas = found["components"]["schemas"]
            schemas[name]["properties"]["labels"]["anyOf"][0]["items"]["enum"] = labels
    return to_json(found)


def _move_to_components(found: _Json) -> None:
    """Put the schemas of request bodies where those of responses are: programs that write clients name them so."""
    schemas = found["components"]["schemas"]
    for media in _bodies(found):
        schema = media["schema"]
        if "title" in schema:
            schemas |= {name: _referring(part) for name, part in schema.pop("$defs", {}).items()}
            schemas[schema["title"]] = _referring(schema)
            media["schema"] = {"$ref": _PLACE + schema["title"]}


def _bodies(found: _Json) -> Iterator[_Json]:
    """The media types of all request bodies."""
    for operations in found["paths"].values():
        for operation in operations.values():
            yield from operation.get("requestBody", {}).get("content", {}).values()


def _referring(part: Any) -> Any:  # noqa: ANN401
    """The same part of a schema, whose references lead to the components."""
    if isinstance(part, list):
        return [_referring(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: value.replace("#/$defs/", _PLACE) if key == "$ref" and isinstance(value, str) else _referring(value)
        for key, value in part.items()
    }
