"""How deep the queue is at shares of the capacity: ``python -m benchmarks.queue_depth``.

A closed loop of 64 clients finds the capacity; then requests fall due at random moments at a share of it, and
``fenestra_queue_depth`` is read four times a second. The autoscaler of ``deploy/kubernetes/queue-depth`` aims at a mean
that lies between that of a process with room and that of one without.
"""

import argparse
import asyncio
import statistics
import sys

from benchmarks.load import closed_loop, open_loop, runner
from benchmarks.serving import Server
from benchmarks.workloads import KINDS, requests, texts

SHARES = (0.5, 0.7, 0.8, 0.9, 1.0)


async def depth_at(server: Server, asked: list[bytes], rate: float, seconds: float) -> tuple[float, float]:
    """Mean depth of the queue, and p99 of the latency in milliseconds, while so many requests a second are sent."""
    load = asyncio.create_task(open_loop(server.port, asked, rate=rate, seconds=seconds))
    depths = []
    while not load.done():
        depths.append(await asyncio.to_thread(server.metric, "fenestra_queue_depth"))
        await asyncio.sleep(0.25)
    waits = sorted(1000 * (reply.done - reply.due) for reply in await load if reply.status == 200)
    return statistics.mean(depths), waits[int(0.99 * len(waits))]


async def measure(kind: str, seconds: float) -> None:
    """Print a line for each share."""
    asked = requests(texts(kind))
    with Server(cpu=0, log_level="warning") as server:
        capacity = await closed_loop(server.port, asked, seconds=seconds)
        print(f"capacity: {capacity:.0f} {kind} a second, 64 clients", flush=True)
        for share in SHARES:
            depth, p99 = await depth_at(server, asked, share * capacity, seconds)
            print(f"{share:.0%} of it: mean depth {depth:.1f}, p99 {p99:.0f} ms", flush=True)


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, default="documents", help="what one request holds")
    parser.add_argument("--seconds", type=float, default=15, help="of each share")
    options = parser.parse_args()
    with runner() as run:
        run.run(measure(options.kind, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
