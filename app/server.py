"""Runs the service as a process, from the settings to the graceful shutdown: ``fenestra serve``."""

import asyncio
import gc
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI

from fenestra.app.engine.heap import share_one_heap
from fenestra.app.engine.service import Service
from fenestra.app.http.listener import drain_backlog
from fenestra.app.http.protocol import protocol_for
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.main import create_app
from fenestra.app.observability import logs
from fenestra.app.observability.merged import Snapshot, snapshot
from fenestra.app.settings import Settings
from fenestra.app.workers.accept import Acceptor
from fenestra.app.workers.shared import Locks
from fenestra.app.workers.supervisor import Supervisor
from fenestra.app.workers.worker_process import Start
from fenestra.model.checkpoint import describe
from fenestra.model.engine.gpu import resolve_device
from fenestra.model.errors import InputError

log = logging.getLogger("uvicorn.error")

_POLL_SECONDS = 0.05
_IDLE_SECONDS = 0.5
"""How long a connection must have been idle before a stop closes it without a last response."""
_OTHER_DESCRIPTORS = 64  # file descriptors for all that is not a connection
_LEAST_CONNECTIONS = 16
_OLDER_GENERATIONS = 100, 20
"""Collections of young objects until older ones are visited, too. A request of a hundred thousand words has a million
objects, and visiting them all again and again would stop every thread for tens of milliseconds."""
_IGNORED = signal.SIGUSR1, signal.SIGUSR2  # their default is to end the process


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
            await asyncio.sleep(_POLL_SECONDS)

    def _all_closed(self) -> bool:
        self._registry.close_idle(_IDLE_SECONDS)
        return not self._registry.open


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
                await asyncio.sleep(_POLL_SECONDS)
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


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        0 after SIGTERM, 1 if a second signal cut requests off, 2 if a model turned out to be unusable, or the exit
        code of the failure that ended the service; the log says why.

    Raises:
        InputError: the address is not available, there is no such device, or a folder holds no model: everything that
            can be checked before the start.
        KeyboardInterrupt: after SIGINT.
    """
    _check(settings)
    share_one_heap()
    gc.set_threshold(gc.get_threshold()[0], *_OLDER_GENERATIONS)
    lines = logs.configure(settings)
    if settings.workers > 1:
        return _supervise(settings, lines)
    with bind(settings.host, settings.port) as listener, _signals():
        app = create_app(settings)
        lines.on_drop = app.state.service.metrics.log_line_dropped
        server = new_server(app, settings)
        log.info("%s answers as soon as the start is complete", _url_of(listener))
        with suppress(SystemExit):  # after SIGTERM, and when the start failed
            server.run(sockets=[listener])
        service: Service = app.state.service
        if not server.started:
            return 2
        return service.exit_code if service.failure else int(server.force_exit)


def _supervise(settings: Settings, lines: logs.Lines) -> int:
    """As :func:`serve`, with several workers."""
    locks = Locks()
    lines.turn = locks.log
    lines.name_process(os.getpid())
    with bind(settings.host, settings.port) as listener, _signals():
        supervisor = Supervisor(settings, listener, locks)
        lines.on_drop = supervisor.metrics.log_line_dropped
        log.info("%s answers as soon as the start is complete", _url_of(listener))
        return supervisor.run(partial(_work, settings, lines))


def _work(settings: Settings, lines: logs.Lines, start: Start) -> int:
    """Serve as one of several workers; returns the exit code of this process."""
    lines.name_process(os.getpid())
    app = create_app(settings, link=start.link, windows=start.windows)
    service: Service = app.state.service
    lines.on_drop = service.metrics.log_line_dropped
    server = WorkerServer(*_parts(app, settings), start)
    with suppress(SystemExit):  # when the start failed
        server.run(sockets=[start.listener])
    if not server.started:
        return 2
    return service.exit_code if service.failure else 0


def _check(settings: Settings) -> None:
    """Check the settings whose validity depends on this machine.

    Raises:
        InputError: naming the setting.
    """
    check_descriptors(settings)
    try:
        device = resolve_device(settings.device)
    except InputError as error:
        raise InputError(f"FENESTRA_DEVICE: {error}") from error
    if settings.workers > 1 and not sys.platform.startswith("linux"):
        raise InputError(f"FENESTRA_WORKERS: {settings.workers} workers share what only Linux can share; use 1")
    if settings.workers > 1 and device != "cpu":
        raise InputError(
            f"FENESTRA_WORKERS: {settings.workers} workers cannot share the device {device}; "
            "use 1, or FENESTRA_DEVICE=cpu"
        )
    for name, folder in settings.served:
        try:
            describe(folder)
        except InputError as error:
            raise InputError(f"FENESTRA_{'MODELS' if settings.models else 'MODEL'}: {name}: {error}") from error


def new_server(app: FastAPI, settings: Settings) -> Server:
    """Build the server for an application of :func:`fenestra.app.main.create_app`."""
    return Server(*_parts(app, settings))


def _parts(app: FastAPI, settings: Settings) -> tuple[uvicorn.Config, ConnectionRegistry, Service]:
    """What a server is built from."""
    service: Service = app.state.service
    registry = ConnectionRegistry(settings, service.metrics, lambda: service.overloaded, service.work)
    service.limits_connections = True
    registry.max_connections = check_descriptors(settings)
    config = uvicorn.Config(
        app,
        http=protocol_for(registry),
        ws="none",
        log_config=None,  # app.observability.logs has configured it, and the level
        access_log=False,  # app.middleware.observe logs each request, without the user's text
        proxy_headers=bool(settings.trusted_proxies),  # anyone else can send X-Forwarded-For
        forwarded_allow_ips=[str(ipaddress.ip_network(proxy, strict=False)) for proxy in settings.trusted_proxies],
        server_header=False,
    )
    return config, registry, service


def check_descriptors(settings: Settings) -> int:
    """Raise the limit on open files as far as needed and allowed.

    Returns:
        How many connections may be open, ``settings.max_connections`` at most.

    Raises:
        InputError: the limit is too low to serve at all; names it, and what is needed.
    """
    wanted = settings.max_connections + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    least = min(wanted, _LEAST_CONNECTIONS + _OTHER_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < least:
        raise InputError(
            f"the limit on open files is {soft} (ulimit -n): at least {least} are needed, "
            f"and {wanted} for FENESTRA_MAX_CONNECTIONS={settings.max_connections}"
        )
    return settings.max_connections if soft == resource.RLIM_INFINITY else min(wanted, soft) - _OTHER_DESCRIPTORS


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket without listening yet: until the server is up, clients are refused at once.

    Args:
        host: name or address, IPv4 or IPv6.
        port: 0 picks a free one.

    Raises:
        InputError: the address is in use, not on this machine, or unknown.
    """
    with ExitStack() as undo:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = undo.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            raise InputError(f"cannot listen on host {host}, port {port}: {error.strerror or error}") from error
        undo.pop_all()
        return listener


@contextmanager
def _signals() -> Iterator[None]:
    """Handle signals while the server does not: SIGTERM ends the process with code 0, others are ignored.

    SIGHUP is, too: before the start no model is loaded that could be loaded again.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, *_IGNORED)}
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
