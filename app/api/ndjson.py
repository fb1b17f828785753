"""``POST /tag/stream``: one line of response for each line of the request, in order, however long the stream is.

Lines are read and answered at the same time. A bounded number of lines is in progress, and together they have no more
bytes than a single line may have. So the service reads from a client as fast as the client reads from it, and a stream
takes hardly more memory than a single request. When the queue is full, a stream waits for room, where a single request
would be refused.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fenestra.app.api.json_body import parse
from fenestra.app.api.schemas import TagRequest
from fenestra.app.api.tagging import tag_once
from fenestra.app.engine.jobs import ClientGone
from fenestra.app.engine.service import Service
from fenestra.app.errors import Problem, request_id, unexpected

T = TypeVar("T")
NDJSON = "application/x-ndjson"
_MAX_LINES = 32  # of one stream that are read and whose response is not sent yet


class _Stopping(Exception):
    """The service stops in the middle of a stream."""


class NdjsonResponse(Response):
    """Reads the lines of a request, and answers each while further ones arrive."""

    media_type = NDJSON

    def __init__(self, service: Service) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._service = service
        self._pending: asyncio.Queue[tuple[asyncio.Task[bytes], int] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lines = self._bytes = 0  # in progress
        self._sent = asyncio.Event()
        self._reading_body = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer all lines, as ASGI defines it."""
        reading = self._start(self._read(scope, receive))
        await self._reading_body.wait()  # the server sends 100 Continue at the first receive(), not after 200
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            while (pending := await self._pending.get()) is not None:
                line, size = pending
                await send({"type": "http.response.body", "body": await line, "more_body": True})
                self._lines, self._bytes = self._lines - 1, self._bytes - size
                self._sent.set()
            await reading
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (ClientGone, ClientDisconnect):
            self._service.metrics.cancelled()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _read(self, scope: Scope, receive: Receive) -> None:
        """Start a task for each line."""
        number = 0
        try:
            async for number, line in split_lines(self._chunks(receive), self._service.settings.max_body_bytes):
                if line is None or line.strip():
                    size = len(line or b"")
                    await self._wait_for_room(size)
                    self._pending.put_nowait((self._start(self._answer(scope, number, line)), size))
        except _Stopping:
            self._pending.put_nowait((self._start(self._cut_off(scope, number + 1)), 0))
        finally:
            self._pending.put_nowait(None)

    async def _wait_for_room(self, size: int) -> None:
        """Wait until a line of so many bytes may be in progress beside the others, and count it."""
        max_bytes = self._service.settings.max_body_bytes
        while self._lines and (self._lines >= _MAX_LINES or self._bytes + size > max_bytes):
            self._sent.clear()
            await self._sent.wait()
        self._lines, self._bytes = self._lines + 1, self._bytes + size

    def _start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task, which is cancelled when the stream ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        """Forget a task. Its error is raised where it is awaited; after the end of the stream, nobody awaits it."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            ClientDisconnect: the client has disconnected.
            _Stopping: the service stops.
        """
        stopping = asyncio.create_task(self._service.stopping.wait())
        try:
            more = True
            while more:
                message = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                self._reading_body.set()
                done, _ = await asyncio.wait({message, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if message not in done:
                    message.cancel()
                    raise _Stopping
                if message.result()["type"] == "http.disconnect":
                    raise ClientDisconnect
                yield message.result().get("body", b"")
                more = message.result().get("more_body", False)
        finally:
            stopping.cancel()

    async def _answer(self, scope: Scope, number: int, line: bytes | None) -> bytes:
        """Answer one line, or report its error; None is a line that was too long."""
        service = self._service
        try:
            if line is None:
                raise Problem("too_large", f"the line is longer than {service.settings.max_body_bytes} bytes")
            request = TagRequest.read(parse(line), service.settings)
            return await tag_once(service, request, scope, line=number) + b"\n"
        except Problem as problem:
            return _error_line(problem, number, request_id(scope))
        except ClientGone:
            raise
        except Exception as error:
            unexpected(error, request_id(scope))
            return _error_line(Problem("internal", "something went wrong with this line"), number, request_id(scope))

    async def _cut_off(self, scope: Scope, number: int) -> bytes:
        """The last line of a stream that a shutdown ends."""
        problem = Problem("not_ready", "the service is stopping; send this line and those after it again")
        return _error_line(problem, number, request_id(scope))


async def split_lines(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """Split a body into lines.

    Args:
        chunks: of the body, split anywhere.
        max_bytes: that a line may have.

    Yields:
        Lines with their numbers, counted from 1, without their line ends; None for a line that is too long, the rest
        of which is skipped.
    """
    number, partial, skipping = 1, bytearray(), False
    async for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            if not skipping:
                partial += piece
                yield number, bytes(partial) if len(partial) <= max_bytes else None
            number, partial, skipping = number + 1, bytearray(), False
        if not skipping:
            partial += rest
            if len(partial) > max_bytes:
                yield number, None
                partial, skipping = bytearray(), True
    if partial:
        yield number, bytes(partial)


def _error_line(problem: Problem, number: int, identifier: str) -> bytes:
    error = {"code": problem.code, "message": problem.message, "request_id": identifier}
    return to_json({"line": number, "error": error}) + b"\n"
