"""The client beside a plain POST of the same texts: ``python -m benchmarks.integrations client``.

The service runs in a process of its own; what is counted is processor time of this one. The plain way posts the same
batches with httpx and parses the answers with ``json``: what the client takes more is for checking both sides, typed
results and everything that can go wrong. The last row goes through a proxy that refuses half of the requests, to a
service that is killed and started again.
"""

import asyncio
import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from benchmarks.integrations.costs import timed
from benchmarks.integrations.rows import Row, lines_of, some_texts
from benchmarks.refusing_proxy import RefusingProxy
from benchmarks.serving import HOST, Server
from fenestra.client import AsyncClient, Client, Retries
from fenestra.client.batches import BatchSize, batches

TEXTS = 10_000
ROUNDS = 5
LINES = lines_of("fenestra/client")

Found = list[list[dict[str, Any]]]


def main() -> None:
    """Print the rows."""
    texts = some_texts(TEXTS)
    with Server(log_level="warning") as server:
        url = f"http://{HOST}:{server.port}"
        ways: dict[str, Callable[[], Found]] = {
            "plain": lambda: plain(url, texts),
            "Client.tag_many": lambda: many(url, texts),
            "Client.stream": lambda: streamed(url, texts),
            "AsyncClient.tag_many": lambda: asyncio.run(concurrent(url, texts)),
        }
        expected = ways["plain"]()
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        equal = dict.fromkeys(ways, True)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                took, found = timed(way)
                seconds[name].append(took)
                equal[name] &= found == expected
    cost = {name: statistics.median(each) / len(texts) * 1e6 for name, each in seconds.items()}
    for name in itertools.islice(ways, 1, None):
        told = f"{cost[name]:.0f} µs a text in this process; httpx and json alone {cost['plain']:.0f} µs"
        print(row(name, len(texts), equal[name], told))
    print(through_trouble(texts, expected))


def row(called: str, texts: int, equal: bool, overhead: str) -> Row:
    """A row of the table."""
    return Row("httpx", httpx.__version__, f"`{called}`", texts, equal, overhead, LINES)


def plain(url: str, texts: list[str]) -> Found:
    """The same batches without the client."""
    found = []
    with httpx.Client() as http:
        for batch in batches(texts, BatchSize()):
            answer = http.post(f"{url}/tag", json={"text": batch.items})
            found += [result["entities"] for result in json.loads(answer.content)["results"]]
    return found


def many(url: str, texts: list[str], retries: Retries | None = None, batch: BatchSize | None = None) -> Found:
    """By batches, one after the other."""
    with Client(url, retries=retries) as client:
        return [entities(result) for result in client.tag_many(texts, batch=batch)]


def streamed(url: str, texts: list[str]) -> Found:
    """By lines."""
    with Client(url) as client:
        return [entities(line.results[0]) for line in client.stream(texts)]  # type: ignore[union-attr]


async def concurrent(url: str, texts: list[str]) -> Found:
    """By batches, four at a time."""
    async with AsyncClient(url) as client:
        return [entities(result) async for result in client.tag_many(texts)]


def entities(result: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """As they were in the JSON."""
    return [entity.model_dump(exclude_none=True) for entity in result.entities]


def through_trouble(texts: list[str], expected: Found) -> Row:
    """A service that refuses half of the requests, and is killed once in the middle of one."""
    with Server(log_level="warning") as server:

        def restart() -> None:
            server.kill()
            server.start()

        restarting = threading.Thread(target=restart)

        def on_forward(number: int) -> None:
            if number == 15:
                restarting.start()

        with RefusingProxy(server.port, on_forward=on_forward) as proxy:
            began = time.perf_counter()
            found = many(proxy.url, texts, Retries(first_pause=0.02, longest_pause=0.5), BatchSize(texts=100))
            seconds = time.perf_counter() - began
        restarting.join()
    told = f"{proxy.refused} of {proxy.refused + proxy.forwarded} requests refused, {proxy.lost} lost, {seconds:.0f} s"
    return row("Client.tag_many", len(texts), found == expected, told)


if __name__ == "__main__":
    main()
