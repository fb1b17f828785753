"""The schemas of requests and responses: of the service, and of the client (fenestra/client).

Requests are strict: no unknown field, no type conversion. An error message names known fields and positions only,
because everything else would repeat the client's input. Nothing but pydantic is needed here: what reads a body within
the limits of the settings is app/api/reading.py.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from fenestra.app.api.offsets import Unit
from fenestra.app.codes import STATUS

_CODES = ", ".join(f"`{code}` ({status})" for code, status in STATUS.items())
MAX_LABELS = 1000
"""Most labels that a request may name."""
MAX_ALTERNATIVES = 20
"""Most runner-up tags and labels that a request may ask for."""

Word = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, BeforeValidator(lambda value: int(value) if _is_whole(value) else value)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _is_whole(value: object) -> bool:
    """Whether a value is a whole number that is written as 3.0: to JSON Schema, that is an integer."""
    return isinstance(value, float) and value.is_integer()


def _one_or_many(value: object) -> str:
    """Whether a value is one text or a list of texts."""
    return "many" if isinstance(value, list) else "one"


def _flat_or_nested(value: object) -> str:
    """Whether a list is one sentence of words or a list of sentences; an empty list has no sentences."""
    flat = isinstance(value, list) and value and not isinstance(value[0], list)
    return "one" if flat else "many"


# The first error in a list ends its validation: a hundred thousand of them would take half a second to describe.
Texts = Annotated[list[str], Field(fail_fast=True)]
Words = Annotated[list[Word], Field(fail_fast=True)]
Sentences = Annotated[list[Words], Field(fail_fast=True)]
Labels = Annotated[list[str], Field(max_length=MAX_LABELS, fail_fast=True)]
Text = Annotated[Annotated[str, Tag("one")] | Annotated[Texts, Tag("many")], Discriminator(_one_or_many)]
_WORDS_SCHEMA = {"type": "array", "items": {"type": "string", "minLength": 1}}
Tokens = Annotated[
    Annotated[Words, Tag("one")] | Annotated[Sentences, Tag("many")],
    Discriminator(_flat_or_nested),
    WithJsonSchema({"anyOf": [_WORDS_SCHEMA, {"type": "array", "items": _WORDS_SCHEMA}]}),  # an empty list is both
]
_GIVEN: Any = {"not": {"type": "null"}}  # a field that is null counts as one that is not there
_ONE_INPUT: Any = {
    "if": {"required": ["text"], "properties": {"text": _GIVEN}},
    "then": {"properties": {"tokens": {"type": "null"}}},
    "else": {"required": ["tokens"], "properties": {"tokens": _GIVEN}},
}
_ALTERNATIVES_ARE_DETAILS: Any = {
    "if": {"required": ["alternatives"], "properties": {"alternatives": {"minimum": 1}}},
    "then": {"required": ["details"], "properties": {"details": {"const": True}}},
}


class Request(BaseModel):
    """Base of all requests, checked strictly."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    texts_at: ClassVar[tuple[str | int, ...]] = ("text",)
    """Where one text or several are: the field, or the way to it."""
    inner: ClassVar[Mapping[str, type[BaseModel]]] = {}
    """The fields that hold objects; the names in them are checked, too, before an error could repeat one."""


class _OneInput(Request):
    """Exactly one of ``text`` and ``tokens``."""

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        if (getattr(self, "text", None) is None) == (getattr(self, "tokens", None) is None):
            raise ValueError("give exactly one of text and tokens")
        return self


