"""The schemas of Hugging Face's interface for token classification."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from fenestra.app.api.doors import Inner, LabelMap
from fenestra.app.api.schemas import Answer, Labels, Request, Text, Whole

Strategy = Literal["none", "simple", "first", "average", "max"]
_LONGEST_STRIDE = 1_000_000  # tokens; no tokenizer takes as many at once


class HuggingFaceParameters(Inner):
    """What is wanted of the result. What is null counts as not given."""

    aggregation_strategy: Strategy | None = None
    """`none` for tokens; any other for entities, which they all put together in the same way. Without it, `simple`."""
    ignore_labels: Labels | None = None
    """Labels that are left out, as they are in the answer: `PER` of entities, `B-PER` of tokens. Without it, `O`."""
    stride: Annotated[Whole, Field(ge=0, le=_LONGEST_STRIDE)] | None = None
    """Of no effect: a text is read as a whole, whatever its length."""
    label_map: LabelMap | None = None
    """Other names for labels, over those of `FENESTRA_LABEL_MAP`; null leaves out what has that label."""


class HuggingFaceOptions(Inner):
    """What clients send along. Of no effect: nothing is cached, and a model that is not loaded is a 503."""

    use_cache: bool | None = None
    """Of no effect."""
    wait_for_model: bool | None = None
    """Of no effect."""
    use_gpu: bool | None = None
    """Of no effect."""


class HuggingFaceRequest(Request):
    """A text, or a list of texts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inputs": "Ada Lovelace met Charles Babbage in London."},
                {"inputs": ["Ada met Charles."], "parameters": {"aggregation_strategy": "none"}},
                {"inputs": "Ada met Charles.", "parameters": {"label_map": {"PER": "PERSON"}}},
            ]
        }
    )
    texts_at: ClassVar[tuple[str | int, ...]] = ("inputs",)
    inner: ClassVar[Mapping[str, type[BaseModel]]] = {
        "parameters": HuggingFaceParameters,
        "options": HuggingFaceOptions,
    }

    inputs: Text
    """Raw text, or a list of texts."""
    parameters: HuggingFaceParameters | None = None
    """What is wanted of the result."""
    options: HuggingFaceOptions | None = None
    """Of no effect."""


class FoundEntity(Answer):
    """An entity. Offsets count code points."""

    entity_group: str
    """Its label."""
    score: float
    """Calibrated probability that place and label are right."""
    word: str
    """The text from start to end, as it is."""
    start: int
    """Where it begins."""
    end: int
    """Where it ends; this place is no longer part of it."""


class FoundToken(Answer):
    """A token. Offsets count code points."""

    entity: str
    """`O`, or `B-` or `I-` and a label."""
    score: float
    """Probability of the tag."""
    index: int
    """Which token of the text, counted from 1."""
    word: str
    """The text from start to end, as it is."""
    start: int
    """Where it begins."""
    end: int
    """Where it ends."""
