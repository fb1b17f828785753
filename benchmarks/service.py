"""Requests a second, one sentence each: ``python -m benchmarks.service``.

32 connections, one process, server and load on a core each. Asked in turn, several times over, so that all meet the
same machine:

    tag, new text       POST /tag of a service just started, sentences that do not repeat: of --texts, or with words
                        that are made up
    tag, the corpus     POST /tag, the sentences of --corpus in their order, again and again
    tag, one sentence   POST /tag, the same one again and again
    echo                POST /echo of the same process: the same checks, all of the application, and a constant answer
                        (benchmarks/echo.py)
    plain FastAPI       an endpoint of FastAPI alone that answers a constant (benchmarks/bounds.py)
    raw ASGI            the same without FastAPI: the most that uvicorn makes
    spacy               a plain FastAPI endpoint around spaCy, asked for the corpus, if there is one: a folder with such
                        a service.py, a Python that has what it needs, and a model

    PEER_DIR=peers PEER_PYTHON=peers/venv/bin/python SPACY_MODEL=peers/model-best \
        python -m benchmarks.service --corpus conll2003:test --texts texts.json --json service.json

``--texts`` is JSON with a list of texts in ``texts``. The load is wrk's where that is installed, else that of
benchmarks/load.py.
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

from benchmarks.contest.table import markdown
from benchmarks.load import closed_loop, runner
from benchmarks.serving import FENESTRA, HOST, Server
from benchmarks.workloads import SAMPLE, new_sentences, requests, sentences_of, texts

CONNECTIONS = 32
ECHO = (sys.executable, "-m", "benchmarks.echo")
PLAIN = "plain FastAPI"
_UVICORN = "-m uvicorn --host {host} --port {port} --workers 1 --log-level warning --no-access-log".split()
_SCRIPT = """
local bodies, i = {}, tonumber(os.getenv("BEGIN"))
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
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
    bodies: "Bodies"
    fresh: bool = False
    """Whether the server starts anew for each round: what it has seen before would count."""


class Bodies(NamedTuple):
    """What is posted, in its order, and then from the beginning."""

    texts: Sequence[str]
    file: Path
    """The same, as JSON, a line each."""

    @classmethod
    def write(cls, texts: Sequence[str], file: Path) -> "Bodies":
        """Write texts into a file."""
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        return cls(texts, file)


class Round(NamedTuple):
    """What one target did in one round."""

    per_second: float
    """Answers of status 200."""
    p99_ms: float | None
    """None where the load does not tell."""
    cpu: float
    """The share of its core that the server took."""
    cpu_us: float
    """Microseconds of its core that a request took: other than the rate, it does not depend on who else is busy."""


class Load:
    """Asks as fast as it is answered."""

    def __init__(self, cpu: int | None, scratch: Path) -> None:
        """Ask from one core or, if it is None, from any; ``scratch`` is an empty folder."""
        self._cpu = cpu
        self._wrk = shutil.which("wrk")
        self._script = scratch / "ask.lua"
        self._script.write_text(_SCRIPT, encoding="utf-8")
        self._asked: dict[str, int] = {}

    def __str__(self) -> str:
        return "wrk" if self._wrk else "benchmarks.load"

    def measure(self, target: Target, seconds: int) -> Round:
        """Ask one target for a while, after a moment to get warm."""
        if target.fresh:
            target.server.terminate()
            target.server.process.wait(30)
            target.server.start()
            target.server.wait_ready()
            self._asked[target.name] = 0
        self.ask(target, 1)
        before = target.server.usage().cpu
        per_second, p99_ms = self.ask(target, seconds)
        used = target.server.usage().cpu - before
        return Round(per_second, p99_ms, round(used / seconds, 2), round(used / seconds / per_second * 1e6, 1))

    def passes(self, target: Target) -> float:
        """How often the last round has been through all that it posts."""
        return self._asked[target.name] / len(target.bodies.texts)

    def ask(self, target: Target, seconds: int) -> tuple[float, float | None]:
        """Ask one target for a while; answers a second, and p99 in milliseconds if the load tells."""
        cores = os.sched_getaffinity(0) if self._cpu is None else {self._cpu}
        begin = self._asked.get(target.name, 0)
        if self._wrk is None:
            order = [*target.bodies.texts[begin % len(target.bodies.texts) :], *target.bodies.texts]
            os.sched_setaffinity(0, cores)
            with runner() as run:
                asked = requests(order, target.path)
                work = closed_loop(target.server.port, asked, clients=CONNECTIONS, seconds=seconds, warm_up=0.2)
                per_second, p99_ms = run.run(work), None
                self._asked[target.name] = begin + round(per_second * (seconds + 0.2))
            return per_second, p99_ms
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
        asks = {"BODIES": str(target.bodies.file), "BEGIN": str(begin)}
        wrk = subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True, env=os.environ | asks)
        os.sched_setaffinity(wrk.pid, cores)
        count, per_second, p99_ms = read_wrk(wrk.communicate(timeout=seconds + 60)[0])
        self._asked[target.name] = begin + count
        return per_second, p99_ms


