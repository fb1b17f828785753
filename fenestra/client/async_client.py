"""The client for asyncio."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from fenestra.app.api.schemas import Entity, ExplainResponse, ModelInfo, ReloadResponse, Result, TagResponse
from fenestra.client import operations
from fenestra.client.batches import Batch, BatchSize, abatches, tag_batch
from fenestra.client.calls import Address, Call, Reply, Steps
from fenestra.client.client import LIMITS, TIMEOUT
from fenestra.client.requests import ExplainOptions, Item, TagOptions, check_items, check_options, check_text
from fenestra.client.retries import Retries
from fenestra.client.streams import PORTION, Line, tag_lines

T = TypeVar("T")


class AsyncClient:
    """As :class:`fenestra.client.Client`, for the tasks of one event loop of asyncio."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        retries: Retries | None = None,
        gzip_min_bytes: int = 16 * 1024,
        timeout: httpx.Timeout | float = TIMEOUT,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Nothing is sent yet; the arguments are those of :class:`fenestra.client.Client`."""
        self._address = Address.of(base_url, api_key, gzip_min_bytes, Retries() if retries is None else retries)
        self._owned = http is None
        self._http = http or httpx.AsyncClient(timeout=timeout, limits=LIMITS)

    async def __call__(self, text: str) -> list[Entity]:
        """The entities of a text."""
        check_text(text)
        return (await self.tag(text)).results[0].entities

    async def tag(
        self,
        text: str | Sequence[str] | None = None,
        *,
        tokens: Sequence[str] | Sequence[Sequence[str]] | None = None,
        **options: Unpack[TagOptions],
    ) -> TagResponse:
        """As :meth:`fenestra.client.Client.tag`."""
        return await self._run(operations.tag(self._address, text, tokens, options))

    def tag_many(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        batch: BatchSize | None = None,
        concurrency: int = 4,
        **options: Unpack[TagOptions],
    ) -> AsyncGenerator[Result]:
        """As :meth:`fenestra.client.Client.tag_many`, with several batches under way at a time.

        Results come in order, whichever batch is answered first. Leaving the loop early cancels what is under way when
        the generator is closed: ``async with contextlib.aclosing(…)`` does so at once.
        """
        check_items(items)
        check_options(options)
        if concurrency < 1:
            raise ValueError("at least one batch has to be under way")
        return self._tag_many(abatches(items, batch or BatchSize()), concurrency, options)

    async def _tag_many(
        self, found: AsyncGenerator[Batch], concurrency: int, options: TagOptions
    ) -> AsyncGenerator[Result]:
        under_way: deque[asyncio.Task[list[Result]]] = deque()
        try:
            async with aclosing(found):
                async for batch in found:
                    under_way.append(asyncio.create_task(self._run(tag_batch(self._address, batch, options))))
                    if len(under_way) >= concurrency:
                        for result in await under_way[0]:
                            yield result
                        under_way.popleft()
            while under_way:
                for result in await under_way[0]:
                    yield result
                under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def stream(
        self, items: Iterable[Item] | AsyncIterable[Item], **options: Unpack[TagOptions]
    ) -> AsyncGenerator[Line]:
        """As :meth:`fenestra.client.Client.stream`."""
        check_items(items)
        check_options(options)
        return self._stream(items, options)

    async def _stream(self, items: Iterable[Item] | AsyncIterable[Item], options: TagOptions) -> AsyncGenerator[Line]:
        async with aclosing(abatches(items, PORTION)) as portions:
            async for portion in portions:
                for line in await self._run(tag_lines(self._address, portion, options)):
                    yield line

    async def explain(
        self,
        text: str | None = None,
        *,
        token: int,
        tokens: Sequence[str] | None = None,
        **options: Unpack[ExplainOptions],
    ) -> ExplainResponse:
        """As :meth:`fenestra.client.Client.explain`."""
        return await self._run(operations.explain(self._address, text, tokens, token, options))

    async def models(self) -> list[ModelInfo]:
        """As :meth:`fenestra.client.Client.models`."""
        return await self._run(operations.models(self._address))

    async def ready(self) -> bool:
        """As :meth:`fenestra.client.Client.ready`."""
        return await self._run(operations.ready(self._address))

    async def reload(self, name: str) -> ReloadResponse:
        """As :meth:`fenestra.client.Client.reload`."""
        return await self._run(operations.reload(self._address, name))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._owned:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.shown!r})"

    async def _run(self, steps: Steps[T]) -> T:
        """Take the steps of an operation."""
        reply: Reply | None = None
        try:
            while True:
                step = steps.send(reply)
                reply = None
                if isinstance(step, Call):
                    reply = await self._send(step)
                else:
                    await asyncio.sleep(step)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, call: Call) -> Reply:
        """Make a call; returns as much of the answer as comes."""
        body = bytearray()
        status, headers = None, httpx.Headers()
        try:
            async with self._http.stream(call.method, call.url, headers=call.headers, content=call.content) as response:
                status, headers = response.status_code, response.headers
                async for piece in response.aiter_bytes():
                    body += piece
        except httpx.RequestError as failure:
            return Reply(status, headers, bytes(body), failure)
        return Reply(status, headers, bytes(body))
