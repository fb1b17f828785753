"""uvicorn's server, with a shutdown that loses no accepted request."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from fenestra.app.engine.service import Service
from fenestra.app.errors import log
from fenestra.app.http.listener import drain_backlog
from fenestra.app.http.registry import ConnectionRegistry

POLL_SECONDS = 0.05
"""How often a shutdown looks whether it can go on."""
_IDLE_SECONDS = 0.5
"""How long a connection must have been idle before a stop closes it without a last response."""


class Server(uvicorn.Server):
    """uvicorn's server, with a shutdown that loses no accepted request."""

    def __init__(self, config: uvicorn.Config, registry: ConnectionRegistry, service: Service) -> None:
        super().__init__(config)
        self._registry = registry
        self._service = service
        self._hurry = False  # whether the first step of a shutdown is skipped

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown at the first signal, and cut it short at the second."""
        self.force_exit = self.should_exit
        self._hurry = self._hurry or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and from then on reload the models at SIGHUP."""
        await super().startup(sockets)
        if self.started and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._service.reload_all)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down in four steps.

        1. ``/readyz`` fails, and each response closes its connection; requests are served for ``drain_seconds`` more,
           so that load balancers and clients go elsewhere. Skipped after Ctrl-C, and when the service has failed.
        2. No new connections; the backlog of the sockets is accepted.
        3. Requests in progress have ``grace_seconds`` to finish. Idle connections are closed.
        4. Everything that is left is cut off, and the application ends.
        """
        settings = self._registry.settings
        self._service.drain()
        self._registry.drain()
        if not self._hurry and not self._service.failure:
            await self._wait(settings.drain_seconds, lambda: False)
        await self._stop_accepting(sockets or [])
        await self._wait(settings.grace_seconds, self._all_closed)
        if left := len(self._registry.open):
            log.error("cut off %d connections that were not done in time", left)
        self._registry.abort_all()
        for task in tuple(self.server_state.tasks):
            task.cancel()
        await self._end()

    async def _end(self) -> None:
        """End the application, when the last request has been answered."""
        await self.lifespan.shutdown()

    async def _stop_accepting(self, listeners: Sequence[socket.socket]) -> None:
        """Accept what has connected already, and close the listening sockets."""
        await drain_backlog(listeners)
        for server in self.servers:
            server.close()
        for listener in listeners:
            listener.close()

    async def _wait(self, seconds: float, done: Callable[[], bool]) -> None:
        """Wait until ``done()``, for ``seconds`` at most, or until a second signal comes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end and not self.force_exit and not done():
            await asyncio.sleep(POLL_SECONDS)

    def _all_closed(self) -> bool:
        self._registry.close_idle(_IDLE_SECONDS)
        return not self._registry.open
