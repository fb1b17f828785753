"""``POST /tag/stream``: one line of response for each line of the request, in order, however long the stream is.

Lines are read and answered at the same time. A bounded number of lines is in progress, and together they have no more
bytes than a single line may have. So the service reads from a client as fast as the client reads from it, and a stream
takes hardly more memory than a single request. When the queue is full, a stream waits for room, where a single request
would be refused. All streams take turns: splitting and parsing goes through :mod:`fenestra.app.engine.loop_work`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fenestra.app.api.responses import cut, disconnect_check
from fenestra.app.api.schemas import TagRequest
from fenestra.app.api.tagging import LONG_BYTES, read_request, tag_line
from fenestra.app.engine.jobs import ClientGone, Pieces
from fenestra.app.engine.memory import SMALL_BYTES
from fenestra.app.engine.service import Service
from fenestra.app.errors import Problem, request_id, unexpected

NDJSON = "application/x-ndjson"
_MAX_LINES = 32  # of one stream that are read and whose response is not sent yet
_SLICE_LINES = 500  # that are looked at in one turn
_TOO_MANY = "too many long lines; send this line and those after it again later"
_STOPPING = "the service is stopping; send this line and those after it again"


class _Pending(NamedTuple):
    """A line in progress."""

    number: int
    size: int
    answer: "asyncio.Future[Pieces]"


class NdjsonResponse(Response):
    """Reads the lines of a request, and answers each while further ones arrive."""

    media_type = NDJSON

    def __init__(self, service: Service) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._service = service
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue()
        self._open: dict[asyncio.Future[Pieces], int] = {}  # answers that are not sent yet, and their bytes
        self._lines = self._bytes = 0  # in progress
        self._waiting = 0  # bytes of lines that are still arriving, or not begun yet
        self._held = 0  # bytes of these, of lines in progress and of answers: what the memory budget counts
        self._sent = asyncio.Event()
        self._reading_body = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer all lines, as ASGI defines it."""
        reading = asyncio.create_task(self._read(scope, receive))
        reading.add_done_callback(_look_at)
        pending: _Pending | None = None
        try:
            await self._reading_body.wait()  # the server sends 100 Continue at the first receive(), not after 200
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (pending := await self._pending.get()) is not None:
                for piece in cut(await self._line_of(pending, scope)):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                self._forget(pending)
                pending = None  # a stream may be idle for long: then it keeps no answer
            await reading
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (ClientGone, ClientDisconnect):
            self._service.metrics.cancelled()
        finally:
            reading.cancel()
            for answer in self._open:
                answer.cancel()
            self._open.clear()
            self._begun(self._waiting)
            self._hold(-self._held)
            pending = None  # or an error that is raised here would hold this frame, and these two the error
            del reading

    async def _read(self, scope: Scope, receive: Receive) -> None:
        """Begin to answer each line."""
        settings, work = self._service.settings, self._service.work
        splitter = LineSplitter(settings.max_body_bytes)
        try:
            async for chunk in self._chunks(receive):
                splitter.feed(chunk)
                del chunk
                while splitter.unread:
                    lines = deque(await work.in_turn(splitter.take))
                    self._count_waiting(sum(len(line or b"") for _, line in lines) + splitter.size)
                    while lines:  # each is gone from here when it has begun: a stream may be idle for long
                        await self._begin(scope, *lines.popleft())
                    if splitter.size > SMALL_BYTES and not self._service.memory.fits(0):
                        raise Problem("overloaded", _TOO_MANY)
            for number, line in splitter.end():
                await self._begin(scope, number, line)
        except Problem as problem:  # it ends the stream; the last line tells why
            self._add(splitter.number, 0, _done([_error_line(problem, splitter.number, request_id(scope))]))
        finally:
            self._pending.put_nowait(None)

    async def _begin(self, scope: Scope, number: int, line: bytes | None) -> None:
        """Begin to answer a line, as soon as there is room; None is a line that was too long."""
        service, size = self._service, len(line or b"")
        await self._wait_for_room(size)
        try:
            if line is None:
                raise Problem("too_large", f"the line is longer than {service.settings.max_body_bytes} bytes")
            answer = await self._submit(scope, number, line)
        except ClientGone:
            raise
        except Exception as error:  # not kept: with the frames that it holds, only the garbage collector could free it
            answer = _done([_refused_line(error, number, scope)])
        self._begun(size)
        self._add(number, size, answer)

    async def _submit(self, scope: Scope, number: int, line: bytes) -> "asyncio.Future[Pieces]":
        """Put a line into the queue.

        Only one long line is parsed and not in the queue yet: parsed, it may take ten times as much memory.
        """
        service = self._service
        if len(line) > LONG_BYTES:
            async with service.long_line:
                _check_client(scope)
                await service.inference.room()  # before it takes memory …
                _check_client(scope)
                request = await read_request(service, TagRequest, line)
                await service.inference.room()  # … and again: others came while it was read
                return tag_line(service, request, scope, number)
        request = await read_request(service, TagRequest, line, in_turn=True)
        await service.inference.room()
        return tag_line(service, request, scope, number)

    def _add(self, number: int, size: int, answer: "asyncio.Future[Pieces]") -> None:
        """Send an answer when those before it are sent."""
        self._open[answer] = 0
        answer.add_done_callback(self._count_answer)
        self._pending.put_nowait(_Pending(number, size, answer))

    def _count_answer(self, answer: "asyncio.Future[Pieces]") -> None:
        """Count the bytes of an answer until it is sent."""
        if answer in self._open and not answer.cancelled() and answer.exception() is None:
            self._open[answer] = sum(map(len, answer.result()))
            self._hold(self._open[answer])

    async def _line_of(self, pending: _Pending, scope: Scope) -> Pieces:
        """The line that answers a line: its result, or what is wrong with it."""
        try:
            return [*await pending.answer, b"\n"]
        except ClientGone:
            raise
        except Exception as error:
            return [_refused_line(error, pending.number, scope), b"\n"]
        finally:
            del pending  # as above

    def _forget(self, pending: _Pending) -> None:
        """Make room for a further line: the answer to this one is sent."""
        self._hold(-self._open.pop(pending.answer) - pending.size)
        self._lines, self._bytes = self._lines - 1, self._bytes - pending.size
        self._sent.set()

    async def _wait_for_room(self, size: int) -> None:
        """Wait until a line of so many bytes may be in progress beside the others, and count it."""
        max_bytes = self._service.settings.max_body_bytes
        while self._lines and (self._lines >= _MAX_LINES or self._bytes + size > max_bytes):
            self._sent.clear()
            await self._sent.wait()
        self._lines, self._bytes = self._lines + 1, self._bytes + size

    def _hold(self, size: int) -> None:
        """Count bytes of this stream."""
        self._held += size
        (self._service.memory.take if size > 0 else self._service.memory.give)(abs(size))

    def _count_waiting(self, size: int) -> None:
        """Count the lines that are not begun yet, and the one that is still arriving."""
        grown = size - self._waiting
        self._hold(grown)
        self._waiting += grown
        self._service.memory.waiting += grown

    def _begun(self, size: int) -> None:
        """Count bytes as waiting no more: they will be answered."""
        self._waiting -= size
        self._service.memory.waiting -= size

    async def _chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            ClientDisconnect: the client has disconnected.
            Problem: ``not_ready``: the service stops; or what is wrong with the body.
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
                    raise Problem("not_ready", _STOPPING)
                if message.result()["type"] == "http.disconnect":
                    raise ClientDisconnect
                yield message.result().get("body", b"")
                more = message.result().get("more_body", False)
        finally:
            stopping.cancel()