def read_wrk(output: str) -> tuple[int, float, float]:
    """How many answers there were, how many in a second, and p99 in milliseconds, from what wrk prints.

    Raises:
        RuntimeError: some answers were not 200, or did not come.
    """
    if wrong := re.search(r"Non-2xx.*|Socket errors.*", output):
        raise RuntimeError(wrong[0])
    count = re.search(r"(\d+) requests in", output)
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"(?m)^\s+99%\s+([\d.]+)(us|ms|s)", output)
    if count is None or per_second is None or p99 is None:
        raise RuntimeError(f"wrk printed something else:\n{output}")
    return int(count[1]), float(per_second[1]), round(float(p99[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[p99[2]], 2)


@contextmanager
def targets(cpu: int, corpus: Sequence[str], new: Sequence[str], scratch: Path) -> Iterator[list[Target]]:
    """Start what is to be asked, all on the same core; only one of them is ever busy."""
    with ExitStack() as stack:

        def start(command: Sequence[str], ready: str = "/readyz", **settings: object) -> Server:
            return stack.enter_context(Server(command, cpu=cpu, ready=ready, **settings))

        def bounds(name: str, ready: str) -> Server:
            command = [part.replace("{host}", HOST) for part in _UVICORN]
            return start([sys.executable, *command, f"benchmarks.bounds:{name}"], ready)

        sentences = Bodies.write(corpus, scratch / "corpus.jsonl")
        unseen = Bodies.write(new, scratch / "new.jsonl")
        one = Bodies.write([min(new[:1000], key=lambda text: abs(len(text.split()) - 22))], scratch / "one.jsonl")
        ours = start(ECHO, log_level="warning", drain_seconds=0)
        found = [
            Target("tag, new text", start(FENESTRA, log_level="warning", drain_seconds=0), "/tag", unseen, fresh=True),
            Target("tag, the corpus", ours, "/tag", sentences),
            Target("tag, one sentence", ours, "/tag", one),
            Target("echo", ours, "/echo", sentences),
            Target(PLAIN, bounds("plain", "/docs"), "/tag", sentences),
            Target("raw ASGI", bounds("raw", "/"), "/tag", sentences),
        ]
        if command := peer_command():
            peer = start(command, "/docs")
            found += [
                Target("spacy", peer, "/tag", sentences),
                Target("spacy async", peer, "/tag_async", sentences),
            ]
        yield found


def peer_command() -> list[str] | None:
    """What starts the peer, if all of it is there."""
    folder, python, model = (os.environ.get(name) for name in ("PEER_DIR", "PEER_PYTHON", "SPACY_MODEL"))
    if not (folder and python and model):
        print("no peer: PEER_DIR, PEER_PYTHON and SPACY_MODEL are not all set", flush=True)
        return None
    return [python, *(part.replace("{host}", HOST) for part in _UVICORN), "service:app", "--app-dir", folder]


def main() -> None:
    """Ask in turn, print a line for each round, and the medians and ratios."""
    options = _parser().parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the peer has one core, too
    rounds: dict[str, list[Round]] = {}
    if options.texts is None:
        print("no texts: --texts is not given, so new sentences have words that are made up", flush=True)
    new = new_sentences() if options.texts is None else sentences_of(options.texts)
    with (
        tempfile.TemporaryDirectory() as scratch,
        targets(options.server_cpu, texts("sentences", options.corpus), new, Path(scratch)) as asked,
    ):
        load = Load(options.load_cpu, Path(scratch))
        for number in range(1, options.rounds + 1):
            for target in asked:
                found = load.measure(target, options.seconds)
                rounds.setdefault(target.name, []).append(found)
                line = f"{number} {target.name:18} {found.per_second:8.0f}/s  p99 {found.p99_ms} ms  cpu {found.cpu}"
                print(f"{line}, {found.cpu_us} µs a request", flush=True)
                if target.fresh and load.passes(target) > 1:
                    print(f"  its texts were posted {load.passes(target):.1f} times: they repeat", flush=True)
    medians = {name: round(median(each.per_second for each in of), 1) for name, of in rounds.items()}
    ratios = {
        name: {
            other: round(median(a.per_second / b.per_second for a, b in zip(of, rounds[other], strict=True)), 3)
            for other in rounds
            if not other.startswith("tag") and other != name
        }
        for name, of in rounds.items()
        if name.startswith("tag")
    }
    print(_table(rounds, medians))
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


def _table(rounds: dict[str, list[Round]], medians: dict[str, float]) -> str:
    """The medians, with the least and the most, and how they compare to the plain endpoint."""
    rows = []
    for name, of in rounds.items():
        rates = [each.per_second for each in of]
        waits = [each.p99_ms for each in of if each.p99_ms is not None]
        pairs = list(zip(of, rounds[PLAIN], strict=True))
        rate, core = (
            median(a.per_second / b.per_second for a, b in pairs),
            median(b.cpu_us / a.cpu_us for a, b in pairs),
        )
        rows.append(
            (
                name,
                f"{medians[name]:,.0f} ({min(rates):,.0f} – {max(rates):,.0f})",
                f"{median(each.cpu_us for each in of):,.1f}",
                f"{median(waits):.1f}" if waits else "–",
                f"{rate:.2f}",
                f"{core:.2f}",
            )
        )
    head = ("", "requests/s", "µs of the core a request", "p99, ms", f"rate of {PLAIN}", "the same, by µs")
    return markdown(head, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.service"
    )
    parser.add_argument("--corpus", default=str(SAMPLE), help="a file, or NAME:SPLIT of a fetched corpus")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="JSON with a list of texts that do not repeat")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--load-cpu", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the figures there")
    return parser


if __name__ == "__main__":
    main()
