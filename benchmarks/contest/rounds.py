"""Contenders in turn: round 1 of each, round 2 of each, and so on, so that all of them meet the same machine.

Every contender is a process that stays alive, pinned to its cores. While one is asked all others wait, so they share
cores without disturbing each other.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.contest.entrants import Entrant

ROOT = Path(__file__).parents[2]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


class Process:
    """A contender that is alive; a context manager that waits until its model is loaded.

    Args:
        entrant: what to start.
        cpus: the cores it may run on.
    """

    def __init__(self, entrant: Entrant, cpus: Sequence[int]) -> None:
        self.entrant = entrant
        self.facts: dict[str, Any] = {}
        self._cpus = cpus
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed in __exit__
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        threads = dict.fromkeys(_THREADS, str(self.entrant.threads))
        self._process = subprocess.Popen(
            self.entrant.command,
            cwd=ROOT,
            env={**os.environ, **threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        os.sched_setaffinity(self._process.pid, self._cpus)
        try:
            self.facts = self._read()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def ask(self, do: str, **question: object) -> dict[str, Any]:
        """Ask, and wait for the answer.

        Raises:
            RuntimeError: the contender ended; with the end of its log.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **question}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._log.seek(0)
        raise RuntimeError(f"{self.entrant.name} ended:\n{self._log.read()[-3000:]}")


@dataclass
class Row:
    """What one contender did in one way, one value a round."""

    contender: str
    way: str
    batch: str
    threads: int
    tokens: int
    """That a pass has."""
    seconds: list[float] = field(default_factory=list)
    first_tokens: int = 0
    first_seconds: list[float] = field(default_factory=list)
    """Of passes over one copy, after which nothing is forgotten; empty for contenders that are not asked to forget."""
    f1: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)


@contextmanager
def started(asked: Sequence[Entrant], cpus: Sequence[int], note: Callable[[str], None]) -> Iterator[list[Process]]:
    """Start all contenders, each on as many cores as it has threads."""
    with ExitStack() as stack:
        processes = []
        for entrant in asked:
            process = stack.enter_context(Process(entrant, cpus[: entrant.threads]))
            note(f"{entrant.name}, threads {entrant.threads}: loaded in {process.facts['load_seconds']:.2f} s")
            processes.append(process)
        yield processes


def plan(processes: Sequence[Process], batches: Sequence[str], tokens: int, copies: int) -> list[tuple[Process, Row]]:
    """The rows of the table, in the order in which a round goes through them."""
    return [
        (process, Row(process.entrant.name, way, batch, process.entrant.threads, tokens * _copies(batch, copies)))
        for process in processes
        for batch in batches
        if batch == "large" or not process.entrant.large_only
        for way in process.entrant.ways
    ]


def tune(planned: Sequence[tuple[Process, Row]], note: Callable[[str], None]) -> None:
    """Let every contender look for its best settings, before the clock counts."""
    for process, row in planned:
        if row.batch == "large":
            row.settings = process.ask("tune", way=row.way)
            chosen = {name: value for name, value in row.settings.items() if name != "tried"}
            note(f"{row.contender}, {row.way}, threads {row.threads}: {chosen or 'nothing to choose'}")


def play(process: Process, row: Row, copies: int, tokens: int) -> None:
    """One round of one row: a first pass if that is told apart, then the pass that counts."""
    if process.entrant.forgets and row.batch == "large":
        process.ask("fresh")
        row.first_tokens = tokens
        row.first_seconds.append(process.ask("pass", way=row.way, batch=row.batch, copies=1)["seconds"])
    answer = process.ask("pass", way=row.way, batch=row.batch, copies=_copies(row.batch, copies))
    row.seconds.append(answer["seconds"])


def score(process: Process, row: Row, gold: Mapping[tuple[str, str], Sequence[set[tuple[int, int, str]]]]) -> None:
    """F1 of what the last pass found, in per cent; every copy counts."""
    found = [{tuple(place) for place in places} for places in process.ask("found")["found"]]
    true = gold[row.way, row.batch]
    row.f1 = 100 * f1([true[number % len(true)] for number in range(len(found))], found)


def f1(gold: Sequence[set[Any]], found: Sequence[set[Any]]) -> float:
    """Micro-averaged F1 in [0, 1]; 0 where nothing is right.

    >>> f1([{1, 2}, set()], [{1}, {3}])
    0.5
    """
    right = sum(len(true & guess) for true, guess in zip(gold, found, strict=True))
    return 2 * right / (sum(map(len, gold)) + sum(map(len, found))) if right else 0.0


def _copies(batch: str, copies: int) -> int:
    """Single calls are slow enough to be timed over one copy."""
    return copies if batch == "large" else 1
