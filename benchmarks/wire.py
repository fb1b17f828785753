"""HTTP/1.1 spoken by hand over a plain socket, for requests that no client library would send.

with Wire(port) as wire:
    wire.send(post(b'{"text": "Ada"}'))
    print(wire.answer().status, wire.closed())
"""

import io
import json
import select
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from benchmarks.serving import HOST

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MOST = 1 << 26  # bytes of an answer that are read


class Answer(NamedTuple):
    """What came back for one request."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes
    size: int
    """Bytes of the body, and of the headers as far as they can be told."""

    @property
    def code(self) -> str:
        """``error.code`` of a refusal in the envelope; empty otherwise."""
        try:
            return str(json.loads(self.body)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class _Received(io.RawIOBase):
    """What a socket receives; closing the socket is its owner's."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        """As a reader has to be."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Receive some bytes; 0 at the end."""
        return self._connection.recv_into(buffer)


class _Answers(io.BufferedReader):
    """What comes on a connection. It outlives each answer, as the next one may be in its buffer already."""

    def makefile(self, _mode: str) -> "_Answers":
        """Itself, where http.client asks a socket for a reader."""
        return self

    def close(self) -> None:
        """Stay open when an answer has been read."""


class Wire:
    """One connection; every wait on it ends after ``seconds``."""

    def __init__(self, port: int, seconds: float = 10, *, buffer_bytes: int = 0) -> None:
        """Connect; ``buffer_bytes``, if given, is how much the system takes for a client that does not read."""
        self._seconds = seconds
        self.socket = socket.socket()
        self._answers = _Answers(_Received(self.socket))
        try:
            if buffer_bytes:  # the window that is offered while connecting depends on it
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            self.socket.settimeout(seconds)
            self.socket.connect((HOST, port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, raw: bytes | Iterable[bytes]) -> bool:
        """Send all of it, in pieces if it is several; False if the server closed before it was through."""
        try:
            for piece in (raw,) if isinstance(raw, bytes) else raw:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def answer(self, method: str = "POST") -> Answer | None:
        """Read one answer; None if the connection ended without a byte of one, or was reset.

        Raises:
            TimeoutError: nothing came in time.
            HTTPException: what came is not HTTP, or ended in the middle.
        """
        response = HTTPResponse(self._answers, method=method)  # type: ignore[arg-type]
        try:
            response.begin()
            body = response.read(_MOST)
        except ConnectionResetError:
            return None
        except HTTPException as error:
            if type(error).__name__ == "RemoteDisconnected":
                return None
            raise
        finally:
            response.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body, len(body) + sum(map(len, map("".join, headers.items()))))

    def closed(self, seconds: float = 2) -> bool:
        """Whether the server ends the connection within that time; what it still sends is thrown away."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def ended(self) -> bool:
        """Whether the server has ended the connection already."""
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(self._seconds)

    def answered(self, seconds: float) -> bool:
        """Whether something comes within that time; it is not read yet."""
        return bool(select.select([self.socket], [], [], seconds)[0])

    def no_more(self) -> None:
        """Tell the server that this was all."""
        with suppress(OSError):  # it has hung up already
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Hang up at once, as a killed client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()


def post(
    body: bytes, headers: Mapping[str, str | None] | None = None, *, path: str = "/tag", length: int | None = None
) -> bytes:
    """Write a request that posts JSON.

    Args:
        body: as it goes out.
        headers: more of them, or instead of ours; None leaves ours out.
        path: where to.
        length: the Content-Length to give, instead of the true one.
    """
    named: dict[str, str | None] = {"Host": HOST, "Content-Type": "application/json"}
    named |= {"Content-Length": str(len(body) if length is None else length), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value is not None)
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


def chunked(pieces: Iterable[bytes], headers: Mapping[str, str | None] | None = None, *, path: str = "/tag") -> bytes:
    """Write a request that posts JSON in chunks."""
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    named = {"Transfer-Encoding": "chunked", "Content-Length": None, **(headers or {})}
    return post(coded + b"0\r\n\r\n", named, path=path)


def exchange(port: int, raw: bytes | Iterable[bytes], seconds: float = 10) -> Answer | None:
    """Send on a new connection and read one answer; None if the server closed without one."""
    with Wire(port, seconds) as wire:
        wire.send(raw)
        return wire.answer()
