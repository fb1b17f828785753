"""What further workers are worth, and what they cost: ``python -m benchmarks.workers --corpus conll2003:test``.

The service with one process and with several, each asked in turn, several times over, so that all meet the same
machine: requests a second, one sentence each on 32 connections; seconds from the start to ready; and memory, what is
shared counted once, when it is ready, after the load, and after a reload of another version: at once, and when the
workers have been replaced by such that share it.

No process is bound to a core. With no more cores than workers the load takes its share of them, and the workers the
less: ``cpu`` says how many cores the service had. So two ratios are told: of requests a second, and of requests for
each second that a core was at work.
"""

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.checkpoints import put_in_place, write_variant
from benchmarks.contest.table import markdown
from benchmarks.service import Bodies, Load, Target
from benchmarks.serving import Server, usage
from benchmarks.workloads import SAMPLE, texts
from fenestra.model.engine.cores import available_cores

_RENEW_SECONDS = 30


class Memory(NamedTuple):
    """What a service holds, in bytes."""

    total: int
    """All its processes together, what they share counted once."""
    own: tuple[int, ...]
    """What each worker shares with no other process."""


class Round(NamedTuple):
    """What one service did in one round."""

    per_second: float
    """Answers of status 200."""
    p99_ms: float | None
    cpu: float
    """Cores that all its processes took together."""


def processes(server: Server) -> list[int]:
    """The process ids of a service: its first process, then its workers."""
    pid = server.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]


def memory(server: Server) -> Memory:
    """What a service holds now."""
    shares, own = [], []
    for pid in processes(server):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        found = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        shares.append(found["Pss"])
        own.append(found["Private_Clean"] + found["Private_Dirty"])
    return Memory(sum(shares), tuple(own[1:] or own))


def measure(load: Load, target: Target, seconds: int) -> Round:
    """Ask a service for a while, after a moment to get warm."""
    load.ask(target, 1)
    before = sum(usage(pid).cpu for pid in processes(target.server))
    per_second, p99_ms = load.ask(target, seconds)
    spent = sum(usage(pid).cpu for pid in processes(target.server)) - before
    return Round(per_second, p99_ms, round(spent / seconds, 2))


def reload(server: Server, source: Path, served: Path) -> tuple[Memory, Memory]:
    """Reload another version; what the service holds then, and when its workers have been replaced."""
    before = set(processes(server)[1:])
    put_in_place(source, served)
    if (status := server.request("POST", f"/models/{served.name}/reload", b"", seconds=120)[0]) != 200:
        raise RuntimeError(f"a reload of status {status}")
    at_once, end = memory(server), time.monotonic() + _RENEW_SECONDS
    while before & set(processes(server)) and time.monotonic() < end:
        time.sleep(0.1)
    return at_once, memory(server)


def main() -> None:
    """Measure, and print a table for memory and one for speed."""
    options = _parser().parse_args()
    counts = (1, options.workers)
    ready: dict[int, list[float]] = {count: [] for count in counts}
    held: dict[int, list[Memory]] = {count: [] for count in counts}
    rounds: dict[int, list[Round]] = {count: [] for count in counts}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        scratch = Path(name)
        load = Load(None, scratch)
        bodies = Bodies.write(texts("sentences", options.corpus), scratch / "bodies.jsonl")
        for temperature in (1.0, 1.3):
            write_variant(scratch / str(temperature), temperature=temperature)
        folders = {count: scratch / f"served{count}" for count in counts}
        for folder in folders.values():
            folder.mkdir()
            put_in_place(scratch / "1.0", folder)
        for _ in range(options.rounds):
            for count in counts:
                with Server(workers=count, model=folders[count], log_level="warning", drain_seconds=0) as server:
                    ready[count].append(time.monotonic() - server.began)
        servers = {
            count: stack.enter_context(
                Server(workers=count, model=folders[count], log_level="warning", drain_seconds=0)
            )
            for count in counts
        }
        for count, server in servers.items():
            held[count].append(memory(server))
        for number in range(1, options.rounds + 1):
            for count, server in servers.items():
                found = measure(load, Target(f"{count} workers", server, "/tag", bodies), options.seconds)
                rounds[count].append(found)
                print(f"{number} {count} workers {found.per_second:8.0f}/s  p99 {found.p99_ms} ms  cpu {found.cpu}")
        for count, server in servers.items():
            held[count] += [memory(server), *reload(server, scratch / "1.3", folders[count])]
    one, several = (held[count] for count in counts)
    further = [round((b.total - a.total) / (options.workers - 1)) for a, b in zip(one, several, strict=True)]
    pairs = list(zip(rounds[1], rounds[options.workers], strict=True))
    ratios = [b.per_second / a.per_second for a, b in pairs]
    for_each_core = [b.per_second / b.cpu / (a.per_second / a.cpu) for a, b in pairs]
    when = ("ready", "after the load", "after a reload", "workers replaced")
    lines = [
        (moment, _mb(a.total), _mb(b.total), _mb(more), " ".join(map(_mb, b.own)))
        for moment, a, b, more in zip(when, one, several, further, strict=True)
    ]
    head = ("memory, MB", "1 process", f"{options.workers} workers", "each further worker", "of each worker alone")
    print(markdown(head, lines))
    speed = [
        (
            str(count),
            f"{median(found.per_second for found in rounds[count]):,.0f}",
            f"{median(found.cpu for found in rounds[count]):.2f}",
            f"{median(ready[count]):.2f}",
        )
        for count in counts
    ]
    print(markdown(("workers", "requests/s", "cores taken", "start to ready, s"), speed))
    of_all = f"{median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f})"
    of_a_core = f"{median(for_each_core):.2f} ({min(for_each_core):.2f} – {max(for_each_core):.2f})"
    print(f"{options.workers} workers / 1: {of_all} requests/s, {of_a_core} for each core taken; load: {load}")
    if options.json:
        figures = {
            "ready": ready,
            "memory": held,
            "further": further,
            "rounds": rounds,
            "ratios": ratios,
            "for_each_core": for_each_core,
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.workers"
    )
    parser.add_argument("--corpus", default=str(SAMPLE), help="a file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--workers", type=int, default=available_cores(), help="of the service with several")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
