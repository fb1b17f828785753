"""Writes requests: what the service would refuse for its form is refused here already, in the same words."""

import json
from collections.abc import Sequence
from typing import Any, TypedDict, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from fenestra.app.api.offsets import Unit
from fenestra.app.api.schemas import ExplainRequest, Request, TagRequest, describe
from fenestra.client.errors import InvalidRequest

Item = str | Sequence[str]
"""A raw text, or a sentence of words."""
R = TypeVar("R", bound=Request)


class TagOptions(TypedDict, total=False):
    """What of the results is wanted, as in the request of ``POST /tag``."""

    labels: Sequence[str] | None
    """Keep entities of these labels only."""
    min_score: float
    """Drop entities with a lower score."""
    details: bool
    """Also return every token with its tag and score."""
    alternatives: int
    """With ``details``: also the runner-up tags of each token and labels of each entity, at most so many."""
    offsets: Unit
    """Unit of ``start`` and ``end`` in texts; ``codepoint``, as Python counts, unless told otherwise."""
    model: str | None
    """Name of the model; the service's default one without it."""


class ExplainOptions(TypedDict, total=False):
    """What to explain and how, as in the request of ``POST /explain``."""

    tag: str | None
    """What to explain instead of the token's tag: a tag, or a label for the likeliest of its tags there."""
    against: str | None
    """A tag or a label whose score is taken off: every part of the answer is a difference then."""
    alternatives: int
    """Also the runner-up tags of the token, at most so many."""
    offsets: Unit
    """As of :class:`TagOptions`."""
    model: str | None
    """As of :class:`TagOptions`."""


def tag_body(
    text: str | Sequence[str] | None, tokens: Sequence[str] | Sequence[Sequence[str]] | None, options: TagOptions
) -> bytes:
    """Write the body of ``POST /tag``.

    Raises:
        InvalidRequest: it would be refused.
    """
    return _write(TagRequest, {"text": text, "tokens": tokens, **options})


def items_body(items: Sequence[Item], options: TagOptions) -> bytes:
    """Write the body of ``POST /tag`` for texts, or for sentences of words; all are of the kind of the first.

    Raises:
        InvalidRequest: it would be refused.
    """
    if not isinstance(items[0], Sequence):
        raise _wrong(f"expected a text or a list of words, got {type(items[0]).__name__}")
    kind = "text" if isinstance(items[0], str) else "tokens"
    return _write(TagRequest, {kind: items, **options})


def line_of(item: Item, options: TagOptions) -> bytes:
    """Write a line of ``POST /tag/stream``. One that cannot be right goes out, too: its answer says what is wrong."""
    kind = "text" if isinstance(item, str) else "tokens"
    try:
        return _write(TagRequest, {kind: item, **options}) + b"\n"
    except InvalidRequest:
        return (
            json.dumps(
                {kind: _plain(item), **{name: _plain(value) for name, value in options.items()}}, default=lambda _: None
            ).encode()
            + b"\n"
        )


def check_options(options: TagOptions) -> None:
    """Check options before the first text.

    Raises:
        InvalidRequest: they would be refused with every text.
    """
    _write(TagRequest, {"text": "", **options})


def check_text(text: str) -> None:
    """Check that what is called with a text has got one: of several, all but one would be lost.

    Raises:
        InvalidRequest: it has not.
    """
    if not isinstance(text, str):
        raise _wrong(f"text: expected a string, got {type(text).__name__}; for several texts call tag([…])")


def check_items(items: object) -> None:
    """Check that what goes over texts has got several: a string would be taken apart into its characters.

    Raises:
        InvalidRequest: it has got one text.
    """
    if isinstance(items, str | bytes):
        raise _wrong("items: expected an iterable of texts, got one string; for one text call client(text)")


def _wrong(message: str, code: str = "invalid_request") -> InvalidRequest:
    return InvalidRequest(message, code=code)


def explain_body(text: str | None, tokens: Sequence[str] | None, token: int, options: ExplainOptions) -> bytes:
    """Write the body of ``POST /explain``.

    Raises:
        InvalidRequest: it would be refused.
    """
    return _write(ExplainRequest, {"text": text, "tokens": tokens, "token": token, **options})


def _write(kind: type[R], fields: dict[str, Any]) -> bytes:
    """Validate a request, and write what is not left open."""
    given = {name: _plain(value) for name, value in fields.items() if value is not None}
    try:
        return kind.model_validate(given).model_dump_json(exclude_unset=True).encode()
    except ValidationError as error:
        raise _wrong(describe(error)) from None
    except PydanticSerializationError:
        raise _wrong("a string holds half of a surrogate pair, which is not a character", "invalid_unicode") from None


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A sequence as a list, as the schemas want it; anything else as it is."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value
