"""A hundred thousand requests made up at random: ``python -m benchmarks.fuzz --requests 100000``.

Of every request it is asserted that it is answered, or its connection ended, within two seconds; that the answer is no
5xx; that a refusal is short and in its envelope; that any other answer is in proportion to what was sent; and that what
was fine was answered by 200. Now and then a fixed request has to get the bytes that it got at first. Exits with 1 if
anything was otherwise, and prints the requests at fault; ``--seed`` makes the same requests again.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException

from benchmarks.probes import KINDS, Probe
from benchmarks.serving import Server
from benchmarks.wire import Answer, Wire, post

HANG = 2.0
LARGEST_REFUSAL = 8000
CANARY = post(b'{"text":["Ada Lovelace met Charles Babbage in London.","nobody"],"details":true}')
_EVERY = 250  # requests between two canaries
_STAY = 0.9  # how likely it is that the next request goes over the same connection
_PATIENCE = 0.05  # seconds in which a server that knows where a request ends has begun to answer, most of the time
_SHOWN = 20


@dataclass
class Kind:
    """What became of the requests of one kind."""

    statuses: Counter[int] = field(default_factory=Counter)
    """0 stands for a connection that ended without an answer."""
    slowest: float = 0.0
    """Seconds."""
    largest_refusal: int = 0


@dataclass
class Report:
    """What became of all requests."""

    kinds: dict[str, Kind] = field(default_factory=lambda: {name: Kind() for name in KINDS})
    faults: list[str] = field(default_factory=list)
    canaries: int = 0

    def table(self) -> str:
        """A line for each kind."""
        lines = [f"{'kind':11} {'requests':>8} {'slowest':>9} {'refusal':>8}  statuses"]
        for name, kind in self.kinds.items():
            statuses = " ".join(f"{status or 'closed'}:{count}" for status, count in sorted(kind.statuses.items()))
            row = f"{name:11} {kind.statuses.total():8} {1000 * kind.slowest:6.0f} ms {kind.largest_refusal:6} B"
            lines.append(f"{row}  {statuses}")
        return "\n".join([*lines, f"{self.canaries} canaries; {len(self.faults)} faults", *self.faults[:_SHOWN]])


class Fuzzer:
    """Sends requests to one server, over connections kept and new."""

    def __init__(self, port: int, seed: int) -> None:
        self.report = Report()
        self._port = port
        self._rng = random.Random(seed)
        self._wire: Wire | None = None
        self._golden = self._canary()

    def run(self, requests: int) -> Report:
        """Send so many."""
        names = [*KINDS]
        weights = [weight for _, weight in KINDS.values()]
        for number in range(1, requests + 1):
            (name,) = self._rng.choices(names, weights)
            self._try(name, KINDS[name][0](self._rng))
            if number % _EVERY == 0 or number == requests:
                self.report.canaries += 1
                if self._canary() != self._golden:
                    self.report.faults.append(f"after request {number}: the canary got another answer")
        self._drop()
        return self.report

    def _try(self, name: str, probe: Probe) -> None:
        """Send one request and look at what comes back."""
        kind, began = self.report.kinds[name], time.perf_counter()
        try:
            answer = self._exchange(probe)
        except (TimeoutError, HTTPException, ValueError) as error:
            self._drop()
            self.report.faults.append(f"{name}: {type(error).__name__} on {probe.raw[:300]!r}")
            return
        kind.slowest = max(kind.slowest, time.perf_counter() - began)
        kind.statuses[answer.status if answer else 0] += 1
        if not probe.leave and (fault := fault_of(probe, answer)):
            self.report.faults.append(f"{name}: {fault} for {probe.raw[:300]!r}")
        if answer and answer.status >= 400:
            kind.largest_refusal = max(kind.largest_refusal, len(answer.body))

    def _exchange(self, probe: Probe) -> Answer | None:
        if self._wire is None or not probe.whole or self._rng.random() > _STAY or self._wire.ended():
            self._drop()
            self._wire = Wire(self._port, HANG)
        wire = self._wire
        wire.send(probe.raw)
        if probe.leave:
            wire.reset()
            self._wire = None
            return None
        if not probe.whole and not wire.answered(_PATIENCE):
            wire.no_more()
        method = probe.raw.partition(b" ")[0].decode("latin-1")
        answer = wire.answer(method)
        if not probe.whole:
            wire.no_more()
            if not wire.closed(HANG):
                raise TimeoutError
        if answer is None or not probe.whole or answer.headers.get("connection") == "close":
            self._drop()
        return answer

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.socket.close()
            self._wire = None

    def _canary(self) -> bytes:
        with Wire(self._port) as wire:
            wire.send(CANARY)
            answer = wire.answer()
            return answer.body if answer else b""


def fault_of(probe: Probe, answer: Answer | None) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if answer is None:
        return "no answer" if probe.whole else ""
    if answer.status >= 500:
        return f"status {answer.status}"
    if probe.fine and answer.status != 200:
        return f"status {answer.status} instead of 200"
    if answer.status < 400:
        return "" if len(answer.body) <= 300_000 + 300 * len(probe.raw) else f"{len(answer.body)} bytes"
    if len(answer.body) > LARGEST_REFUSAL:
        return f"a refusal of {len(answer.body)} bytes"
    return "" if not answer.body or _in_envelope(answer) else f"status {answer.status} without the envelope"


def _in_envelope(answer: Answer) -> bool:
    try:
        error = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        return False
    return answer.headers.get("content-type") == "application/json" and set(error) == {"code", "message", "request_id"}


def main() -> int:
    """Return 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.fuzz"
    )
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with Server(log_level="error", drain_seconds=0) as server:
        began, before = time.monotonic(), server.usage()
        report = Fuzzer(server.port, options.seed).run(options.requests)
        print(report.table())
        seconds = time.monotonic() - began
        print(f"{options.requests} requests in {seconds:.0f} s; {before} → {server.usage()}")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
