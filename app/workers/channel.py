"""Messages between the supervisor and a worker: JSON objects, a line each, over a pair of sockets.

The supervisor's end never blocks: what a worker does not take waits in memory, as long as the worker lives.
"""

import json
import socket
from typing import Any

Message = dict[str, Any]
_RECEIVE_BYTES = 1 << 16


def encode(message: Message) -> bytes:
    """Write a message."""
    return json.dumps(message).encode() + b"\n"


class Lines:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete now."""
        self._rest += data
        *whole, rest = self._rest.split(b"\n")
        self._rest = bytearray(rest)
        return [json.loads(line) for line in whole]


class Channel:
    """The supervisor's end of the connection to a worker."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self.socket = end
        self._lines = Lines()
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        """Whether messages wait until the worker reads."""
        return bool(self._unsent)

    def send(self, message: Message) -> None:
        """Send a message, now or as soon as the worker takes it; nothing happens if it is gone."""
        self._unsent += encode(message)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the worker takes it."""
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:  # it has ended, and the supervisor will learn of it by its exit code
            self._unsent.clear()

    def receive(self) -> list[Message] | None:
        """The messages that have arrived; None at the end."""
        try:
            data = self.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._lines.feed(data) if data else None