class LineSplitter:
    """Splits a body into lines, a bounded number at a time. Lines are counted from 1; blank ones are left out."""

    def __init__(self, max_bytes: int) -> None:
        """Begin before the first line; a line has at most ``max_bytes``."""
        self._max_bytes = max_bytes
        self._chunk, self._at = b"", 0
        self._partial, self._skipping = bytearray(), False
        self.number = 1
        """Of the line that is being read."""

    @property
    def unread(self) -> bool:
        """Whether the chunk holds more."""
        return self._at < len(self._chunk)

    @property
    def size(self) -> int:
        """Bytes of the line that is still arriving."""
        return len(self._partial)

    def feed(self, chunk: bytes) -> None:
        """Go on with the next chunk of the body; the one before is read to its end."""
        self._chunk, self._at = chunk, 0

    def take(self) -> list[tuple[int, bytes | None]]:
        """Read some of the chunk.

        Returns:
            Lines with their numbers, without their line ends; None for a line that is too long, the rest of which is
            skipped.
        """
        found: list[tuple[int, bytes | None]] = []
        for _ in range(_SLICE_LINES):
            if not self.unread:
                break
            end = self._chunk.find(b"\n", self._at)
            piece = self._chunk[self._at : end if end >= 0 else None]
            self._at = len(self._chunk) if end < 0 else end + 1
            if not self._skipping:
                self._partial += piece
                if len(self._partial) > self._max_bytes:
                    found.append((self.number, None))
                    self._partial, self._skipping = bytearray(), True
            if end >= 0:
                found += self.end()
                self.number += 1
        if not self.unread:
            self._chunk, self._at = b"", 0
        return found

    def end(self) -> list[tuple[int, bytes | None]]:
        """End the present line; returns it, unless it is blank or was too long."""
        line = bytes(self._partial)
        self._partial, self._skipping = bytearray(), False
        return [(self.number, line)] if line and not line.isspace() else []


def _check_client(scope: Scope) -> None:
    """Do no more for a client that has left.

    Raises:
        ClientGone: it has.
    """
    if disconnect_check(scope)():
        raise ClientGone


def _done(pieces: Pieces) -> "asyncio.Future[Pieces]":
    """An answer that is there already."""
    answer: asyncio.Future[Pieces] = asyncio.get_running_loop().create_future()
    answer.set_result(pieces)
    return answer


def _look_at(task: "asyncio.Future[None]") -> None:
    """Take note of how a task ended: after the end of the stream nobody awaits it."""
    if not task.cancelled():
        task.exception()


def _refused_line(error: Exception, number: int, scope: Scope) -> bytes:
    """The answer to a line that is not served; an error that nobody expected is logged."""
    if not isinstance(error, Problem):
        unexpected(error, scope)
        error = Problem("internal", "something went wrong with this line")
    return _error_line(error, number, request_id(scope))


def _error_line(problem: Problem, number: int, identifier: str) -> bytes:
    error = {"code": problem.code, "message": problem.message, "request_id": identifier}
    return to_json({"line": number, "error": error})