class TagRequest(_OneInput):
    """What to tag, and what of the result is wanted. Give exactly one of ``text`` and ``tokens``."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [_ONE_INPUT, _ALTERNATIVES_ARE_DETAILS],
            "examples": [
                {"text": "Ada Lovelace met Charles Babbage in London."},
                {"text": ["Siemens is based in Munich.", "Paris"], "labels": ["LOC"], "min_score": 0.5},
                {"tokens": [["Ada", "Lovelace", "met", "Babbage", "."]], "details": True},
            ],
        },
    )

    text: Text | None = None
    """Raw text, or a list of texts."""
    tokens: Tokens | None = None
    """A sentence that is words already, or a list of such sentences."""
    labels: Labels | None = None
    """Keep entities of these labels only."""
    min_score: Score = 0.0
    """Drop entities with a lower score."""
    details: bool = False
    """Also return every token with its tag and score."""
    alternatives: Annotated[Whole, Field(ge=0, le=MAX_ALTERNATIVES)] = 0
    """With `details`: also the runner-up tags of each token and labels of each entity, at most so many."""
    offsets: Unit = "codepoint"
    """Unit of ``start`` and ``end``. With ``tokens``, they are token indices whatever is said here."""
    model: str | None = None
    """Name of the model to use, one of ``GET /models``; the first of them without it."""

    @model_validator(mode="after")
    def _alternatives_are_details(self) -> Self:
        if self.alternatives and not self.details:
            raise ValueError("alternatives needs details to be true")
        return self

    @property
    def texts(self) -> list[str] | None:
        """The raw texts as a list; None if the request is of tokens."""
        return [self.text] if isinstance(self.text, str) else self.text

    @property
    def sentences(self) -> list[list[str]]:
        """The sentences of words as a list."""
        tokens: Any = self.tokens or []
        return [tokens] if tokens and isinstance(tokens[0], str) else tokens

    @property
    def items(self) -> Sequence[str | Sequence[str]]:
        """The texts or sentences to tag."""
        texts = self.texts
        return self.sentences if texts is None else texts


class ExplainRequest(_OneInput):
    """Which token's tag to explain, in a text or a sentence of words. Give exactly one of ``text`` and ``tokens``."""

    model_config = ConfigDict(
        json_schema_extra={
            **_ONE_INPUT,
            "examples": [
                {"text": "Ada Lovelace met Charles Babbage in London.", "token": 6},
                {"text": "Siemens is based in Munich.", "token": 0, "against": "LOC", "alternatives": 2},
            ],
        }
    )

    text: str | None = None
    """Raw text."""
    tokens: Words | None = None
    """A sentence that is words already."""
    token: Annotated[Whole, Field(ge=0)]
    """Which token, counted from 0 as in the `tokens` of `POST /tag` with `details`."""
    tag: str | None = None
    """What to explain instead of the token's tag: a tag, or a label for the likeliest of its tags there."""
    against: str | None = None
    """A tag or a label whose score is taken off, to see why it is not that one: every part is a difference then."""
    alternatives: Annotated[Whole, Field(ge=0, le=MAX_ALTERNATIVES)] = 0
    """Also the runner-up tags of the token, at most so many."""
    offsets: Unit = "codepoint"
    """Unit of ``start`` and ``end``. With ``tokens``, they are token indices whatever is said here."""
    model: str | None = None
    """Name of the model to use, one of ``GET /models``; the first of them without it."""

    @property
    def item(self) -> str | list[str]:
        """The text or sentence of the token."""
        return (self.tokens or []) if self.text is None else self.text


