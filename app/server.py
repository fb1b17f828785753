"""Runs the service as a process, from the settings to the graceful shutdown: ``fenestra serve``."""

import gc
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fenestra.app.engine.heap import share_one_heap
from fenestra.app.engine.service import Service
from fenestra.app.http.direct import read_nothing
from fenestra.app.http.protocol import protocol_for
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.http.server import Server
from fenestra.app.main import create_app
from fenestra.app.observability import logs
from fenestra.app.settings import Settings
from fenestra.app.workers.shared import Locks
from fenestra.app.workers.supervisor import Supervisor
from fenestra.app.workers.worker_process import Start
from fenestra.app.workers.worker_server import WorkerServer
from fenestra.model.checkpoint import describe
from fenestra.model.engine.gpu import resolve_device
from fenestra.model.errors import InputError

log = logging.getLogger("uvicorn.error")

_OTHER_DESCRIPTORS = 64  # file descriptors for all that is not a connection
_LEAST_CONNECTIONS = 16
_OLDER_GENERATIONS = 100, 20
"""Collections of young objects until older ones are visited, too. A request of a hundred thousand words has a million
objects, and visiting them all again and again would stop every thread for tens of milliseconds."""
_IGNORED = signal.SIGUSR1, signal.SIGUSR2  # their default is to end the process


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
    with bind(settings.host, settings.port) as listener, signals():
        app = create_app(settings)
        lines.on_drop = app.state.service.metrics.log_line_dropped
        app.state.direct.observer.lines = lines
        server = new_server(app, settings)
        log.info("%s answers as soon as the start is complete", url_of(listener))
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
    with bind(settings.host, settings.port) as listener, signals():
        supervisor = Supervisor(settings, listener, locks)
        lines.on_drop = supervisor.metrics.log_line_dropped
        log.info("%s answers as soon as the start is complete", url_of(listener))
        return supervisor.run(partial(_work, settings, lines))


def _work(settings: Settings, lines: logs.Lines, start: Start) -> int:
    """Serve as one of several workers; returns the exit code of this process."""
    lines.name_process(os.getpid())
    app = create_app(settings, link=start.link, windows=start.windows)
    service: Service = app.state.service
    lines.on_drop = service.metrics.log_line_dropped
    app.state.direct.observer.lines = lines
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
def signals() -> Iterator[None]:
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


def url_of(listener: socket.socket) -> str:
    """Where a socket listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
