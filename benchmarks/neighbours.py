"""What a client's bad habits cost the others: p99 of one small request after another, beside different neighbours.

alone    nobody else is there
slow     200 sockets that say nothing, stop in the middle of a request, or send a byte now and then
large    somebody posts the largest request that is allowed, again and again
reloads  the model is reloaded once a second
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from itertools import cycle
from typing import Any

from benchmarks.clients import Pool
from benchmarks.serving import Server
from benchmarks.wire import Wire, post

SOCKETS = 200
_SMALL = post(b'{"text":"Ada Lovelace met Charles Babbage in London."}')
_LARGE = post(json.dumps({"tokens": ["Ada", "met", "Ito", "."] * 25_000}).encode())
_HEAD = b"POST /tag HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
BEGINNINGS = {
    "idle": b"",
    "half a head": _HEAD,
    "half a body": _HEAD + b"\r\n" + b'{"text":',
    "half of a further request": post(b'{"text":"a"}') + _HEAD,
    "a head that drips": _HEAD[:5],
    "a body that drips": _HEAD + b"\r\n" + b'{"te',
}
"""What slow clients have sent, by what is slow about them; those that drip go on, a byte at a time."""


async def p99_beside_neighbours(server: Server, seconds: float) -> dict[str, float]:
    """The p99 of a small request beside each kind of neighbour, in milliseconds.

    Args:
        server: asked.
        seconds: how long beside each.
    """
    return {kind.__name__.strip("_"): await _p99(server, seconds, kind) for kind in (_alone, _slow, _large, _reloads)}


async def _p99(server: Server, seconds: float, neighbour: Callable[[Server], Coroutine[Any, Any, None]]) -> float:
    """Ask one small request after another while the neighbour is there."""
    pool, took = Pool(server.port, 1), []
    others = asyncio.create_task(neighbour(server))
    await asyncio.sleep(0.5)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        reply = await pool.ask(_SMALL)
        if reply.status != 200:
            raise RuntimeError(f"a small request got {reply.status}")
        took.append(reply.done - reply.sent)
        await asyncio.sleep(0.002)
    others.cancel()
    with suppress(asyncio.CancelledError):
        await others
    pool.close()
    return round(1000 * sorted(took)[int(0.99 * len(took))], 2)


async def _alone(server: Server) -> None:
    """Nobody."""


async def _slow(server: Server) -> None:
    """Sockets that hold out as long as they may, and come again."""
    with ExitStack() as stack:
        kinds = cycle(BEGINNINGS)
        wires = [(kind, stack.enter_context(Wire(server.port))) for kind, _ in zip(kinds, range(SOCKETS), strict=False)]
        for kind, wire in wires:
            wire.send(BEGINNINGS[kind])
        while True:
            await asyncio.sleep(0.5)
            for number, (kind, wire) in enumerate(wires):
                if wire.ended() or ("drips" in kind and not wire.send(b"x")):
                    wire.socket.close()
                    wires[number] = (kind, again := stack.enter_context(Wire(server.port)))
                    again.send(BEGINNINGS[kind])


async def _large(server: Server) -> None:
    """The largest request, again and again."""
    pool = Pool(server.port, 1)
    try:
        while True:
            await pool.ask(_LARGE)
    finally:
        pool.close()


async def _reloads(server: Server) -> None:
    """The model that answers, loaded again once a second."""
    pool = Pool(server.port, 1)
    name = json.loads(server.get("/models")[1])["models"][0]["name"]
    try:
        while True:
            reply = await pool.ask(post(b"", path=f"/models/{name}/reload"))
            if reply.status != 200:
                raise RuntimeError(f"a reload got {reply.status}")
            await asyncio.sleep(1)
    finally:
        pool.close()