class Answer(BaseModel):
    """Base of all parts of responses: the docstring below a field is its description."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Alternative(Answer):
    """What a token or an entity may be instead."""

    name: str
    """A tag of a token, a label of an entity."""
    score: float
    """Its probability."""


class Entity(Answer):
    """A named thing, at ``[start, end)``."""

    start: int
    """Where it begins, in the unit asked for."""
    end: int
    """Where it ends; this place is no longer part of it."""
    label: str
    """What kind of thing it is."""
    text: str
    """The text from start to end; with `tokens`, the words with a space between them."""
    score: float
    """Calibrated probability that place and label are right."""
    alternatives: list[Alternative] | None = None
    """Other labels of the same place, the likeliest first. Only there when they were asked for."""


class Token(Answer):
    """A token with its IOB2 tag, at ``[start, end)``."""

    text: str
    """The word or sign."""
    start: int
    """Where it begins, as for entities."""
    end: int
    """Where it ends, as for entities."""
    tag: str
    """`O`, or `B-` or `I-` and a label."""
    score: float
    """Probability of the tag."""
    alternatives: list[Alternative] | None = None
    """Other tags of the token, the likeliest first. Only there when they were asked for."""


class Result(Answer):
    """What was found in one text or sentence."""

    entities: list[Entity]
    """The named things, by their start."""
    tokens: list[Token] | None = None
    """Every token. Only there when `details` was asked for."""


class Share(Answer):
    """What one place of the window adds to the logit."""

    position: int
    """Where it stands, seen from the token: -C … C."""
    text: str | None
    """The word; none beyond the ends of the sentence."""
    start: int | None
    """Where it begins, as for entities."""
    end: int | None
    """Where it ends, as for entities."""
    share: float
    """What it adds to the logit."""


class ModelName(Answer):
    """Which model answered."""

    name: str
    """Name, as in `model` of a request."""
    version: str
    """Identifies the weights: changes whenever they do."""


class AnswerWarning(Answer):
    """Why some of the results may be of no use, although nothing failed."""

    code: Literal["other_script"]
    """For programs. `other_script`: most letters of a text are of a script that the model's language is not written
    in."""
    message: str
    """What is the matter, for people. It never repeats what was sent."""
    results: list[int]
    """Which results it is about, counted from 0."""


class TagResponse(Answer):
    """One result for each text or sentence, in order."""

    model: ModelName
    """The model that answered."""
    results: list[Result]
    """One for each text or sentence, in order."""
    warnings: list[AnswerWarning] | None = None
    """Only there where a result may be of no use."""


class ExplainResponse(Answer):
    """How the tag of a token came about: `bias` + `document` + the shares of `window` = `logit`."""

    model: ModelName
    """The model that answered."""
    token: Token
    """The token, with its tag, and with `alternatives` if they were asked for."""
    column: str
    """The tag as the network knows it, which may tell single words and ends apart: `S-PER`, `E-PER`."""
    against: str | None = None
    """The tag whose score was taken off, as the network knows it. Only there when it was asked for."""
    method: Literal["exact", "rescale"]
    """`exact` with ReLU, whose active piece is linear; else the rescale rule, which keeps the sum."""
    logit: float
    """The network's score of that tag, before the softmax; less that of `against`, where it was asked for."""
    bias: float
    """What an empty window would score."""
    document: float
    """What the rest of the document adds, and the other tokens of the word in it."""
    window: list[Share]
    """One for each place of the window, from left to right."""


class LineResponse(TagResponse):
    """The answer to one line of a stream."""

    line: int
    """The number of the line that is answered, counted from 1."""


class ReloadResponse(ModelName):
    """What is served from now on."""

    previous: str
    """The version before; the same one if nothing has changed."""


class ModelInfo(ModelName):
    """A model that can be asked for."""

    labels: list[str]
    """The labels it can give."""
    default: bool
    """Whether it answers requests that name no model."""


class ModelsResponse(Answer):
    """The models that can be asked for."""

    models: list[ModelInfo]
    """One for each."""


class Health(Answer):
    """The state of the process."""

    status: Literal["alive", "ready"]
    """`alive` or `ready`."""


class ErrorBody(Answer):
    """What went wrong, for the program, for the reader and for the log."""

    code: Annotated[str, Field(description=f"For programs, one of {_CODES}.")]
    message: str
    """What is wrong and where, for people. It never repeats what was sent."""
    request_id: str
    """What the log calls this request; also the header `X-Request-ID`."""


class ErrorResponse(Answer):
    """Every answer that is not 2xx."""

    error: ErrorBody
    """What went wrong."""


class LineError(ErrorResponse):
    """What is wrong with one line of a stream."""

    line: int
    """The number of the line, counted from 1."""


def describe(error: ValidationError) -> str:
    """What is wrong with a request, in one line; there is at most one error in each list, so they are few."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{_place(entry['loc'])}{_reason(entry['msg'])}" for entry in found)


def _place(path: tuple[int | str, ...]) -> str:
    """Write a path as ``tokens[0][3]: `` or ``parameters.stride: ``."""
    names = name_place(path)
    return f"{names}: " if names else ""


def name_place(path: tuple[int | str, ...]) -> str:
    """Write a path as ``tokens[0][3]`` or ``parameters.stride``, without the names that only the schema has."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path if part not in ("one", "many")]
    return "".join(parts).removeprefix(".")


def _reason(message: str) -> str:
    if "instance of" in message:
        return "the body should be a JSON object"
    return message.removeprefix("Value error, ").replace("Input should", "should").replace("String should", "should")
