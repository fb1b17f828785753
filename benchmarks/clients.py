"""Many clients on one core: connections that cost little, so that the server is the bottleneck and not they.

An asyncio protocol of one request at a time that reads no more of an answer than where it ends. It is for servers that
say so with Content-Length, as ours does.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

from benchmarks.serving import HOST

LOST = 0
"""The status of a request whose connection ended before its answer was whole."""
REFUSED = -1
"""The status of a request that no connection could be opened for."""


class Reply(NamedTuple):
    """The fate of one request; moments are those of ``time.perf_counter``."""

    status: int
    """Of HTTP, or :data:`LOST`, or :data:`REFUSED`."""
    due: float
    """When it should have gone out."""
    sent: float
    done: float
    retry_after: bool
    """Whether the answer has that header."""
    begun: bool
    """Whether any byte of an answer came."""
    body: bytes
    """Empty unless the pool was asked to keep bodies."""


class Connection(asyncio.Protocol):
    """A connection that answers one request after another to ``on_reply``."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._length = -1  # of the whole answer, as soon as its headers are here
        self._due = self._sent = 0.0
        self._busy = False
        self._on_reply: Callable[[Reply], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out, as asyncio has it."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def send(self, raw: bytes, due: float, on_reply: Callable[[Reply], None]) -> None:
        """Send a request; its reply goes to ``on_reply``, whatever becomes of it."""
        self._busy, self._due, self._on_reply = True, due, on_reply
        self._received.clear()
        self._length = -1
        self._sent = time.perf_counter()
        assert self._transport is not None
        self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        """Collect an answer, as asyncio has it."""
        self._received += data
        if self._length < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._received[: end + 2]).lower()
            self._length = end + 4 + int(_header(head, b"content-length") or 0)
        if len(self._received) >= self._length:
            self._finish(int(self._received[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell of a request that got no whole answer, as asyncio has it."""
        self._transport = None
        if self._busy:
            self._finish(LOST)
        self._pool.gone(self)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def _finish(self, status: int) -> None:
        head, _, body = bytes(self._received).partition(b"\r\n\r\n")
        head = head.lower() + b"\r\n"
        kept = body if self._pool.keep_bodies else b""
        retry = _header(head, b"retry-after").isdigit()
        reply = Reply(status, self._due, self._sent, time.perf_counter(), retry, bool(head.strip()), kept)
        if _header(head, b"connection") == b"close" and self._transport is not None:
            self._transport.close()
        self._busy = False
        on_reply, self._on_reply = self._on_reply, None
        if self.open:
            self._pool.give_back(self)
        assert on_reply is not None
        on_reply(reply)


def _header(head: bytes, name: bytes) -> bytes:
    """A header's value in a lower-cased head whose every line has its end; empty if it is not there."""
    begin = head.find(b"\r\n" + name + b":")
    return head[begin + len(name) + 3 : head.index(b"\r\n", begin + 2)].strip() if begin >= 0 else b""


class Pool:
    """Connections to one server, opened as they are needed, up to ``most``.

    A request takes a free connection or opens a new one; when all ``most`` are busy it waits here for the next, and
    its reply's ``due`` tells how long.
    """

    def __init__(self, port: int, most: int, *, keep_bodies: bool = False) -> None:
        self.keep_bodies = keep_bodies
        self.opened = 0
        """Connections opened so far."""
        self._port, self._most = port, most
        self._free: list[Connection] = []
        self._count = 0  # open or opening
        self._held: deque[tuple[bytes, float, Callable[[Reply], None]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._all: set[Connection] = set()

    def send(self, raw: bytes, due: float, on_reply: Callable[[Reply], None]) -> None:
        """Send a request on some connection, now or as soon as there is one."""
        while self._free:
            if (connection := self._free.pop()).open:
                connection.send(raw, due, on_reply)
                return
        if self._count < self._most:
            self._count += 1
            task = asyncio.get_running_loop().create_task(self._open(raw, due, on_reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._held.append((raw, due, on_reply))

    async def ask(self, raw: bytes) -> Reply:
        """Send a request and wait for its reply."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def tell(reply: Reply) -> None:
            if not future.done():  # whoever asked may have given up
                future.set_result(reply)

        self.send(raw, time.perf_counter(), tell)
        return await future

    def give_back(self, connection: Connection) -> None:
        """Take a connection that is free again."""
        if self._held:
            connection.send(*self._held.popleft())
        else:
            self._free.append(connection)

    def gone(self, connection: Connection) -> None:
        """Note that a connection ended."""
        self._count -= 1
        self._all.discard(connection)
        if self._held:
            self.send(*self._held.popleft())

    def close(self) -> None:
        """Hang up everywhere."""
        self._held.clear()
        for connection in list(self._all):
            connection.close()

    async def _open(self, raw: bytes, due: float, on_reply: Callable[[Reply], None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), HOST, self._port)
        except OSError:
            self._count -= 1
            now = time.perf_counter()
            on_reply(Reply(REFUSED, due, now, now, False, False, b""))
            return
        self.opened += 1
        self._all.add(connection)
        connection.send(raw, due, on_reply)
