"""The server of a worker."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

import uvicorn

from fenestra.app.engine.service import Service
from fenestra.app.http.listener import drain_backlog
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.http.server import POLL_SECONDS, Server
from fenestra.app.observability.merged import Snapshot, snapshot
from fenestra.app.workers.accept import Acceptor
from fenestra.app.workers.worker_process import Start


class WorkerServer(Server):
    """The server of a worker, which begins to accept connections and stops when the supervisor says so.

    Signals are the supervisor's: a terminal or an init system sends them to all processes at once, and a stop of the
    service is another thing than the end of one worker. The worker asks the supervisor about a SIGTERM of its own.
    """

    def __init__(self, config: uvicorn.Config, registry: ConnectionRegistry, service: Service, start: Start) -> None:
        super().__init__(config, registry, service)
        self._link = start.link
        self._acceptor = Acceptor(start.listener, start.shares, start.place)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False  # the whole service, and not this worker alone
        registry.on_count = self._acceptor.count
        self._surplus = 0  # connections too many, when it was last looked at
        self._link.on_accept = self._accept
        self._link.on_ping = self._balance
        self._link.on_stop = self._stop
        self._link.on_retire = self._retire
        self._link.snapshot = self._snapshot

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Pass a signal on to the supervisor; only a model that is stuck ends the worker at once."""
        if self._service.failure:
            super().handle_exit(sig, frame)
        elif sig == signal.SIGTERM and self._loop is not None:
            self._loop.call_soon_threadsafe(self._link.ask_to_retire)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start without accepting connections, and tell the supervisor."""
        self._loop = asyncio.get_running_loop()
        await self._link.open()
        await uvicorn.Server.startup(self, [])
        self._link.started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down with the service, or, if it goes on, when the last connection is closed."""
        if not self._stopping and not self._service.failure:
            self._acceptor.stop()
            self._registry.drain()
            while self._registry.open and not self._stopping:
                await asyncio.sleep(POLL_SECONDS)
        if self._registry.open or self._stopping or self._service.failure:
            await super().shutdown(sockets)
        else:
            await self._end()

    async def _stop_accepting(self, listeners: Sequence[socket.socket]) -> None:
        """Leave the backlog to the other workers, unless the whole service stops."""
        if self._stopping:
            await drain_backlog(listeners)
        self._acceptor.stop()
        for listener in listeners:
            listener.close()

    async def _end(self) -> None:
        await self._link.leave()
        await super()._end()

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        protocol: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        rest = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        self._acceptor.start(partial(protocol, **rest, _loop=loop))

    def _balance(self) -> None:
        """Send clients away that this worker has had too many of for a second, so that another one gets them."""
        before, self._surplus = self._surplus, self._acceptor.surplus()
        self._registry.send_away(min(before, self._surplus))

    def _stop(self, number: int) -> None:
        """Stop with the whole service, as after that signal; the second time, at once."""
        if self._stopping:
            self.force_exit = True
        if number == signal.SIGINT:
            self._hurry = True
        self._stopping = self.should_exit = True

    def _retire(self) -> None:
        self.should_exit = True

    async def _snapshot(self) -> Snapshot:
        return await self._service.work.aside(partial(snapshot, self._service.metrics.registry))
