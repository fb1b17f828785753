"""A worker as the supervisor sees it, and who waits for an answer."""

import socket
from dataclasses import dataclass, field
from typing import Any

from fenestra.app.workers.channel import Channel
from fenestra.app.workers.link import SupervisorLink
from fenestra.app.workers.rate_windows import SharedWindowStorage
from fenestra.app.workers.shared import Shares


@dataclass(frozen=True)
class Start:
    """What a worker begins with, on its side of the fork."""

    listener: socket.socket
    """Of all workers; it does not block."""
    link: SupervisorLink
    shares: Shares
    place: int
    """Of this worker in the shares."""
    windows: SharedWindowStorage | None
    """What the rate limit counts in."""


@dataclass(eq=False)
class Worker:
    """A process that serves."""

    pid: int
    place: int
    """In the shares."""
    channel: Channel
    born: float
    """When it was forked, by the monotonic clock."""
    generation: int
    """How many reloads there had been by then."""
    watches: bool
    """Whether it watches the folders of the models, for all."""
    replaces: "Worker | None" = None
    """The worker that ends as soon as this one accepts connections."""
    started: bool = False
    """Whether it can accept connections."""
    unwanted: bool = False
    """Whether it is to be replaced."""
    retiring: bool = False
    """Whether it accepts no connections any more, and ends with the last one."""
    silent: int = 0
    """Pings that it has not answered."""
    families: list[Any] = field(default_factory=list)
    """Its metrics when they were last asked for."""


@dataclass(frozen=True)
class Asker:
    """A request that waits in a worker for an answer of the supervisor."""

    channel: Channel
    number: int

    def answer(self, **what: object) -> None:
        """Answer it; nothing happens if the worker has ended."""
        self.channel.send({"do": "answer", "number": self.number, **what})
