"""What the doors for clients of other tools share: errors that are a text, labels by other names."""

from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema

from fenestra.app import label_map
from fenestra.app.api.openapi import answer_header, refusals
from fenestra.app.api.rendering import check_labels
from fenestra.app.api.schemas import MAX_LABELS, Answer
from fenestra.app.engine.models import ServedModel
from fenestra.app.settings import Settings
from fenestra.model.label_names import Names, Renames, name_labels


class TextError(Answer):
    """Every answer that is not 2xx."""

    error: str
    """What is wrong and where. It never repeats what was sent; the header `X-Request-ID` finds it in the log."""


class Inner(BaseModel):
    """Base of the objects inside a request."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


def _read_map(value: object) -> dict[str, str | None]:
    """Check the map of a request. It is done in one piece, since errors of parts would repeat what was sent.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, dict) or len(value) > MAX_LABELS:
        raise ValueError(f"should be an object of at most {MAX_LABELS} labels")
    if not all(name is None or (isinstance(name, str) and label_map.is_name(name)) for name in value.values()):
        raise ValueError(f"each name should be null or 1 to {label_map.LONGEST_NAME} printable characters")
    return value


_NAME_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": label_map.LONGEST_NAME}, {"type": "null"}]}
LabelMap = Annotated[
    dict[str, str | None],
    PlainValidator(_read_map),
    WithJsonSchema({"type": "object", "additionalProperties": _NAME_SCHEMA, "maxProperties": MAX_LABELS}),
]


def names_in_answer(
    model: ServedModel, settings: Settings, asked: Renames | None, usual: Renames | None = None
) -> Names:
    """Name the labels of a model as the request says, and else as the settings say.

    Args:
        model: that answers.
        settings: of the service.
        asked: what the request says.
        usual: how the door names labels if neither says anything.

    Raises:
        Problem: ``invalid_request``: the request names a label that the model does not have.
    """
    asked = asked or {}
    check_labels(asked, model.labels, "label_map")
    return name_labels(model.labels, usual or {}, label_map.of_model(settings.label_map, model.name), asked)


text_refusals = partial(refusals, kind=TextError)
"""The error responses of a path, for the OpenAPI document."""
SAYS_LABELS = answer_header(
    label_map.LABELS_HEADER, "What was renamed or dropped, as `PER=PERSON, MISC=`; not there if nothing was."
)
