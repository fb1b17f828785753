"""Requests a second, one sentence each: ``python -m benchmarks.service``.

32 connections, one process, server and load on a core each. Asked in turn, several times over, so that all meet the
same machine:

    tag     POST /tag
    echo    POST /echo of the same process: all the same checks, and a constant answer (benchmarks/echo.py)
    spacy   a plain FastAPI endpoint around spaCy, if there is one: a folder with such a service.py, a Python that has
            what it needs, and a model

    PEER_DIR=peers PEER_PYTHON=peers/venv/bin/python SPACY_MODEL=peers/model-best \
        python -m benchmarks.service --corpus conll2003:test --json service.json

The load is wrk's where that is installed, else that of benchmarks/load.py.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.load import closed_loop, runner
from benchmarks.serving import HOST, Server
from benchmarks.workloads import SAMPLE, requests, texts

CONNECTIONS = 32
ECHO = (sys.executable, "-m", "benchmarks.echo")
_SCRIPT = """
local bodies, i = {}, 0
for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  i = i % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[i])
end
"""


class Target(NamedTuple):
    """Something to ask."""

    name: str
    server: Server
    path: str


class Round(NamedTuple):
    """What one target did in one round."""

    per_second: float
    """Answers of status 200."""
    p99_ms: float | None
    """None where the load does not tell."""
    cpu: float
    """The share of its core that the server took."""


class Load:
    """Asks as fast as it is answered."""

    def __init__(self, bodies: Sequence[str], cpu: int | None, scratch: Path) -> None:
        """Ask for these texts, from one core or, if it is None, from any; ``scratch`` is an empty folder."""
        self._bodies = bodies
        self._cpu = cpu
        self._wrk = shutil.which("wrk")
        self._script = scratch / "ask.lua"
        lines = scratch / "bodies.jsonl"
        lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in bodies), encoding="utf-8")
        self._script.write_text(_SCRIPT.replace("BODIES", str(lines)), encoding="utf-8")

    def __str__(self) -> str:
        return "wrk" if self._wrk else "benchmarks.load"

    def measure(self, target: Target, seconds: int) -> Round:
        """Ask one target for a while, after a moment to get warm."""
        self.ask(target, 1)
        before = target.server.usage().cpu
        per_second, p99_ms = self.ask(target, seconds)
        return Round(per_second, p99_ms, round((target.server.usage().cpu - before) / seconds, 2))

    def ask(self, target: Target, seconds: int) -> tuple[float, float | None]:
        """Ask one target for a while; answers a second, and p99 in milliseconds if the load tells."""
        cores = os.sched_getaffinity(0) if self._cpu is None else {self._cpu}
        if self._wrk is None:
            asked = requests(self._bodies, target.path)
            os.sched_setaffinity(0, cores)
            with runner() as run:
                work = closed_loop(target.server.port, asked, clients=CONNECTIONS, seconds=seconds, warm_up=0.2)
                return run.run(work), None
        command = [
            self._wrk,
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--timeout",
            "20s",
            "--latency",
            "-s",
            str(self._script),
        ]
        url = f"http://{HOST}:{target.server.port}{target.path}"
        wrk = subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(wrk.pid, cores)
        return read_wrk(wrk.communicate(timeout=seconds + 60)[0])


def read_wrk(output: str) -> tuple[float, float]:
    """Answers a second and p99 in milliseconds, from what wrk prints.

    Raises:
        RuntimeError: some answers were not 200, or did not come.
    """
    if wrong := re.search(r"Non-2xx.*|Socket errors.*", output):
        raise RuntimeError(wrong[0])
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"(?m)^\s+99%\s+([\d.]+)(us|ms|s)", output)
    if per_second is None or p99 is None:
        raise RuntimeError(f"wrk printed something else:\n{output}")
    return float(per_second[1]), round(float(p99[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99[2]], 2)


@contextmanager
def targets(cpu: int) -> Iterator[list[Target]]:
    """Start what is to be asked, all on the same core; only one of them is ever busy."""
    with ExitStack() as stack:
        ours = stack.enter_context(Server(ECHO, cpu=cpu, log_level="warning", drain_seconds=0))
        found = [Target("tag", ours, "/tag"), Target("echo", ours, "/echo")]
        if command := peer_command():
            peer = stack.enter_context(Server(command, cpu=cpu, ready="/docs"))
            found += [Target("spacy", peer, "/tag"), Target("spacy async", peer, "/tag_async")]
        yield found


def peer_command() -> list[str] | None:
    """What starts the peer, if all of it is there."""
    folder, python, model = (os.environ.get(name) for name in ("PEER_DIR", "PEER_PYTHON", "SPACY_MODEL"))
    if not (folder and python and model):
        print("no peer: PEER_DIR, PEER_PYTHON and SPACY_MODEL are not all set", flush=True)
        return None
    command = [python, "-m", "uvicorn", "service:app", "--app-dir", folder, "--host", HOST, "--port", "{port}"]
    return [*command, "--workers", "1", "--log-level", "warning", "--no-access-log"]


def main() -> None:
    """Ask in turn, print a line for each round, and the medians and ratios."""
    options = _parser().parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the peer has one core, too
    rounds: dict[str, list[Round]] = {}
    with tempfile.TemporaryDirectory() as scratch, targets(options.server_cpu) as asked:
        load = Load(texts("sentences", options.corpus), options.load_cpu, Path(scratch))
        for number in range(1, options.rounds + 1):
            for target in asked:
                found = load.measure(target, options.seconds)
                rounds.setdefault(target.name, []).append(found)
                print(
                    f"{number} {target.name:12} {found.per_second:8.0f}/s  p99 {found.p99_ms} ms  cpu {found.cpu}",
                    flush=True,
                )
    medians = {name: round(median(each.per_second for each in of), 1) for name, of in rounds.items()}
    ratios = {
        f"tag / {name}": round(median(a.per_second / b.per_second for a, b in zip(rounds["tag"], of, strict=True)), 3)
        for name, of in rounds.items()
        if name != "tag"
    }
    print(json.dumps({"load": str(load), "per_second": medians, "ratios": ratios}, indent=1))
    if options.json:
        figures = {
            "load": str(load),
            "options": vars(options),
            "rounds": rounds,
            "per_second": medians,
            "ratios": ratios,
        }
        options.json.write_text(json.dumps(figures, default=str, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.service"
    )
    parser.add_argument("--corpus", default=str(SAMPLE), help="a file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
