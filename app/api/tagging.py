"""From a checked request to the bytes of its answer."""

from collections.abc import Generator, Iterator, Sequence
from functools import partial

from starlette.types import Scope

from fenestra.app.api.rendering import check_labels, explain_answer, tag_answer
from fenestra.app.api.responses import gone_of
from fenestra.app.api.schemas import ExplainRequest, TagRequest
from fenestra.app.engine.jobs import Item, TagsText
from fenestra.app.engine.service import Service
from fenestra.app.errors import Problem
from fenestra.app.observability.traces import trace_of
from fenestra.model.errors import InputError
from fenestra.model.explain import Explanation
from fenestra.model.results import Analysis
from fenestra.model.steps import Step


async def tag_once(service: Service, asked: TagRequest, scope: Scope, line: int | None = None) -> bytes:
    """Answer one request of ``POST /tag``, or one line of a stream, which waits for room in the queue.

    Raises:
        Problem: the request cannot be served.
        ClientGone: there is nobody to answer.
    """
    model = service.models.get(asked.model)
    check_labels(asked.labels, model.labels)

    def render(analyses: list[Analysis]) -> Iterator[bytes]:
        service.metrics.tagged(analyses)
        return tag_answer(asked, model.name, model.version, analyses, line)

    trace = trace_of(scope) if line is None else None  # a stream may have a million lines
    return await service.inference.answer(
        model.tagger, asked.items, render, gone_of(scope), trace=trace, patient=line is not None
    )


async def explain_once(service: Service, asked: ExplainRequest, scope: Scope) -> bytes:
    """Answer one request of ``POST /explain``.

    Raises:
        Problem: the request cannot be served.
        ClientGone: there is nobody to answer.
    """
    model = service.models.get(asked.model)
    render = partial(explain_answer, asked, model.name, model.version)
    work = _Explainer(model.tagger, asked.token)
    try:
        return await service.inference.answer(work, [asked.item], render, gone_of(scope), trace=trace_of(scope))
    except InputError as error:
        raise Problem("invalid_request", str(error)) from None


class _Explainer:
    """Explaining one token, as work for the queue."""

    def __init__(self, tagger: TagsText, token: int) -> None:
        self._tagger = tagger
        self._token = token

    def steps(self, items: Sequence[Item], /) -> Generator[Step, None, list[Explanation]]:
        """Explain the token of the one item."""
        return [(yield from self._tagger.explain_in_steps(items[0], self._token))]
