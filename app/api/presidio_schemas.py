"""The schemas of Presidio's interface."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from fenestra.app.api.doors import LabelMap
from fenestra.app.api.schemas import Answer, Labels, Request, Score, Text, Texts, Whole

_MOST_ALLOWED = 10_000
_MOST_FLAGS = 0xFFFF  # more than the module re has


def _none_wanted(value: list[Any] | None) -> list[Any] | None:
    """Refuse recognizers that the request brings along: leaving them out would leave what they find in the text."""
    if value:
        raise ValueError("recognizers that a request brings along are not run here; leave the field out")
    return value


class AnalyzeRequest(Request):
    """A text, or a list of texts. What is null counts as not given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "Ada Lovelace met Charles Babbage in London.", "language": "en"},
                {"text": ["Ada met Charles.", "London"], "language": "en", "entities": ["PERSON"]},
                {"text": "Ada met Charles.", "language": "en", "score_threshold": 0.5, "allow_list": ["Ada"]},
            ]
        }
    )

    text: Text
    """Raw text, or a list of texts."""
    language: str
    """What the text is written in, such as `en`; the first model that reads it answers."""
    entities: Labels | None = None
    """Types to look for; all that there are, if none are named."""
    score_threshold: Score | None = None
    """Drop entities with a lower score."""
    return_decision_process: bool | None = None
    """Whether each entity comes with an explanation: by which label and model it was found."""
    allow_list: Annotated[list[str], Field(max_length=_MOST_ALLOWED, fail_fast=True)] | None = None
    """Texts of entities that are left out."""
    allow_list_match: Literal["exact", "regex"] | None = None
    """How they are compared: `exact`, as it is without it. Regular expressions are refused: one can take for ever."""
    ad_hoc_recognizers: Annotated[
        list[Any] | None, AfterValidator(_none_wanted), Field(json_schema_extra={"maxItems": 0})
    ] = None
    """Refused, unless there are none: only what the model finds is found here."""
    label_map: LabelMap | None = None
    """Other names for labels, over those of `FENESTRA_LABEL_MAP`; null leaves out what has that label."""
    correlation_id: str | None = None
    """Of no effect: the header `X-Request-ID` is in the log."""
    context: Texts | None = None
    """Of no effect: such words raise the score of patterns, and the model reads the words around an entity anyway."""
    regex_flags: Annotated[Whole, Field(ge=0, le=_MOST_FLAGS)] | None = None
    """Of no effect: of regular expressions, which there are none."""
    trace: bool | None = None
    """Of no effect."""


class AnalysisExplanation(Answer):
    """How an entity was found; the fields are Presidio's."""

    recognizer: str
    """Always the same."""
    original_score: float
    """Calibrated probability that place and type are right."""
    score: float
    """The same: nothing changes it."""
    textual_explanation: str
    """The label and the model."""
    pattern_name: None
    """Of patterns."""
    pattern: None
    """Of patterns."""
    score_context_improvement: int
    """Of patterns."""
    supportive_context_word: str
    """Of patterns."""
    validation_result: None
    """Of patterns."""
    regex_flags: None
    """Of patterns."""


class Recognized(Answer):
    """An entity, at `[start, end)` in code points."""

    analysis_explanation: AnalysisExplanation | None
    """Null unless it was asked for."""
    end: int
    """Where it ends; this place is no longer part of it."""
    entity_type: str
    """Its type, such as `PERSON`."""
    score: float
    """Calibrated probability that place and type are right."""
    start: int
    """Where it begins."""
