"""What the service does at twice its capacity: ``python -m benchmarks.load --seconds 60``.

First a closed loop finds the capacity: 64 clients, each with one request at a time. Then an open loop offers twice as
much for a minute: requests fall due at random moments (a Poisson process) that do not wait for answers, as those of
independent clients do. A request that finds every connection busy opens a new one; the wait for one, should all
be taken, counts into its latency.

    python -m benchmarks.load --kind documents --seconds 60
    python -m benchmarks.load --times 1.0 --json load.json            # offer exactly the capacity
    python -m benchmarks.load --corpus conll2003:test --set max_waiting=32

Server and load run on one core each. Latencies are given twice: from the moment a request was due, and from when it
was really sent; if they differ much, this program was too slow and not the server. Exits with 1 unless: only 200 and
503, each 503 with Retry-After, goodput at least 0.95 of the capacity, p99 at most 250 ms for what was accepted and
50 ms for what was refused.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.clients import Pool, Reply
from benchmarks.serving import Server
from benchmarks.workloads import KINDS, SAMPLE, requests, texts

CLIENTS = 64
GOODPUT = 0.95
ACCEPTED_MS, REFUSED_MS = 250, 50
_PER_CLIENT = 8  # connections that one client of the open loop may come to hold
_PATIENCE = 20  # seconds in which the last answers are waited for


async def closed_loop(
    port: int, asked: Sequence[bytes], *, clients: int = CLIENTS, seconds: float = 10, warm_up: float = 2
) -> float:
    """Let every client send its next request as soon as it has an answer.

    Args:
        port: of the server.
        asked: the requests, sent round and round.
        clients: how many ask at the same time.
        seconds: how long to count.
        warm_up: how long to ask before counting.

    Returns:
        Answers of status 200 a second.
    """
    pool, source, done = Pool(port, clients), cycle(asked), 0
    counting = time.perf_counter() + warm_up
    end = counting + seconds

    def again(reply: Reply) -> None:
        nonlocal done
        done += reply.status == 200 and counting <= reply.done < end
        if reply.done < end:
            pool.send(next(source), reply.done, again)

    for _ in range(clients):
        pool.send(next(source), time.perf_counter(), again)
    await asyncio.sleep(warm_up + seconds + 0.1)
    pool.close()
    return done / seconds


async def open_loop(
    port: int, asked: Sequence[bytes], *, rate: float, clients: int = CLIENTS, seconds: float = 60, seed: int = 1
) -> list[Reply]:
    """Send requests when they fall due, whatever has become of those before.

    Args:
        port: of the server.
        asked: the requests, sent round and round.
        rate: requests a second, all clients together.
        clients: independent sources; together they may come to hold eight connections each.
        seconds: how long requests fall due.
        seed: of the moments.

    Returns:
        The fate of every request that fell due and was answered within another 20 seconds.
    """
    pool, source, rng = Pool(port, clients * _PER_CLIENT), cycle(asked), random.Random(seed)
    replies: list[Reply] = []
    sent = 0
    begin = due = time.perf_counter()
    while due < begin + seconds:
        while due <= time.perf_counter():
            pool.send(next(source), due, replies.append)
            sent += 1
            due += rng.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    patience = time.perf_counter() + _PATIENCE
    while len(replies) < sent and time.perf_counter() < patience:
        await asyncio.sleep(0.05)
    pool.close()
    return replies


def summary(replies: Sequence[Reply], seconds: float, capacity: float) -> dict[str, Any]:
    """What became of an open loop's requests; times in milliseconds."""
    accepted = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 503]
    last_due = max(reply.due for reply in replies)
    goodput = sum(reply.done <= last_due for reply in accepted) / seconds
    return {
        "capacity": round(capacity, 1),
        "offered": round(len(replies) / seconds, 1),
        "goodput": round(goodput, 1),
        "goodput_of_capacity": round(goodput / capacity, 3),
        "statuses": dict(sorted(Counter(reply.status for reply in replies).items())),
        "without_retry_after": sum(not reply.retry_after for reply in refused),
        "accepted_ms": _percentiles([1000 * (reply.done - reply.due) for reply in accepted]),
        "accepted_from_sending_ms": _percentiles([1000 * (reply.done - reply.sent) for reply in accepted]),
        "refused_ms": _percentiles([1000 * (reply.done - reply.due) for reply in refused]),
        "refused_from_sending_ms": _percentiles([1000 * (reply.done - reply.sent) for reply in refused]),
        "sent_late_ms": _percentiles([1000 * (reply.sent - reply.due) for reply in replies]),
    }


def faults(figures: dict[str, Any]) -> list[str]:
    """What of the promise is not kept; nothing, if all is well."""
    found = [f"{count} answers of status {status}" for status, count in figures["statuses"].items()
             if status not in (200, 503)]  # fmt: skip
    if figures["without_retry_after"]:
        found.append(f"{figures['without_retry_after']} refusals without Retry-After")
    if figures["goodput_of_capacity"] < GOODPUT:
        found.append(f"goodput is {figures['goodput_of_capacity']} of the capacity, below {GOODPUT}")
    for name, limit in (("accepted_ms", ACCEPTED_MS), ("refused_ms", REFUSED_MS)):
        if figures[name]["p99"] > limit:
            found.append(f"p99 of {name} is {figures[name]['p99']}, above {limit}")
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Start a server, find its capacity, and offer it a multiple of that."""
    asked = requests(texts(options.kind, options.corpus))
    os.sched_setaffinity(0, {options.load_cpu})
    settings = dict(pair.split("=", 1) for pair in options.set)
    gc.disable()  # a pause of this program would pass for one of the server
    with Server(cpu=options.server_cpu, **{"log_level": "warning", **settings}) as server, runner() as run:
        capacity = run.run(closed_loop(server.port, asked, seconds=options.calibrate))
        print(f"capacity, closed loop, {CLIENTS} clients: {capacity:.0f} {options.kind} a second", flush=True)
        work = open_loop(server.port, asked, rate=options.times * capacity, seconds=options.seconds, seed=options.seed)
        figures = summary(run.run(work), options.seconds, capacity)
        figures["server"] = str(server.usage())
    return figures


def runner() -> asyncio.Runner:
    """An event loop that is fast."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def _percentiles(values: list[float]) -> dict[str, float]:
    """Median, p99 and the most, to a tenth; zeros if there are no values."""
    ranked = sorted(values) or [0.0]
    places = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(ranked[min(len(ranked) - 1, int(len(ranked) * share))], 1) for name, share in places.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.load"
    )
    parser.add_argument("--kind", choices=KINDS, default="documents", help="what one request holds")
    parser.add_argument("--corpus", default=str(SAMPLE), help="a file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--times", type=float, default=2.0, help="what to offer, as a multiple of the capacity")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--calibrate", type=float, default=10, help="seconds in which the capacity is found")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server")
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


def main() -> int:
    """Return 0 if everything that is promised under overload was kept."""
    options = _parser().parse_args()
    figures = measure(options)
    for name, value in figures.items():
        print(f"{name:26} {value}")
    found = faults(figures)
    print("\n".join(f"NOT AS PROMISED: {fault}" for fault in found) or "all as promised")
    if options.json:
        options.json.write_text(json.dumps(vars(options) | figures, default=str, indent=1) + "\n", encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
