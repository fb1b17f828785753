"""Closes a listening socket without losing a client that has already connected.

A client is connected when the kernel says so, before the process has accepted it. Closing the socket resets every
connection in its backlog, with whatever the client has sent. So a stop takes two steps: first the kernel drops new
connection requests, then the backlog is accepted. Only then is the socket closed.
"""

import asyncio
import ctypes
import socket
import struct
import sys
from collections.abc import Sequence

# A classic BPF program, as (operation, jump if true, jump if false, operand): drop a segment that requests a
# connection, pass all others. The client repeats its request a second later, and reaches the next process or is told
# that nobody listens.
_TCP_FLAGS, _SYN = 13, 0x02
_DROP_SYN = (
    (0x30, 0, 0, _TCP_FLAGS),  # load the byte of flags
    (0x45, 0, 1, _SYN),  # go on if SYN is set, else skip one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)
_SO_ATTACH_FILTER = 26
_TCPI_UNACKED = 24  # in TCP_INFO; of a listening socket, it is the length of the backlog
_HANDSHAKE_SECONDS = 0.1  # for clients in the middle of the handshake
_POLL_SECONDS = 0.01
_MAX_SECONDS = 2.0


async def drain_backlog(listeners: Sequence[socket.socket]) -> None:
    """Stop new connections; returns when the event loop has accepted all those that were there, after 2 s at most."""
    filtered = [_drop_new_connections(listener) for listener in listeners]
    if not all(filtered):
        return
    await asyncio.sleep(_HANDSHAKE_SECONDS)
    loop = asyncio.get_running_loop()
    end = loop.time() + _MAX_SECONDS
    while any(_backlog(listener) for listener in listeners) and loop.time() < end:
        await asyncio.sleep(_POLL_SECONDS)


def _drop_new_connections(listener: socket.socket) -> bool:
    """Make the kernel drop connection requests; returns whether it can."""
    if not sys.platform.startswith("linux"):
        return False
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_SYN)
    buffer = ctypes.create_string_buffer(program)
    option = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(buffer))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
    except OSError:  # a sandbox forbids it: clients that connect in the last milliseconds are then reset
        return False
    return True


def _backlog(listener: socket.socket) -> int:
    """How many clients are connected and not accepted yet."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_UNACKED + 4)
    return int.from_bytes(info[_TCPI_UNACKED : _TCPI_UNACKED + 4], sys.byteorder)
