"""``POST /tag/stream``: a line in, a line out, in order, for documents that are larger than memory together.

Reading and answering go on side by side. A bounded number of lines is under way, and all together are no longer than
one may be alone. So a client that reads slowly is read from slowly, and a stream takes hardly more memory than a
single request, whatever its length. A stream that finds the queue full waits for room, where a single request would
be refused.
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
_UNDER_WAY = 32  # lines of one stream that are read and whose answers are not yet sent


class _Stopping(Exception):
    """The service stops in the middle of a stream."""


class LinesResponse(Response):
    """Reads the lines of a request and answers them while they come."""

    media_type = NDJSON

    def __init__(self, service: Service) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._service = service
        self._answers: asyncio.Queue[tuple[asyncio.Task[bytes], int] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lines = self._bytes = 0  # under way
        self._sent = asyncio.Event()
        self._listening = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer all lines, as ASGI has it."""
        reading = self._begin(self._read(scope, receive))
        await self._listening.wait()  # the server sends 100 Continue when it is first asked for the body, not after 200
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            while (begun := await self._answers.get()) is not None:
                answer, size = begun
                await send({"type": "http.response.body", "body": await answer, "more_body": True})
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
        """Set a task to work on each line."""
        number = 0
        try:
            async for number, line in lines(self._chunks(receive), self._service.settings.max_body_bytes):
                if line is None or line.strip():
                    size = len(line or b"")
                    await self._room(size)
                    self._answers.put_nowait((self._begin(self._answer(scope, number, line)), size))
        except _Stopping:
            self._answers.put_nowait((self._begin(self._cut_off(scope, number + 1)), 0))
        finally:
            self._answers.put_nowait(None)

    async def _room(self, size: int) -> None:
        """Wait until a line of some bytes may be at work beside the others, and count it."""
        most = self._service.settings.max_body_bytes
        while self._lines and (self._lines >= _UNDER_WAY or self._bytes + size > most):
            self._sent.clear()
            await self._sent.wait()
        self._lines, self._bytes = self._lines + 1, self._bytes + size

    def _begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Set a task to work, which ends with the stream at the latest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        """Forget a task. What it failed with is told to whoever awaits it; when the stream has ended, nobody does."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises:
            ClientDisconnect: it will not come to its end.
            _Stopping: the service is to read no more of it.
        """
        stopping = asyncio.create_task(self._service.stopping.wait())
        try:
            more = True
            while more:
                message = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                self._listening.set()
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
        """Answer one line; what is wrong with it is an answer too. None stands for a line that was too long."""
        service = self._service
        try:
            if line is None:
                raise Problem("too_large", f"the line is longer than {service.settings.max_body_bytes} bytes")
            asked = TagRequest.read(parse(line), service.settings)
            return await tag_once(service, asked, scope, line=number) + b"\n"
        except Problem as problem:
            return _error_line(problem, number, request_id(scope))
        except ClientGone:
            raise
        except Exception as error:
            unexpected(error, request_id(scope))
            return _error_line(Problem("internal", "something went wrong with this line"), number, request_id(scope))

    async def _cut_off(self, scope: Scope, number: int) -> bytes:
        """The last line of a stream that the stop of the service ends."""
        problem = Problem("not_ready", "the service is stopping; send this line and those after it again")
        return _error_line(problem, number, request_id(scope))


async def lines(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """Cut a body into lines.

    Args:
        chunks: of the body, cut anywhere.
        most: bytes that a line may have.

    Yields:
        Lines with their numbers, counted from 1, without their ends; None for one that is too long, whose rest is
        skipped and never held.
    """
    number, begun, skipping = 1, bytearray(), False
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if not skipping:
                begun += piece
                yield number, bytes(begun) if len(begun) <= most else None
            number, begun, skipping = number + 1, bytearray(), False
        if not skipping:
            begun += rest
            if len(begun) > most:
                yield number, None
                begun, skipping = bytearray(), True
    if begun:
        yield number, bytes(begun)


def _error_line(problem: Problem, number: int, identifier: str) -> bytes:
    error = {"code": problem.code, "message": problem.message, "request_id": identifier}
    return to_json({"line": number, "error": error}) + b"\n"
