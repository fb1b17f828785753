"""A worker's end of the connection to the supervisor. Lives on the worker's event loop."""

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, cast

from fenestra.app.engine.models import RELOAD_FAILED, Models, ServedModel, reason_of
from fenestra.app.errors import Problem
from fenestra.app.observability.merged import Snapshot
from fenestra.app.workers.channel import Lines, Message, encode

_METRICS_SECONDS = 5.0


class SupervisorLink(asyncio.Protocol):
    """Does what the supervisor says, and asks it what concerns all workers."""

    def __init__(self, end: socket.socket, loaded: Mapping[str, ServedModel], *, watches: bool) -> None:
        """Set up.

        Args:
            end: of a pair of sockets; the supervisor has the other.
            loaded: the models to serve.
            watches: whether this worker watches the folders of the models, for all.
        """
        self.loaded = loaded
        self.watches = watches
        self.snapshot: Callable[[], Awaitable[Snapshot]]
        """Returns the metrics of this process."""
        self.on_accept: Callable[[], None]
        """Called when connections are to be accepted from now on."""
        self.on_ping: Callable[[], None]
        """Called once a second."""
        self.on_stop: Callable[[int], None]
        """Called when the service stops, with the signal that says how."""
        self.on_retire: Callable[[], None]
        """Called when this worker is to end, and the service is not."""
        self._socket = end
        self._lines = Lines()
        self._transport: asyncio.Transport | None = None
        self._served: asyncio.Future[Models]  # as soon as there are any
        self._wanted: dict[str, int] = {}  # the round of the reload of each model
        self._read: dict[str, ServedModel] = {}  # loaded anew, and not served yet
        self._replaced: dict[str, tuple[ServedModel, ServedModel]] = {}  # by the last reload: the old and the new one
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen to the supervisor."""
        loop = asyncio.get_running_loop()
        self._served = loop.create_future()
        await loop.create_connection(lambda: self, sock=self._socket)

    def serve_models(self, models: Models) -> None:
        """Let the supervisor have models of this worker replaced."""
        self._served.set_result(models)

    def started(self) -> None:
        """Tell that this worker can accept connections as soon as it is told to."""
        self._send({"told": "started"})

    async def leave(self) -> None:
        """Tell the last figures: this worker ends now."""
        self._send({"told": "metrics", "families": await self.snapshot()})

    def ask_to_retire(self) -> None:
        """Tell that somebody wants this worker alone to end; it goes on until another one has taken its place."""
        self._send({"told": "unwanted"})

    async def reload(self, name: str) -> tuple[ServedModel, ServedModel]:
        """Have a model loaded anew by all workers; returns the one before and the new one, once all serve it.

        Raises:
            Problem: ``reload_failed``: all serve the one before.
        """
        answer = await self._ask({"told": "reload", "model": name})
        if not answer["done"]:
            raise Problem("reload_failed", RELOAD_FAILED)
        return self._replaced[name]

    async def exposition(self) -> bytes:
        """The metrics of all workers together, in Prometheus' text format.

        Raises:
            Problem: ``not_ready``: the supervisor does not answer.
        """
        try:
            async with asyncio.timeout(_METRICS_SECONDS):
                answer = await self._ask({"told": "scrape"})
        except TimeoutError:
            raise Problem("not_ready", "the supervisor of the workers does not answer") from None
        return cast(str, answer["text"]).encode()

    # ── callbacks of the event loop ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Do what the supervisor says."""
        for message in self._lines.feed(data):
            self._do(message)

    def connection_lost(self, error: Exception | None) -> None:
        """Stop: the supervisor is gone, and nobody would replace this worker or stop it."""
        self._transport = None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Problem("not_ready", "the service is stopping"))
        self.on_stop(0)

    # ── what the supervisor says ──

    def _do(self, message: Message) -> None:
        what = message["do"]
        if what == "ping":
            self._send({"told": "alive"})
            self.on_ping()
        elif what == "answer":
            if (future := self._asked.pop(message["number"], None)) is not None and not future.done():
                future.set_result(message)
        elif what == "accept":
            self.on_accept()
        elif what == "retire":
            self.on_retire()
        elif what == "stop":
            self.on_stop(message["signal"])
        elif what == "drop":
            self._wanted.pop(message["model"], None)
            self._read.pop(message["model"], None)
        else:
            slow = {"load": self._load, "switch": self._switch, "metrics": self._tell_metrics}[what]
            self._begin(slow(message))

    async def _load(self, message: Message) -> None:
        """Load a model anew, and wait until all have."""
        name, number = message["model"], message["round"]
        self._wanted[name] = number
        told: Message = {"told": "loaded", "model": name, "round": number}
        try:
            new = await (await self._served).read_again(name)
        except Exception as error:
            self._send({**told, "version": None, "reason": reason_of(error)})
            return
        if self._wanted.get(name) == number:  # it has not been given up meanwhile
            self._read[name] = new
        self._send({**told, "version": new.version})

    async def _switch(self, message: Message) -> None:
        """Serve what was loaded: all have loaded the same."""
        name = message["model"]
        new = self._read.pop(name)
        self._replaced[name] = await self._served.result().replace(new), new
        self._send({"told": "switched", "model": name, "round": message["round"]})

    async def _tell_metrics(self, message: Message) -> None:
        self._send({"told": "metrics", "families": await self.snapshot(), "round": message["round"]})

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, message: Message) -> Message:
        """Send a question, and wait for its answer."""
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({**message, "number": number})
            return await self._asked[number]
        finally:
            self._asked.pop(number, None)

    def _send(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))
