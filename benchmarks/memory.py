"""Does the service grow? Requests of varied length, new words all the time, and a look at ``/proc`` now and then.

samples = serve_many(requests=200_000)
print(slope(samples))
"""

import asyncio
import json
import random
import string
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.clients import Pool
from benchmarks.load import runner
from benchmarks.serving import Server, Usage
from benchmarks.wire import post
from benchmarks.workloads import texts

_CLIENTS = 16
_SETTLED = 0.25  # of the requests, after which caches are full and the heap has its shape


class Sample(NamedTuple):
    """The server after so many requests."""

    requests: int
    usage: Usage


def serve_many(
    requests: int, *, looks: int = 100, seed: int = 1, cpu: int | None = None, **settings: object
) -> list[Sample]:
    """Ask so many times, and look at the server's process as often as told.

    Args:
        requests: how many.
        looks: samples to take, evenly spread.
        seed: of the texts.
        cpu: the server's core.
        settings: of the server.

    Raises:
        RuntimeError: an answer was not 200.
    """
    with Server(cpu=cpu, log_level="warning", drain_seconds=0, **settings) as server, runner() as run:
        return run.run(_serve_many(server, requests, looks, seed))


async def _serve_many(server: Server, requests: int, looks: int, seed: int) -> list[Sample]:
    pool, varied, samples, left = Pool(server.port, _CLIENTS), varied_requests(seed), [], requests

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            if (status := (await pool.ask(next(varied))).status) != 200:
                raise RuntimeError(f"an answer of status {status}")

    async def look() -> None:
        for number in range(looks):
            while left > requests - requests * number // looks:
                await asyncio.sleep(0.01)
            samples.append(Sample(requests - left, server.usage()))

    await asyncio.gather(look(), *(client() for _ in range(_CLIENTS)))
    samples.append(Sample(requests, server.usage()))
    pool.close()
    return samples


def varied_requests(seed: int) -> Iterator[bytes]:
    """Requests without end: mostly a sentence, sometimes many; words that were never seen; all options."""
    rng, sentences = random.Random(seed), texts("sentences")
    while True:
        count = min(int(rng.paretovariate(1.2)), 200)
        pieces = [_with_new_words(rng, rng.choice(sentences)) for _ in range(count)]
        body: dict[str, object] = {"offsets": rng.choice(("codepoint", "utf16", "utf8")), "details": rng.random() < 0.2}
        kind = rng.random()
        if kind < 0.6:
            body["text"] = " ".join(pieces)
        elif kind < 0.8:
            body["text"] = pieces
        else:
            body["tokens"] = [piece.split() for piece in pieces]
        yield post(json.dumps(body).encode())


def slope(samples: list[Sample]) -> tuple[float, float]:
    """The least-squares slope of the resident memory once it has settled, and its standard error; bytes a request.

    >>> use = lambda rss: Usage(rss, 3, 14, 0.0)
    >>> slope([Sample(n, use(1000 + 2 * n)) for n in range(0, 100, 10)])
    (2.0, 0.0)
    """
    settled = samples[int(len(samples) * _SETTLED) :]
    xs, ys = [float(s.requests) for s in settled], [float(s.usage.rss) for s in settled]
    x0, y0 = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - x0) ** 2 for x in xs)
    rise = sum((x - x0) * (y - y0) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum((y - y0 - rise * (x - x0)) ** 2 for x, y in zip(xs, ys, strict=True))
    return rise, float((rest / max(len(xs) - 2, 1) / spread) ** 0.5)


def _with_new_words(rng: random.Random, text: str) -> str:
    """Put in a word that nobody has seen, now and then."""
    if rng.random() < 0.5:
        return text
    new = "".join(rng.choices(string.ascii_letters, k=rng.randint(2, 20)))
    return f"{text} {new}"
