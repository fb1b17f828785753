"""Runs the service as a process, from the settings to the graceful shutdown: ``fenestra serve``."""

import asyncio
import gc
import ipaddress
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fenestra.app.engine.heap import share_one_heap
from fenestra.app.engine.service import Service
from fenestra.app.http.direct import read_nothing
from fenestra.app.http.listener import drain_backlog
from fenestra.app.http.protocol import protocol_for
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.main import create_app
from fenestra.app.observability import logs
from fenestra.app.settings import Settings
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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown at the first signal, and cut it short at the second."""
        self.force_exit = self.should_exit
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
        listeners = sockets or []
        self._service.drain()
        self._registry.drain()
        if signal.SIGINT not in self._captured_signals and not self._service.failure:
            await self._wait(settings.drain_seconds, lambda: False)
        await drain_backlog(listeners)
        for server in self.servers:
            server.close()
        for listener in listeners:
            listener.close()
        await self._wait(settings.grace_seconds, self._all_closed)
        if left := len(self._registry.open):
            log.error("cut off %d connections that were not done in time", left)
        self._registry.abort_all()
        for task in tuple(self.server_state.tasks):
            task.cancel()
        await self.lifespan.shutdown()

    async def _wait(self, seconds: float, done: Callable[[], bool]) -> None:
        """Wait until ``done()``, for ``seconds`` at most, or until a second signal comes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end and not self.force_exit and not done():
            await asyncio.sleep(_POLL_SECONDS)

    def _all_closed(self) -> bool:
        self._registry.close_idle(_IDLE_SECONDS)
        return not self._registry.open


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
    with bind(settings.host, settings.port) as listener, _signals():
        app = create_app(settings)
        lines.on_drop = app.state.service.metrics.log_line_dropped
        app.state.direct.observer.lines = lines
        server = new_server(app, settings)
        log.info("%s answers as soon as the start is complete", _url_of(listener))
        with suppress(SystemExit):  # after SIGTERM, and when the start failed
            server.run(sockets=[listener])
        service: Service = app.state.service
        if not server.started:
            return 2
        return service.exit_code if service.failure else int(server.force_exit)


def _check(settings: Settings) -> None:
    """Check the settings whose validity depends on this machine.

    Raises:
        InputError: naming the setting.
    """
    check_descriptors(settings)
    try:
        resolve_device(settings.device)
    except InputError as error:
        raise InputError(f"FENESTRA_DEVICE: {error}") from error
    for name, folder in settings.served:
        try:
            describe(folder)
        except InputError as error:
            raise InputError(f"FENESTRA_{'MODELS' if settings.models else 'MODEL'}: {name}: {error}") from error


def new_server(app: FastAPI, settings: Settings) -> Server:
    """Build the server for an application of :func:`fenestra.app.main.create_app`."""
    service: Service = app.state.service
    registry = ConnectionRegistry(settings, service.metrics, lambda: service.overloaded, service.work)
    registry.direct = app.state.direct
    service.limits_connections = True
    registry.max_connections = check_descriptors(settings)
    proxies = [str(ipaddress.ip_network(proxy, strict=False)) for proxy in settings.trusted_proxies]
    if proxies:
        registry.proxies = ProxyHeadersMiddleware(read_nothing, trusted_hosts=proxies)
    config = uvicorn.Config(
        app,
        http=protocol_for(registry),
        ws="none",
        log_config=None,  # app.observability.logs has configured it, and the level
        access_log=False,  # app.middleware.observe logs each request, without the user's text
        proxy_headers=bool(proxies),  # anyone else can send X-Forwarded-For
        forwarded_allow_ips=proxies,
        server_header=False,
    )
    return Server(config, registry, service)


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
