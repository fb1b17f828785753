"""What can be asked of the service, one request each."""

from collections.abc import Sequence
from urllib.parse import quote

from fenestra.app.api.schemas import ExplainResponse, ModelInfo, ModelsResponse, ReloadResponse, TagResponse
from fenestra.client.calls import Address, Steps, ask
from fenestra.client.requests import ExplainOptions, TagOptions, explain_body, tag_body


def tag(
    address: Address,
    text: str | Sequence[str] | None,
    tokens: Sequence[str] | Sequence[Sequence[str]] | None,
    options: TagOptions,
) -> Steps[TagResponse]:
    """``POST /tag``."""
    return (yield from ask(address.post("/tag", tag_body(text, tokens, options)), address.retries)).read(TagResponse)


def explain(
    address: Address, text: str | None, tokens: Sequence[str] | None, token: int, options: ExplainOptions
) -> Steps[ExplainResponse]:
    """``POST /explain``."""
    body = explain_body(text, tokens, token, options)
    return (yield from ask(address.post("/explain", body), address.retries)).read(ExplainResponse)


def models(address: Address) -> Steps[list[ModelInfo]]:
    """``GET /models``."""
    return (yield from ask(address.get("/models"), address.retries)).read(ModelsResponse).models


def reload(address: Address, name: str) -> Steps[ReloadResponse]:
    """``POST /models/{name}/reload``; made again only if it certainly has not reached the service."""
    call = address.post(f"/models/{quote(name, safe='')}/reload", repeatable=False)
    return (yield from ask(call, address.retries)).read(ReloadResponse)


def ready(address: Address) -> Steps[bool]:
    """``GET /readyz``, once."""
    reply = yield address.get("/readyz")
    assert reply is not None
    return reply.error() is None
