"""Tags or explains the texts of one valid request, and renders the response."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any

from starlette.types import Scope

from fenestra.app.api.reading import PlainLimits, R, read_now
from fenestra.app.api.rendering import check_labels, explain_answer, tag_answer
from fenestra.app.api.responses import disconnect_check
from fenestra.app.api.schemas import ExplainRequest, TagRequest
from fenestra.app.engine.jobs import Done, Item, Job, Pieces, TagsText, Works
from fenestra.app.engine.models import ServedModel
from fenestra.app.engine.service import Service
from fenestra.app.errors import Problem
from fenestra.app.observability.traces import trace_of
from fenestra.model.errors import InputError
from fenestra.model.explain import Explanation
from fenestra.model.progress import Progress
from fenestra.model.results import Result

SHORT_BYTES = 1024
"""Parsed at once."""
LONG_BYTES = 16 * 1024
"""Beyond it, parsing takes too long for the event loop."""


async def read_request(service: Service, kind: type[R], raw: bytes, *, in_turn: bool = False) -> R:
    """Parse and validate a body, or a line of a stream, without keeping the event loop busy.

    Args:
        service: whose settings bound the request.
        kind: of request.
        raw: the JSON.
        in_turn: whether even a short one waits for its turn, as one of many lines does.

    Raises:
        Problem: it is not a valid request.
    """
    work = partial(read_now, kind, raw, service.settings, PlainLimits.of(service.settings))
    if len(raw) <= SHORT_BYTES and not in_turn:
        return work()
    return await (service.work.in_turn(work) if len(raw) <= LONG_BYTES else service.work.aside(work))


async def tag_once(service: Service, request: TagRequest, scope: Scope) -> Pieces:
    """Answer one request of ``POST /tag``.

    Raises:
        Problem: the request cannot be served.
        ClientGone: the client has disconnected.
    """
    work, render = _job(service, request)
    return await service.inference.run(work, request.items, render, disconnect_check(scope), trace=trace_of(scope))


def begin_tagging(service: Service, request: TagRequest, scope: Scope, done: Done) -> Job:
    """As :func:`tag_once`, without waiting: ``done`` is called with the response, or with what went wrong later."""
    work, render = _job(service, request)
    return service.inference.begin(work, request.items, render, disconnect_check(scope), done, trace=trace_of(scope))


def tag_line(service: Service, request: TagRequest, scope: Scope, line: int) -> "asyncio.Future[Pieces]":
    """Answer one line of a stream, which has waited for room in the queue.

    Raises:
        Problem: the request cannot be served.
    """
    work, render = _job(service, request, line)
    return service.inference.run_after_room(work, request.items, render, disconnect_check(scope))


def _job(
    service: Service, request: TagRequest, line: int | None = None
) -> tuple[Works, Callable[[list[Result]], Iterator[bytes]]]:
    """What the queue has to do for a request: the tagger, and what writes the response.

    Raises:
        Problem: there is no such model, or it has no such label.
    """
    model = service.models.get(request.model)
    check_labels(request.labels, model.labels)

    def render(results: list[Result]) -> Iterator[bytes]:
        service.metrics.tagged(results)
        return tag_answer(request, model.name, model.version, results, line, model.language)

    return (_Alternatives(model.tagger, request.alternatives) if request.alternatives else model.tagger), render


async def tag_texts(
    service: Service, model: ServedModel, texts: Sequence[str], write: Callable[[list[Result]], Iterator[bytes]],
    scope: Scope,
) -> Pieces:  # fmt: skip
    """Tag texts for an answer of another shape than that of ``POST /tag``; ``write`` writes it, in pieces.

    Raises:
        Problem: the request cannot be served.
        ClientGone: the client has disconnected.
    """

    def render(results: list[Result]) -> Iterator[bytes]:
        service.metrics.tagged(results)
        return write(results)

    return await service.inference.run(model.tagger, texts, render, disconnect_check(scope), trace=trace_of(scope))


async def explain_once(service: Service, request: ExplainRequest, scope: Scope) -> Pieces:
    """Answer one request of ``POST /explain``.

    Raises:
        Problem: the request cannot be served.
        ClientGone: the client has disconnected.
    """
    model = service.models.get(request.model)
    render = partial(explain_answer, request, model.name, model.version)
    work = _Explainer(model.tagger, request)
    try:
        return await service.inference.run(work, [request.item], render, disconnect_check(scope), trace=trace_of(scope))
    except InputError as error:
        raise Problem("invalid_request", str(error)) from None


class _Explainer:
    """Explains one token, as a job of the queue."""

    def __init__(self, tagger: TagsText, request: ExplainRequest) -> None:
        self._tagger = tagger
        self._request = request

    def work(self, items: Sequence[Item], /) -> Generator[Progress, None, list[Explanation]]:
        """Explain the token of the one item."""
        asked = self._request
        options: Any = {"tag": asked.tag, "against": asked.against, "alternatives": asked.alternatives}
        return [(yield from self._tagger.explain_work(items[0], asked.token, **options))]


class _Alternatives:
    """Tags with runner-up tags and labels, as a job of the queue that is not batched with others."""

    def __init__(self, tagger: TagsText, count: int) -> None:
        self._tagger = tagger
        self._count = count

    def work(self, items: Sequence[Item], /) -> Generator[Progress, None, list[Result]]:
        """Tag the items."""
        return self._tagger.work(items, alternatives=self._count)
