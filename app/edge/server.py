"""From settings to a listening process: ``fenestra serve``."""

import logging
import math
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import NoReturn

import uvicorn

from app.engine.service import Service
from app.main import create_app
from app.settings import Settings
from model import InputError
from model.bundled import bundled_model
from model.checkpoint import describe

log = logging.getLogger("uvicorn.error")


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; requests under way then have ``grace_seconds`` to finish.

    Returns:
        0 after SIGTERM, 2 if the model turned out to be unusable; the log says why.

    Raises:
        InputError: the address cannot be had, or the model folder is none: what can be known before the start.
        KeyboardInterrupt: after SIGINT.
    """
    describe(settings.model or bundled_model())
    with bound(settings.host, settings.port) as listener, _sigterm_ends():
        app = create_app(settings)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level=settings.log_level,
                timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
                access_log=False,  # app.sight.watch logs each request, without what was sent
                proxy_headers=False,  # anyone can send X-Forwarded-For
                server_header=False,
                ws="none",
            )
        )
        log.info("%s answers as soon as the start is complete", _url(listener))
        with suppress(SystemExit):  # after SIGTERM, and when the start failed
            server.run(sockets=[listener])
        service: Service = app.state.service
        return 0 if server.started and service.failure is None else 2


def bound(host: str, port: int) -> socket.socket:
    """Take an address, without listening yet: until the server is up, clients are refused and do not wait.

    Args:
        host: name or address, IPv4 or IPv6.
        port: 0 takes a free one.

    Raises:
        InputError: it is taken, not ours, or unknown.
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
def _sigterm_ends() -> Iterator[None]:
    """Let SIGTERM end the process with code 0: before the server listens for it, and again when it is done."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
