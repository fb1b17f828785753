"""How a listening socket is closed without losing anyone who has already connected.

A client is connected when the kernel says so, before the process has accepted it. Closing the socket resets all that
wait to be accepted, and whatever they have sent. So the door is shut in two steps: first no new connection can begin
any more, then those that have begun are let in, and only then is the socket closed.
"""

import asyncio
import ctypes
import socket
import struct
import sys
from collections.abc import Sequence

# A program for the kernel's packet filter, as (operation, jump if true, jump if false, operand): drop a segment that
# asks for a connection, pass all others. Whoever asks tries again a second later, and finds the next process, or
# learns that there is none.
_TCP_FLAGS, _SYN = 13, 0x02
_NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, _TCP_FLAGS),  # load the byte of flags
    (0x45, 0, 1, _SYN),  # go on if SYN is set, else skip one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)
_SO_ATTACH_FILTER = 26
_TCPI_UNACKED = 24  # in TCP_INFO; of a listening socket it is how many wait to be accepted
_HANDSHAKE_SECONDS = 0.1  # for clients whose handshake had begun
_LOOK_SECONDS = 0.01
_LONGEST_SECONDS = 2.0


async def shut_the_door(listeners: Sequence[socket.socket]) -> None:
    """Let nobody in any more but those who are connected already; returns when the loop has accepted all of them."""
    refusing = [_admit_no_more(listener) for listener in listeners]
    if not all(refusing):
        return
    await asyncio.sleep(_HANDSHAKE_SECONDS)
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST_SECONDS
    while any(_waiting(listener) for listener in listeners) and loop.time() < end:
        await asyncio.sleep(_LOOK_SECONDS)


def _admit_no_more(listener: socket.socket) -> bool:
    """Have the kernel drop requests for a connection; returns whether it can."""
    if not sys.platform.startswith("linux"):
        return False
    program = b"".join(struct.pack("HBBI", *step) for step in _NO_NEW_CONNECTIONS)
    buffer = ctypes.create_string_buffer(program)
    option = struct.pack("HP", len(_NO_NEW_CONNECTIONS), ctypes.addressof(buffer))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
    except OSError:  # a sandbox; the few milliseconds that this is about are then lost
        return False
    return True


def _waiting(listener: socket.socket) -> int:
    """How many are connected and not accepted yet."""
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_UNACKED + 4)
    return int.from_bytes(info[_TCPI_UNACKED : _TCPI_UNACKED + 4], sys.byteorder)
