"""Bulk tagging on Ray beside local workers: equal bytes, speed and memory, and workers and driver that are killed.

    python -m benchmarks.ray [--sentences 1000000] [--repeats 1] [--seed 1]

Half of the sentences lie in JSON lines, half in Parquet; every 5000th is none that can be tagged. The texts are those
of ``benchmarks/integrations/rows.py``: they do not repeat where the collection is there. Prints, by turns, tokens a
second by the clock and for each CPU second of the workers, and the memory of a worker of Ray. Then, on Ray of this
machine and on a cluster of two nodes with an object store each, it kills two workers four times and the driver once,
gives the same command again, and compares every byte and every id. Exits with 1 if anything differs. Linux only: it
looks into /proc.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
from pyarrow import parquet

from benchmarks.integrations.rows import some_texts

_EVERY_BAD = 5_000
_FILES = 4  # of JSON lines, and of Parquet
_WORKERS = 2
_TICKS = os.sysconf("SC_CLK_TCK")
_WATCH_SECONDS = 0.25
_KILLS_OF_EACH = 2


def main() -> int:
    """Return 0 if every run ends with the bytes of the local one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.nodes:
        return serve_nodes()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        place = Place(Path(scratch))
        write(place.texts, options.sentences)
        measure(place, options.repeats)
        right = place.same("ray")
        for name in ("here", "two nodes"):
            with two_nodes() if name == "two nodes" else nothing() as (environment, above):
                right &= killed(place, name, environment, above, rng)
    return 0 if right else 1


@dataclass(frozen=True)
class Place:
    """The folder of all that is read and written."""

    folder: Path

    @property
    def texts(self) -> Path:
        """What is tagged."""
        return self.folder / "texts"

    def command(self, name: str, *engine: str) -> list[str]:
        """What is run; its results have a name."""
        base = [sys.executable, "-m", "fenestra", "tag", str(self.texts), "--workers", str(_WORKERS), *engine]
        return [*base, "-o", f"{self.folder / name}/", "--bad-lines", str(self.folder / f"{name}.bad")]

    def same(self, name: str) -> bool:
        """Whether results are those of local workers, to the last byte, and have every id once."""
        found, expected = self.bytes_of(name), self.bytes_of("local")
        ids = Counter(json.loads(line)["id"] for path in found for line in found[path].splitlines() if path != "bad")
        bad = [json.loads(json.loads(line)["raw"])["id"] for line in found["bad"].splitlines()]
        total = sum(ids.values()) + len(bad)
        once = set(ids.values()) == {1} and sorted([*ids, *bad]) == list(range(total))
        print(
            f"  {sum(ids.values()):,} rows and {len(bad):,} dead letters, every id once: {once}; "
            f"bytes of the local engine: {found == expected}",
            flush=True,
        )
        return once and found == expected

    def bytes_of(self, name: str) -> dict[str, bytes]:
        """The files of results; the dead letters are called bad."""
        files = {path.name: path.read_bytes() for path in sorted((self.folder / name).rglob("*")) if path.is_file()}
        return {**files, "bad": (self.folder / f"{name}.bad").read_bytes()}


