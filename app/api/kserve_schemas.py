"""The schemas of the Open Inference Protocol V2: a tensor of texts in, a tensor of JSON out."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fenestra.app.api.doors import Inner
from fenestra.app.api.schemas import Answer, Request, Texts, Whole

_MOST_DIMENSIONS = 8
_LONGEST_DIMENSION = 1_000_000
Shape = Annotated[
    list[Annotated[Whole, Field(ge=0, le=_LONGEST_DIMENSION)]], Field(max_length=_MOST_DIMENSIONS, fail_fast=True)
]
Parameters = dict[str, Any]


class InputTensor(Inner):
    """The texts."""

    name: Literal["text"]
    """Always the same."""
    shape: Shape
    """Of any dimensions, whose product is the number of texts: `[2]`, `[2, 1]`."""
    datatype: Literal["BYTES"]
    """Always the same."""
    data: Texts
    """The texts, one after the other."""
    parameters: Parameters | None = None
    """Of no effect."""

    @model_validator(mode="after")
    def _as_many_as_the_shape_says(self) -> Self:
        if math.prod(self.shape) != len(self.data):
            raise ValueError("data should hold as many texts as shape says")
        return self


class WantedTensor(Inner):
    """A tensor that is wanted; there is one."""

    name: Literal["entities"]
    """Always the same."""
    parameters: Parameters | None = None
    """Of no effect."""


class InferRequest(Request):
    """A tensor of texts. What is null counts as not given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Ada is in London."]}]},
                {"inputs": [{"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": ["Ada", "London"]}]},
                {
                    "id": "42",
                    "inputs": [{"name": "text", "shape": [0], "datatype": "BYTES", "data": []}],
                    "outputs": [{"name": "entities"}],
                },
            ]
        }
    )
    texts_at: ClassVar[tuple[str | int, ...]] = ("inputs", 0, "data")
    inner: ClassVar[Mapping[str, type[BaseModel]]] = {"inputs": InputTensor, "outputs": WantedTensor}

    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1, fail_fast=True)]
    """One tensor of texts."""
    id: str | None = None
    """Comes back in the answer."""
    model_name: str | None = None
    """Of no effect, the path names the model; KServe's client sends it along."""
    outputs: Annotated[list[WantedTensor], Field(max_length=1, fail_fast=True)] | None = None
    """Of no effect: there is one tensor."""
    parameters: Parameters | None = None
    """Of no effect."""


class OutputTensor(Answer):
    """What was found."""

    name: Literal["entities"]
    """Always the same."""
    datatype: Literal["BYTES"]
    """Always the same."""
    shape: list[int]
    """That of the texts."""
    data: list[str]
    """For each text, JSON: the `entities` of `POST /tag`."""


class InferResponse(Answer):
    """A tensor of JSON."""

    model_name: str
    """Which model answered."""
    model_version: str
    """Its version."""
    id: str | None = None
    """That of the request; not there if it had none."""
    outputs: list[OutputTensor]
    """One tensor."""
