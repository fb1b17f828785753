"""Tags or explains the texts of one valid request, and renders the response."""

from collections.abc import Generator, Iterator, Sequence
from functools import partial

from starlette.types import Scope

from fenestra.app.api.rendering import check_labels, explain_answer, tag_answer
from fenestra.app.api.responses import disconnect_check
from fenestra.app.api.schemas import ExplainRequest, TagRequest
from fenestra.app.engine.jobs import Item, TagsText
from fenestra.app.engine.service import Service
from fenestra.app.errors import Problem
from fenestra.app.observability.traces import trace_of
from fenestra.model.errors import InputError
from fenestra.model.explain import Explanation
from fenestra.model.progress import Progress
from fenestra.model.results import Result


async def tag_once(service: Service, request: TagRequest, scope: Scope, line: int | None = None) -> bytes:
    """Answer one request of ``POST /tag``, or one line of a stream, which waits for room in the queue.

    Raises:
        Problem: the request cannot be served.
        ClientGone: the client has disconnected.
    """
    model = service.models.get(request.model)
    check_labels(request.labels, model.labels)

    def render(results: list[Result]) -> Iterator[bytes]:
        service.metrics.tagged(results)
        return tag_answer(request, model.name, model.version, results, line)

    trace = trace_of(scope) if line is None else None  # a stream may have a million lines
    work = _Alternatives(model.tagger, request.alternatives) if request.alternatives else model.tagger
    return await service.inference.run(
        work, request.items, render, disconnect_check(scope), trace=trace, wait_for_room=line is not None
    )


async def explain_once(service: Service, request: ExplainRequest, scope: Scope) -> bytes:
    """Answer one request of ``POST /explain``.

    Raises:
        Problem: the request cannot be served.
        ClientGone: the client has disconnected.
    """
    model = service.models.get(request.model)
    render = partial(explain_answer, request, model.name, model.version)
    work = _Explainer(model.tagger, request.token)
    try:
        return await service.inference.run(work, [request.item], render, disconnect_check(scope), trace=trace_of(scope))
    except InputError as error:
        raise Problem("invalid_request", str(error)) from None


class _Explainer:
    """Explains one token, as a job of the queue."""

    def __init__(self, tagger: TagsText, token: int) -> None:
        self._tagger = tagger
        self._token = token

    def work(self, items: Sequence[Item], /) -> Generator[Progress, None, list[Explanation]]:
        """Explain the token of the one item."""
        return [(yield from self._tagger.explain_work(items[0], self._token))]


class _Alternatives:
    """Tags with runner-up tags and labels, as a job of the queue that is not batched with others."""

    def __init__(self, tagger: TagsText, count: int) -> None:
        self._tagger = tagger
        self._count = count

    def work(self, items: Sequence[Item], /) -> Generator[Progress, None, list[Result]]:
        """Tag the items."""
        return self._tagger.work(items, alternatives=self._count)