def write(folder: Path, count: int) -> None:
    """Write sentences of 8 to 13 words: one collection, cut at other places in every pass."""
    folder.mkdir()
    sentences: list[str] = []
    words = 8
    while len(sentences) < count:
        sentences += some_texts(count - len(sentences), words)
        words += 1
    rows = [{"id": n, "text": None if n % _EVERY_BAD == 0 else text} for n, text in enumerate(sentences)]
    size = -(-count // (2 * _FILES))
    for number in range(2 * _FILES):
        some = rows[number * size : (number + 1) * size]
        if number % 2:
            parquet.write_table(pyarrow.Table.from_pylist(some), folder / f"{number}.parquet", row_group_size=20_000)
        else:
            (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    print(f"{count:,} sentences, {sum(map(len, map(str.split, sentences))):,} words by blanks", flush=True)


def measure(place: Place, repeats: int) -> None:
    """Time both engines by turns."""
    best: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, engine in (("local", ()), ("ray", ("--engine", "ray"))):
            tokens, seconds, watch = timed(place, name, *engine)
            rates = [tokens / seconds, tokens / (seconds - watch.start_seconds), tokens / watch.cpu_of_workers()]
            best[name] = [max(pair) for pair in zip(rates, best.get(name, rates), strict=True)]
            print(
                f"{name}: {tokens:,} tokens in {seconds:.1f} s, {rates[0] / _WORKERS:,.0f} tokens/s a worker; without "
                f"the first {watch.start_seconds:.1f} s, until a unit was done, {rates[1] / _WORKERS:,.0f}; for a CPU "
                f"second of a worker after its start {rates[2]:,.0f}\n  CPU s: {watch.told()}; memory of a worker at "
                f"most {in_words(watch.megabytes)}",
                flush=True,
            )
    ratios = [ray / local for ray, local in zip(best["ray"], best["local"], strict=True)]
    print("ray / local: {:.2f} by the clock, {:.2f} without the start, {:.2f} by CPU time".format(*ratios), flush=True)


def in_words(megabytes: dict[str, int]) -> str:
    """Memory in words."""
    return ", ".join(f"{size} MB {name}" for name, size in megabytes.items())


def timed(place: Place, name: str, *engine: str) -> tuple[int, float, "Watch"]:
    """Run to the end; gives tokens, seconds with all starts, and what was seen of the processes."""
    began = time.perf_counter()
    process = subprocess.Popen(place.command(name, *engine), stderr=subprocess.PIPE, text=True, env=alike({}))
    with Watch(process.pid, lambda: stored(place, name) > 0) as watch:
        said = process.communicate()[1]
    seconds = time.perf_counter() - began
    if process.returncode != 2:  # there are dead letters
        sys.exit(f"{name} ended with {process.returncode}: {said}")
    summary = next(line for line in reversed(said.splitlines()) if line.startswith("tagged "))
    return int(summary.split()[3].replace(",", "")), seconds, watch


@dataclass
class Watch:
    """Looks at a process and all that it started, now and then."""

    root: int
    works: Callable[[], bool]
    """Whether the first unit is done."""
    start_seconds: float = 0.0
    """Until it was."""
    kinds: dict[int, str] = field(default_factory=dict)
    """What each process is."""
    cpu: dict[int, float] = field(default_factory=dict)
    """CPU seconds of each."""
    start_cpu: dict[int, float] = field(default_factory=dict)
    """Those until the first unit was done: starting Python and Ray's part of it, and loading the model."""
    megabytes: dict[str, int] = field(default_factory=lambda: {"resident": 0, "its part": 0, "its own": 0})
    """Of a worker, the most that was seen: resident; with its part of what is shared; without any of that."""

    def __enter__(self) -> "Watch":
        self._end, self._began = threading.Event(), time.perf_counter()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def cpu_of_workers(self) -> float:
        """CPU seconds of workers after their start."""
        return sum(self.cpu[pid] - self.start_cpu.get(pid, 0.0) for pid, kind in self.kinds.items() if kind == "worker")

    def told(self) -> str:
        """CPU seconds by kind of process."""
        kinds = Counter[str]()
        for pid, kind in self.kinds.items():
            kinds[kind] += self.cpu[pid]
        return ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in kinds.items())

    def _run(self) -> None:
        while not self._end.wait(_WATCH_SECONDS):
            for pid in below(self.root):
                with suppress(OSError, ValueError, IndexError, KeyError):
                    self._look(pid)
            if not self.start_seconds and self.works():
                self.start_seconds, self.start_cpu = time.perf_counter() - self._began, dict(self.cpu)

    def _look(self, pid: int) -> None:
        self.kinds[pid] = kind_of(pid, self.root) or self.kinds[pid]
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.cpu[pid] = (int(numbers[11]) + int(numbers[12])) / _TICKS
        if self.kinds[pid] == "worker":
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            sizes = {line.split()[0]: int(line.split()[1]) // 1000 for line in rollup.splitlines()[1:]}
            own = sizes["Private_Clean:"] + sizes["Private_Dirty:"]
            for name, size in (("resident", sizes["Rss:"]), ("its part", sizes["Pss:"]), ("its own", own)):
                self.megabytes[name] = max(self.megabytes[name], size)


def kind_of(pid: int, root: int) -> str:
    """What a process is: the one that was started, a worker, or one of Ray's own; empty if it has ended."""
    if pid == root:
        return "driver"
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    if command.startswith(b"ray::"):
        return "worker" if b"Worker" in command else "idle"
    return ("worker" if b"\0fenestra\0" in command else "Ray") if command else ""


def below(root: int) -> Iterator[int]:
    """A process and all that it started, and they."""
    yield root
    with suppress(OSError):
        for thread in Path(f"/proc/{root}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from below(int(child))


def killed(place: Place, name: str, environment: dict[str, str], above: int, rng: random.Random) -> bool:
    """Kill workers, and then the driver; give the same command again, kill workers again, and let it end."""
    address = ["--address", environment["address"]] if environment else []
    command = place.command(name, "--engine", "ray", *address)
    print(f"{name}:", flush=True)
    for share, kills in ((0.5, _KILLS_OF_EACH), (1.0, _KILLS_OF_EACH)):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=alike(environment))
        root = above or process.pid
        for _ in range(kills):
            wait_for(place, name, process, rng.uniform(0.1, 0.5) * 0.5 + share - 0.5)
            for pid in sorted(pid for pid in below(root) if pid != process.pid and is_worker(pid))[:_WORKERS]:
                os.kill(pid, signal.SIGKILL)
                print(f"  a worker was killed, {stored(place, name)} units kept", flush=True)
        if share < 1:
            wait_for(place, name, process, share)
            process.kill()
            print(f"  the driver was killed, {stored(place, name)} units kept", flush=True)
        said = process.communicate()[1]
        if share == 1 and process.returncode != 2:
            print(f"  ended with {process.returncode}: {said}", flush=True)
            return False
    return place.same(name)


def alike(environment: dict[str, str]) -> dict[str, str]:
    """An environment in which workers of Ray have the priority of local ones; it would give them a lower one."""
    return {**os.environ, "RAY_worker_niceness": "0", **environment}


def is_worker(pid: int) -> bool:
    """Whether a process is a worker of Ray that tags."""
    with suppress(OSError):
        return kind_of(pid, 0) == "worker"
    return False


def wait_for(place: Place, name: str, process: "subprocess.Popen[str]", share: float) -> None:
    """Wait until a share of all units is stored, or the process ended."""
    while process.poll() is None and stored(place, name) < share * place_units(place):
        time.sleep(0.05)


def stored(place: Place, name: str) -> int:
    """Units that are kept."""
    return len(list((place.folder / name).glob(".fenestra.parts/*/0*")))


def place_units(place: Place) -> int:
    """Units that the texts make, about: each has half a megabyte."""
    return sum(path.stat().st_size for path in place.texts.iterdir()) >> 19


@contextmanager
def nothing() -> Iterator[tuple[dict[str, str], int]]:
    """No cluster."""
    yield {}, 0


@contextmanager
def two_nodes() -> Iterator[tuple[dict[str, str], int]]:
    """Two nodes of Ray with a CPU and an object store each; gives what a driver needs, and the process above them."""
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-m", "benchmarks.ray", "--nodes"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=alike(environment)
    )
    try:
        yield {**environment, "address": process.stdout.readline().strip()}, process.pid
    finally:
        process.stdin.close()
        process.wait(60)


def serve_nodes() -> int:
    """Be two nodes until standard input ends."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 128 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
