"""Accepts connections from the one listening socket of all workers, and leaves them to the worker that has the fewest.

With one queue for all, whoever wakes up first takes what is there, and an event loop takes all: of a few connections
that stay open, one worker may get every one. Sockets of their own (SO_REUSEPORT) would be chosen by a hash of the
addresses, which is fair among thousands only, and what waits in the queue of a worker that ends would be lost. Here
nothing is lost: the queue belongs to all, and the supervisor keeps it open.

A worker that has more connections than another leaves the next one to it. If none is accepted by anyone for
:data:`PATIENCE_SECONDS`, because that one is busy or frozen, it takes what waits, one by one. A worker that took the
place of another has none: so one that has too many for long sends some of its clients away (:meth:`Acceptor.surplus`).
"""

import asyncio
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM

from fenestra.app.errors import log
from fenestra.app.workers.shared import Shares

PATIENCE_SECONDS = 0.02
"""As long as an event loop may be busy."""
_LOOK_SECONDS = 0.001  # between two looks at what the others do
_SLACK = 8  # of so many connections, one more than another worker has does not matter
_NO_ROOM = EMFILE, ENFILE, ENOBUFS, ENOMEM
_NO_ROOM_SECONDS = 1.0


class Acceptor:
    """Accepts connections for one worker. Lives on its event loop."""

    def __init__(self, listener: socket.socket, shares: Shares, place: int) -> None:
        """Set up.

        Args:
            listener: listens already, and does not block.
            shares: of all workers.
            place: of this one in the shares.
        """
        self._listener = listener
        self._shares, self._place = shares, place
        self._open = 0
        self._arriving = 0  # accepted, and not known as open yet
        self._accepted = 0  # ever
        self._seen = 0  # connections that all have accepted, when it was last looked at
        self._patient_until = 0.0
        self._make: Callable[[], asyncio.Protocol] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections from now on.

        Args:
            make: a protocol for each.
        """
        self._make = make
        self._tell()
        self._listen()

    def stop(self) -> None:
        """Leave what waits to the others."""
        if self._make is None:
            return
        self._make = None
        self._shares.leave(self._place)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        asyncio.get_running_loop().remove_reader(self._listener)

    def count(self, connections: int) -> None:
        """Note how many connections this worker has."""
        self._open = connections
        self._tell()

    def surplus(self) -> int:
        """How many connections this worker has too many, compared with the others; a difference of one is none."""
        if self._make is None or self._open < 2 or self._open - 1 <= self._shares.least() * (1 + 1 / _SLACK):
            return 0
        return max(self._open - math.ceil(self._shares.mean()), 0)

    def _tell(self) -> None:
        if self._make is not None:
            self._shares.set(self._place, self._open + self._arriving, self._accepted)

    def _listen(self) -> None:
        self._pause = None
        asyncio.get_running_loop().add_reader(self._listener, self._on_connection)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._pause = asyncio.get_running_loop().call_later(seconds, then)

    def _has_more(self) -> bool:
        """Whether another worker has fewer connections."""
        least = self._shares.least()
        return self._open + self._arriving > least + least // _SLACK

    def _on_connection(self) -> None:
        """Take a connection, or leave it to a worker that has fewer."""
        if self._has_more():
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listener)
            self._seen, self._patient_until = self._shares.accepted(), loop.time() + PATIENCE_SECONDS
            self._wait(_LOOK_SECONDS, self._look)
        else:
            self._accept()

    def _look(self) -> None:
        """See whether the others take what waits."""
        self._pause = None
        now, seen = asyncio.get_running_loop().time(), self._shares.accepted()
        if seen != self._seen:
            self._seen, self._patient_until = seen, now + PATIENCE_SECONDS
        if not self._has_more():
            self._listen()
        elif now <= self._patient_until:
            self._wait(_LOOK_SECONDS, self._look)
        elif self._accept():
            self._seen = self._shares.accepted()
            self._wait(_LOOK_SECONDS, self._look)
        elif self._pause is None:  # nothing waits any more
            self._listen()

    def _accept(self) -> bool:
        """Take one connection; returns whether there was one."""
        if self._make is None:
            return False
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            log.error("no connection can be accepted: %s", error.strerror)
            asyncio.get_running_loop().remove_reader(self._listener)
            self._wait(_NO_ROOM_SECONDS, self._listen)
            return False
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._arriving += 1
        self._accepted += 1
        self._tell()
        task = asyncio.get_running_loop().create_task(self._serve(accepted, self._make))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _serve(self, accepted: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        """Give a connection its protocol."""
        try:
            with suppress(OSError):  # the client is gone already
                await asyncio.get_running_loop().connect_accepted_socket(make, accepted)
        finally:
            self._arriving -= 1
            self._tell()
