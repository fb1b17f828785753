"""A client of the stateful test: one connection, what was sent on it, and what has to come back."""

import select
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.wire import Wire

_SECONDS = 60.0  # until a wait counts as lost
_SLOW_BYTES = 4096


class Response(NamedTuple):
    """One complete response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it is the last one of its connection."""
        return self.headers.get("connection") == "close"


@dataclass
class Expected:
    """What has to come back for one request."""

    check: Callable[["Expected", Response], None]
    """Raises AssertionError if it is something else."""
    versions: set[str] = field(default_factory=set)
    """Of the model, that may have been served since it was sent."""
    disks: set[str] = field(default_factory=set)
    """Of the folder, that a reload may have found since it was sent."""
    reload: bool = False
    alone: bool = True
    """Whether no other reload may have been under way before the answer to this one was read."""
    crowded: bool = False
    """Whether the queue may have been full, so that it may be refused."""
    closes: bool = False
    """Whether the response has to be the last one of its connection."""


class Client:
    """One connection. ``slow`` gives it a small buffer, so that the server has to wait for it."""

    def __init__(self, port: int, *, slow: bool = False) -> None:
        self.slow = slow
        self._wire = Wire(port, _SECONDS, buffer_bytes=_SLOW_BYTES if slow else 0)
        self._buffer = bytearray()
        self.expected: deque[Expected] = deque()
        """Of the requests that were sent to their ends, the oldest first."""
        self.unsent: deque[bytes] = deque()
        """The rest of a request that has begun."""
        self.begun: Expected | None = None
        """Of the request that has begun."""
        self.last = False
        """Whether nothing more may be sent: the server closes, or the client has said that it was all."""

    def begin(self, pieces: list[bytes], expected: Expected) -> None:
        """Send the first piece of a request."""
        self.unsent.extend(pieces)
        self.begun = expected
        self.go_on()

    def go_on(self) -> None:
        """Send the next piece."""
        self._wire.send(self.unsent.popleft())
        if not self.unsent and self.begun:
            self.expected.append(self.begun)
            self.last |= self.begun.closes
            self.begun = None

    def sip(self, size: int) -> None:
        """Take a few bytes if there are some."""
        if select.select([self._wire.socket], [], [], 0)[0]:
            self._buffer += self._receive(size)

    def read(self) -> Response | None:
        """The next complete response; None if the connection ends before a byte of it.

        Raises:
            AssertionError: the response is cut off, or nothing comes.
        """
        while (found := self._parse()) is None:
            data = self._receive(65536)
            if not data:
                assert not self._buffer, (
                    f"an answer was cut off after {len(self._buffer)} bytes: {self._buffer[:200]!r}"
                )
                return None
            self._buffer += data
        response, size = found
        del self._buffer[:size]
        return response

    def rest(self) -> bytes:
        """All that comes until the connection ends."""
        while data := self._receive(65536):
            self._buffer += data
        return bytes(self._buffer)

    def half_close(self) -> None:
        """Say that this was all; what was sent will still be read."""
        self._wire.no_more()
        self.last = True

    def hang_up(self, *, reset: bool) -> None:
        """Close, if it is open."""
        if reset and self._wire.socket.fileno() >= 0:
            self._wire.reset()
        else:
            self._wire.socket.close()

    def _receive(self, size: int) -> bytes:
        try:
            return self._wire.socket.recv(size)
        except ConnectionResetError:
            return b""
        except TimeoutError:
            raise AssertionError(f"no answer within {_SECONDS:g} seconds") from None

    def _parse(self) -> tuple[Response, int] | None:
        """The response that the buffer begins with, and its size; None if it is not complete."""
        head, mark, _ = bytes(self._buffer[:8192]).partition(b"\r\n\r\n")
        if not mark:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        at = len(head) + 4
        if status == 100:
            del self._buffer[:at]
            return self._parse()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            return self._parse_chunks(status, headers, at)
        end = at + int(headers.get("content-length", 0))
        if len(self._buffer) < end:
            return None
        return Response(status, headers, bytes(self._buffer[at:end])), end

    def _parse_chunks(self, status: int, headers: dict[str, str], at: int) -> tuple[Response, int] | None:
        body = bytearray()
        while (line := self._buffer.find(b"\r\n", at)) >= 0:
            size = int(self._buffer[at:line], 16)
            at = line + 2 + size + 2
            if len(self._buffer) < at:
                return None
            body += self._buffer[line + 2 : at - 2]
            if not size:
                return Response(status, headers, bytes(body)), at
        return None
