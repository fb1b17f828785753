"""SIGTERM in the middle of the work: does every client that was taken in get its answer?

    result = stop_under_load(seed=3)
    print(result.lost, result.exit_code, result.exit_seconds)

Some clients keep their connections, some open a new one for each request; all go on until the door is shut. A request
counts as lost if its connection came about and no whole answer came back on it. The one that a client sends on a kept
connection just when the server ends it for being idle cannot be told from that by anyone, so the clients here do as
good clients do and take ``Connection: close`` at its word.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.clients import LOST, REFUSED, Pool, Reply
from benchmarks.load import runner
from benchmarks.serving import FENESTRA, Server
from benchmarks.workloads import requests, texts

KEPT, ANEW = 16, 8


@dataclass
class Stop:
    """What one stop did to the clients."""

    lost: int = 0
    """Requests without a whole answer."""
    statuses: Counter[int] = field(default_factory=Counter)
    after: int = 0
    """Answers that came after the signal."""
    exit_code: int | None = None
    exit_seconds: float = 0.0
    """From the signal to the end of the process."""


def stop_under_load(seed: int, command: Sequence[str] = FENESTRA, **settings: object) -> Stop:
    """Start a server, load it, stop it at a random moment of the first second, and count.

    Args:
        seed: of the moment.
        command: what to start.
        settings: of the server.
    """
    settings = {"drain_seconds": 0.3, "log_level": "warning", **settings}
    server, result = Server(command, **settings), Stop()
    with server, runner() as run:
        run.run(_load_and_stop(server, random.Random(seed).uniform(0.2, 1.0), result))
        began = time.monotonic()
        result.exit_code = server.process.wait(30)
        result.exit_seconds += time.monotonic() - began
    return result


async def _load_and_stop(server: Server, moment: float, result: Stop) -> None:
    asked = requests(texts("sentences"))
    leaving = [raw.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) for raw in asked]
    kept, anew = Pool(server.port, KEPT), Pool(server.port, ANEW)
    stopped = 0.0

    async def client(pool: Pool, bodies: Sequence[bytes], number: int) -> None:
        while True:
            reply = await pool.ask(bodies[number % len(bodies)])
            if reply.status == REFUSED:
                return
            note(reply)
            number += 1

    def note(reply: Reply) -> None:
        result.lost += reply.status == LOST
        result.statuses[reply.status] += 1
        result.after += bool(stopped) and reply.done > stopped

    clients = [asyncio.create_task(client(kept, asked, number)) for number in range(KEPT)]
    clients += [asyncio.create_task(client(anew, leaving, number)) for number in range(ANEW)]
    await asyncio.sleep(moment)
    stopped = time.perf_counter()
    server.terminate()
    await asyncio.wait_for(asyncio.gather(*clients), 30)
    result.exit_seconds = time.perf_counter() - stopped
