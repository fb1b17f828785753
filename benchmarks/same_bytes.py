"""Answers are batch-invariant: a text gets the same bytes alone and in any batch.

Every text is posted alone first. Then, again and again, a random share of them is posted in lists of 1 to 200, so
that each text comes to stand at every place; while others post their own, so that what the server tags together is
never the same twice.

    differences = compare(server, texts, rounds=3)
"""

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.clients import Pool
from benchmarks.serving import Server
from benchmarks.wire import post

LONGEST = 200
_CLIENTS = 8


class Comparison(NamedTuple):
    """What was compared."""

    texts: int
    answers: int
    """Results that were compared with the one that the same text got alone."""
    different: int
    places: int
    """Pairs of a list's length and a place in it that were tried."""
    refused: int
    """Requests that were not answered by 200, and asked again."""


async def compare(server: Server, texts: Sequence[str], *, lengths: Sequence[int], seed: int = 1) -> Comparison:
    """Ask for texts alone and in lists of given lengths, several lists at the same time.

    Args:
        server: asked.
        texts: distinct.
        lengths: of the lists; for each, as many lists as bring a text to every place.
        seed: of the order.
    """
    pool = Pool(server.port, _CLIENTS, keep_bodies=True)
    alone: dict[str, bytes] = {}
    places: set[tuple[int, int]] = set()
    counts = {"answers": 0, "different": 0, "refused": 0}

    async def ask(batch: Sequence[str]) -> list[bytes]:
        raw = post(json.dumps({"text": list(batch), "details": True}).encode())
        while (reply := await pool.ask(raw)).status != 200:
            counts["refused"] += 1
            await asyncio.sleep(0.05)
        return results_of(reply.body, len(batch))

    for text in texts:
        (alone[text],) = await ask([text])
    work = batches(texts, lengths, seed)

    async def client() -> None:
        for batch in work:
            for place, (text, found) in enumerate(zip(batch, await ask(batch), strict=True)):
                counts["answers"] += 1
                counts["different"] += found != alone[text]
                places.add((len(batch), place))

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    pool.close()
    return Comparison(len(texts), places=len(places), **counts)


def batches(texts: Sequence[str], lengths: Sequence[int], seed: int) -> Iterator[list[str]]:
    """Lists of each length that together hold every text once or more, at random places."""
    rng, order = random.Random(seed), list(texts)
    for length in lengths:
        rng.shuffle(order)
        for begin in range(0, len(order), length):
            yield [order[place % len(order)] for place in range(begin, begin + length)]


def results_of(body: bytes, count: int) -> list[bytes]:
    """The JSON of each result in an answer, as it stands there.

    >>> results_of(b'{"model":{},"results":[{"entities":[]},{"entities":[{"start":0}]}]}', 2)
    [b'{"entities":[]}', b'{"entities":[{"start":0}]}']
    """
    text = body.decode()
    at = text.index('"results":[') + len('"results":[')
    found, decoder = [], json.JSONDecoder()
    while len(found) < count:
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = end + 1  # the comma, or the end of the list
    return found
