"""The schemas of corrections and of learning from them."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from fenestra.app.api.offsets import Unit
from fenestra.app.api.schemas import Answer, Request, Whole
from fenestra.model.config import is_label

MOST_LISTED = 1000
_LABEL = r"^[^\s\x00-\x1f\x7f]+$"
Place = Annotated[Whole, Field(ge=0)]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=_LABEL)]


class CorrectedEntity(Request):
    """An entity as it should be, at ``[start, end)``."""

    start: Place
    """Where it begins, in the unit of `offsets`."""
    end: Place
    """Where it ends; this place is no longer part of it."""
    label: Label
    """What kind of thing it is; one of the model's, or a new one."""


class CorrectionRequest(Request):
    """A text with all of its entities."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "She works at Ramp.", "entities": [{"start": 13, "end": 17, "label": "ORG"}]}]
        }
    )
    listed: ClassVar[str] = "entities"

    text: Annotated[str, Field(min_length=1)]
    """The text."""
    entities: Annotated[list[CorrectedEntity], Field(max_length=10_000, fail_fast=True)]
    """All of its entities; they do not overlap."""
    offsets: Unit = "codepoint"
    """Unit of `start` and `end`."""

    @model_validator(mode="after")
    def _no_outside(self) -> Self:
        if any(entity.label == "O" for entity in self.entities):
            raise ValueError("O is no label: leave out what is no entity")
        if not all(is_label(entity.label) for entity in self.entities):  # no model could have it
            raise ValueError("a label holds a sign that cannot be printed")
        return self


class LearnRequest(Request):
    """How to learn from the corrections."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"force": True}]})

    force: bool = False
    """Serve the new model even if it forgot more than it may."""
    seed: Annotated[Whole, Field(ge=0, lt=2**31)] = 1
    """Of all that is drawn: the same corrections and seed give the same model."""


class CorrectedText(Answer):
    """An entity of a correction."""

    start: int
    """Where it begins, in the unit asked for."""
    end: int
    """Where it ends; this place is no longer part of it."""
    label: str
    """What kind of thing it is."""
    text: str
    """The text from start to end."""


class CorrectionResponse(Answer):
    """A correction that is kept."""

    id: str
    """Names it."""
    created: str
    """When it was made or made anew; ISO 8601, UTC."""
    text: str
    """The text."""
    entities: list[CorrectedText]
    """All of its entities, by their start."""


class CorrectionsResponse(Answer):
    """Corrections, the newest first."""

    total: int
    """How many there are."""
    corrections: list[CorrectionResponse]
    """Those that were asked for."""


class Serves(Answer):
    """What answers now."""

    version: str
    """Of the model."""
    learned: bool
    """Whether it was learnt here."""


class LearnResponse(Answer):
    """How a learning stands."""

    model: str
    """Name of the model."""
    state: Literal["idle", "running", "done", "refused", "failed", "cancelled"]
    """`idle` if nothing was learnt yet; `done` if the new model serves; `refused` if it forgot too much."""
    corrections: int
    """How many there are now."""
    serves: Serves
    """What answers now."""
    undo: str | None
    """The version that `POST …/undo` goes back to; null if there is none."""
    started: str | None
    """When the last learning began; ISO 8601, UTC; null if there was none."""
    seconds: float | None
    """How long it took, or has taken so far."""
    stage: str | None
    """While it runs: `starting`, `held out`, `learning`, `checking` or `swapping`; else null."""
    version: str | None
    """The version that it made; null unless it made one."""
    reason: str | None
    """Why it was refused or failed; else null."""
    figures: dict[str, Any] | None
    """F1 before and after, on the corrections and on others that were held out, and points lost elsewhere, null where
    nobody knows."""
