"""One model after another takes the place of the one before, while clients go on asking.

result = reloads_under_load(folder, times=100)
print(result.statuses, result.mixed, result.failed)
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.checkpoints import put_in_place, write_variant
from benchmarks.clients import Pool
from benchmarks.load import runner
from benchmarks.serving import Server, Usage
from benchmarks.wire import post
from benchmarks.workloads import requests, texts

CLIENTS = 16
_TEMPERATURES = (1.0, 1.3)


@dataclass
class Reloads:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Of the answers to ``/tag``."""
    reloads: Counter[int] = field(default_factory=Counter)
    """Statuses of the reloads."""
    versions: set[str] = field(default_factory=set)
    """Of all answers."""
    mixed: int = 0
    """Answers whose bytes are not those that their version gives to that text."""
    usages: list[Usage] = field(default_factory=list)
    """Of the server, after each reload."""


def reloads_under_load(scratch: Path, times: int, **settings: object) -> Reloads:
    """Serve one of two models and reload the other in its place, again and again.

    Args:
        scratch: an empty folder.
        times: reloads.
        settings: of the server.
    """
    sources = [scratch / f"source{number}" for number in range(len(_TEMPERATURES))]
    for source, temperature in zip(sources, _TEMPERATURES, strict=True):
        write_variant(source, temperature=temperature)
    served = scratch / "served"
    served.mkdir()
    put_in_place(sources[0], served)
    with Server(model=served, log_level="warning", drain_seconds=0, **settings) as server, runner() as run:
        return run.run(_reload(server, sources, served, times))


async def _reload(server: Server, sources: Sequence[Path], served: Path, times: int) -> Reloads:
    result, going = Reloads(), True
    asked = requests(texts("sentences")[:50])
    known: dict[tuple[int, str], bytes] = {}
    pool = Pool(server.port, CLIENTS, keep_bodies=True)
    operator = Pool(server.port, 1, keep_bodies=True)

    async def client(number: int) -> None:
        while going:
            number = (number + 1) % len(asked)
            reply = await pool.ask(asked[number])
            result.statuses[reply.status] += 1
            if reply.status != 200:
                continue
            version = json.loads(reply.body)["model"]["version"]
            result.versions.add(version)
            result.mixed += known.setdefault((number, version), reply.body) != reply.body

    clients = [asyncio.create_task(client(3 * number)) for number in range(CLIENTS)]
    for number in range(1, times + 1):
        await asyncio.to_thread(put_in_place, sources[number % len(sources)], served)
        reply = await operator.ask(post(b"", path="/models/served/reload"))
        result.reloads[reply.status] += 1
        result.usages.append(server.usage())
        await asyncio.sleep(0.05)
    going = False
    await asyncio.gather(*clients)
    pool.close()
    operator.close()
    return result
