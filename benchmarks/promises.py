"""What the project promises, each with its figure: ``python -m benchmarks.promises``, or ``make promises``.

Runs the command of every promise and writes docs/promises.md. No figure in there comes from anywhere else.

    python -m benchmarks.promises --only loss --only memory    # run these again, and keep the other rows
    python -m benchmarks.promises --long                       # hours instead of minutes

Exits with 1 if a promise was not kept; its row says so.
"""

import argparse
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "docs" / "promises.md"
_HEAD = """# Promises

Each row is a promise, the figure of its last run, and the command that gave the figure. `make promises` runs all of
them in their short form, `make promises PROMISE_ARGS=--long` in full length, `PROMISE_ARGS="--only loss"` one. No
figure here was written by hand.

| promise | what it says | kept | figure | command | run |
|---|---|---|---|---|---|
"""


class Promise(NamedTuple):
    """One of them."""

    says: str
    command: str
    """Of a module of benchmarks; ``{}`` stands for its length."""
    short: int
    long: int
    figure: str
    """A regular expression: what of the output tells."""


PROMISES = {
    "loss": Promise("a stop under load loses no accepted request", "soak stops --size {}", 20, 200, r"lost .*"),
    "reloads": Promise("a reload under load loses none, and no answer is of two models",
                       "soak reloads --size {}", 20, 100, r"reloads \{.*"),
    "goodput": Promise("at twice the capacity, 0.9 of the capacity is answered, the rest refused at once",
                       "soak overload --size {}", 20, 600, r"(?<=kept: |OKEN: ).*"),
    "memory": Promise("memory, threads and descriptors do not grow",
                      "soak memory --size {}", 20_000, 200_000, r"(?<=kept: |OKEN: ).*"),
    "byte-equality": Promise("an answer's bytes depend on its text alone, whatever it is tagged with",
                             "soak same-bytes --size {}", 100, 1_000, r"1 threads.*"),
    "neighbours": Promise("slow clients raise the p99 of the others by 1.2 at most, large requests by 2",
                          "soak neighbours --size {}", 10, 60, r"p99 of .*"),
    "HTTP fuzz": Promise("any request is answered or refused, shortly and in its envelope",
                         "fuzz --requests {}", 5_000, 100_000, r"\d+ canaries; \d+ faults"),
    "C fuzz": Promise("any text, words or checkpoint: no undefined behaviour, tags as the reference's",
                      "fuzzing --seconds {}", 60, 3_600, r"\d[\d,]* executions in .*"),
    "stateful": Promise("in any order of requests, reloads and signals: one complete answer each, nothing left open",
                        "stateful --sequences {}", 100, 2_000, r"\d+ sequences of .*\n.*"),
    "safeguards": Promise("the stateful test notices the absence of each safeguard",
                          "stateful.safeguards --sequences {}", 200, 200, r"\d+ of \d+ safeguards.*"),
    "attacks": Promise("attacked: /livez p99 ≤ 50 ms, event loop kept ≤ 20 ms, ≤ 450 MB, then equal bytes",
                       "attacks --seconds {}", 5, 60, r"worst: .*"),
}  # fmt: skip


def main() -> int:
    """Return 0 if all were kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.promises"
    )
    parser.add_argument("--only", choices=list(PROMISES), action="append")
    parser.add_argument("--long", action="store_true", help="in full length")
    options = parser.parse_args()
    rows, kept = read_rows(PAGE), True
    for name in options.only or PROMISES:
        promise = PROMISES[name]
        print(f"{name}: {promise.says} …", flush=True)
        rows[name], holds = run(name, promise, promise.long if options.long else promise.short)
        print(f"  {rows[name]}", flush=True)
        kept &= holds
        write_rows(PAGE, rows)
    return 0 if kept else 1


def run(name: str, promise: Promise, length: int) -> tuple[str, bool]:
    """Run its command; its row of the table, and whether it was kept."""
    command = f"benchmarks.{promise.command.format(length)}"
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], capture_output=True, text=True, errors="replace", check=False
    )
    found = re.findall(promise.figure, done.stdout)
    figure = " ".join(found[-1].split()) if found else (done.stderr.strip().splitlines() or ["no figure"])[-1][:200]
    holds = done.returncode == 0 and bool(found)
    cells = [name, promise.says, "yes" if holds else "**no**", figure.replace("|", "/"), f"`python -m {command}`"]
    return f"| {' | '.join([*cells, f'{datetime.now(UTC):%Y-%m-%d}, {machine()}'])} |", holds


def machine() -> str:
    """The processor, and how many cores of it the process may use."""
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    model = re.search(r"^model name\s*: (.*)$", information, re.MULTILINE)
    return f"{len(os.sched_getaffinity(0))} × {model.group(1).strip() if model else 'unknown processor'}"


def read_rows(page: Path) -> dict[str, str]:
    """The rows of the page by name, as far as their promises still exist."""
    lines = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    named = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    return {name: named[name] for name in PROMISES if name in named}


def write_rows(page: Path, rows: dict[str, str]) -> None:
    """Write the page, its rows in the order of the promises."""
    page.write_text(_HEAD + "".join(f"{rows[name]}\n" for name in PROMISES if name in rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
