"""How clients reach the server: over its standard input and output, or by HTTP.

Standard output is the protocol's alone; the server says what it has to say on standard error.
"""

import os
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType

import anyio
import uvicorn
from mcp.server.transport_security import DEFAULT_MAX_REQUEST_BODY_SIZE, TransportSecuritySettings

from fenestra.integrations.mcp.tools import Server

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ANY = ("0.0.0.0", "::", "")
_GRACE = 5  # seconds for open exchanges to end
_ESCAPED = 12  # bytes of a character in JSON, at most
_ENVELOPE = 1 << 16  # bytes of a message besides its text, ample


def serve_stdio(server: Server) -> None:
    """Answer on standard output what comes in on standard input, until its end, SIGTERM or Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_at_once)
    anyio.run(server.run_stdio_async)


def serve_http(
    server: Server, host: str, port: int, *, allowed_hosts: Sequence[str] = (), max_chars: int,
    announce: Callable[[str], object],
) -> None:  # fmt: skip
    """Answer at ``/mcp`` by streamable HTTP, until SIGTERM or Ctrl-C; calls that run get some seconds to end.

    A request is refused unless its Host, and its Origin if it has one, is the loopback, ``host`` itself or one of
    ``allowed_hosts``: no web page can reach the server by a name of its own that leads here (DNS rebinding).

    Args:
        server: with its tools.
        host: the address to listen on.
        port: TCP port; 0 takes a free one.
        allowed_hosts: names that clients may use besides, each with or without ``:port``.
        max_chars: most characters of a text, which limit the size of a request.
        announce: told the URL, once it can be reached.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        app = server.streamable_http_app(
            transport_security=security(host, allowed_hosts),
            max_request_body_size=max(DEFAULT_MAX_REQUEST_BODY_SIZE, _ESCAPED * max_chars + _ENVELOPE),
        )
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_GRACE)
        signal.signal(signal.SIGTERM, _end_at_once)  # uvicorn raises it again, after all has ended
        announce(f"http://{_in_url(host)}:{listener.getsockname()[1]}/mcp")
        anyio.run(lambda: uvicorn.Server(config).serve(sockets=[listener]))


def security(host: str, allowed_hosts: Sequence[str] = ()) -> TransportSecuritySettings:
    """Which Host and Origin a request may have."""
    names = [*_LOOPBACK, *([] if host in _ANY else [_in_url(host)]), *allowed_hosts]
    hosts = [form for name in names for form in (name, f"{name}:*")]
    origins = [f"{scheme}://{form}" for form in hosts for scheme in ("http", "https")]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _end_at_once(number: int, _frame: FrameType | None) -> None:
    # A thread that waits for the next line of standard input cannot be told to stop; nothing is left to be saved.
    os._exit(0 if number == signal.SIGTERM else 128 + number)
