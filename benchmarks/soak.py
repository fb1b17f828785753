"""The tests of endurance in full length: ``python -m benchmarks.soak``, or ``make soak``.

    stops       200 servers are stopped by SIGTERM under load, at random moments
    reloads     100 reloads under load, one model over another
    memory      200,000 requests of varied length: memory, threads, descriptors
    overload    ten minutes at twice the capacity
    same-bytes  1,000 texts alone and in lists of 1 to 200, at every place, on 1 and 2 threads
    neighbours  what slow clients and large requests cost the others, a minute each

    python -m benchmarks.soak stops reloads            # only these
    python -m benchmarks.soak memory --size 1000000    # another length

Prints a line for each and exits with 1 if anything was otherwise than promised.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks import load
from benchmarks.memory import serve_many, slope
from benchmarks.neighbours import p99_beside_neighbours
from benchmarks.reloads import reloads_under_load
from benchmarks.same_bytes import LONGEST, compare
from benchmarks.serving import Server, Usage
from benchmarks.stops import stop_under_load
from benchmarks.workloads import requests, texts

_NOISE = 3  # standard errors that a slope may be off zero
_MEBIBYTE = 2**20
_FACTORS = {"slow": 1.2, "large": 2.0, "reloads": 3.0}  # by which each neighbour may raise the p99 of small requests


class Outcome(NamedTuple):
    """What one trial found."""

    kept: bool
    """Whether all was as promised."""
    told: str


def stops(size: int) -> Outcome:
    """``size`` stops."""
    lost, codes, statuses, longest = 0, Counter[int | None](), Counter[int](), 0.0
    for seed in range(size):
        result = stop_under_load(seed)
        lost += result.lost
        codes[result.exit_code] += 1
        statuses += result.statuses
        longest = max(longest, result.exit_seconds)
        if result.lost or result.exit_code:
            _say(f"  stop {seed}: {result}")
    kept = lost == 0 and set(codes) == {0} and set(statuses) == {200}
    return Outcome(kept, f"lost {lost} of {statuses.total()}, answers {dict(statuses)}, exits {dict(codes)}, "
                         f"longest {longest:.1f} s")  # fmt: skip


def reloads(size: int) -> Outcome:
    """``size`` reloads."""
    with tempfile.TemporaryDirectory() as scratch:
        result = reloads_under_load(Path(scratch), size)
    kept = set(result.statuses) == {200} and dict(result.reloads) == {200: size} and not result.mixed
    settled = result.usages[len(result.usages) // 2 :]
    return Outcome(
        kept and _constant(settled),
        f"reloads {dict(result.reloads)}, answers {dict(result.statuses)}, of mixed models {result.mixed}, "
        f"versions {len(result.versions)}; {settled[0]} → {settled[-1]}",
    )


def memory(size: int) -> Outcome:
    """``size`` requests."""
    samples = serve_many(size)
    rise, error = slope(samples)
    settled = [sample.usage for sample in samples[len(samples) // 4 :]]
    grown = rise * size
    # Flat within noise, or a rise too small to matter over all these requests.
    kept = (abs(rise) <= _NOISE * error or grown < 2 * _MEBIBYTE) and _constant(settled)
    return Outcome(
        kept,
        f"{settled[0]} → {settled[-1]}; slope {rise:.1f} ± {error:.1f} bytes a request, "
        f"{grown / _MEBIBYTE:.2f} MiB in all",
    )


def overload(size: int) -> Outcome:
    """``size`` seconds."""
    asked = requests(texts("documents"))
    os.sched_setaffinity(0, {1})
    with Server(log_level="warning", cpu=0) as server, load.runner() as run:
        capacity = run.run(load.closed_loop(server.port, asked))
        before = server.usage()
        replies = run.run(load.open_loop(server.port, asked, rate=2 * capacity, seconds=size))
        figures = load.summary(replies, size, capacity)
        after = server.usage()
    found = load.faults(figures)
    told = f"{figures['statuses']}, goodput {figures['goodput_of_capacity']}, accepted {figures['accepted_ms']}, "
    return Outcome(not found, f"{told}refused {figures['refused_ms']}; {before} → {after}; {found}")


def same_bytes(size: int) -> Outcome:
    """``size`` texts."""
    chosen = list(dict.fromkeys(texts("sentences", str(_TRAIN)) + texts("sentences") + texts("sentences", str(_DEV))))
    while len(chosen) < size:
        chosen += [f"{text} {len(chosen)}" for text in chosen[: size - len(chosen)]]
    told, kept = [], True
    for threads in (1, 2):
        with Server(log_level="warning", threads=threads) as server, load.runner() as run:
            found = run.run(compare(server, chosen[:size], lengths=range(1, LONGEST + 1)))
        kept &= found.different == 0 and found.places == LONGEST * (LONGEST + 1) // 2
        told.append(f"{threads} threads: {found}")
    return Outcome(kept, "; ".join(told))


def neighbours(size: int) -> Outcome:
    """``size`` seconds beside each kind of neighbour."""
    os.sched_setaffinity(0, {1})
    with Server(log_level="warning", cpu=0) as server, load.runner() as run:
        p99 = run.run(p99_beside_neighbours(server, size))
    factors = {name: round(value / p99["alone"], 2) for name, value in p99.items()}
    kept = all(factors[name] <= most for name, most in _FACTORS.items())
    return Outcome(kept, f"p99 of a small request in ms {p99}, as a factor {factors}")


_TRAIN, _DEV = (Path(__file__).parents[1] / "data" / "sample" / f"{split}.conll" for split in ("train", "dev"))
TRIALS: dict[str, tuple[Callable[[int], Outcome], int]] = {
    "stops": (stops, 200), "reloads": (reloads, 100), "memory": (memory, 200_000), "overload": (overload, 600),
    "same-bytes": (same_bytes, 1_000), "neighbours": (neighbours, 60),
}  # fmt: skip


def _constant(usages: list[Usage]) -> bool:
    """Whether threads and descriptors stayed as they were."""
    threads = {usage.threads for usage in usages}
    return len({usage.descriptors for usage in usages}) == 1 and max(threads) - min(threads) <= 1  # one may be loading


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Return 0 if all was as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.soak"
    )
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=f"of {', '.join(TRIALS)}; all unless named")
    parser.add_argument("--size", type=int, help="instead of the full length; what it counts stands above")
    options = parser.parse_args()
    if unknown := set(options.trials) - set(TRIALS):
        parser.error(f"no such trial: {', '.join(sorted(unknown))}")
    kept = True
    for name in options.trials or TRIALS:
        trial, full = TRIALS[name]
        began = time.monotonic()
        outcome = trial(options.size or full)
        kept &= outcome.kept
        _say(f"{name:10} {'kept' if outcome.kept else 'BROKEN'}: {outcome.told}; {time.monotonic() - began:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
