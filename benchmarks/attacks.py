"""What strangers have tried, one attack after another: ``python -m benchmarks.attacks --seconds 60``.

During each, ``/livez`` is asked twenty times a second on a new connection, as orchestrators do; a watchdog measures how
long the event loop is kept (benchmarks/watched.py); the kernel keeps the peak of the memory. Afterwards a fixed request
has to get the bytes that it got before. Every attack has a fresh server with the bundled English model.

    livez p99 ≤ 50 ms · longest callback ≤ 20 ms · peak of memory ≤ 450 MB · equal bytes afterwards

Exits with 1 if anything was otherwise. The first row is no attack: it tells what the machine adds.
"""

import argparse
import gzip
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.checkpoints import files_of, put_in_place, write_variant
from benchmarks.serving import HOST, Server, environment
from benchmarks.wire import Wire, chunked, post
from fenestra.model.bundled import bundled_model

LIVEZ_MS, BLOCK_MS, RSS_MB = 50.0, 20.0, 450.0
"""The promises."""
WATCHED = (sys.executable, "-m", "benchmarks.watched")
_PROBE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_PROBE_SECONDS = 0.05  # between two probes
_PATIENCE = 30.0  # seconds until a probe counts as lost
_NDJSON = {"Content-Type": "application/x-ndjson"}
_SMALL = post(b'{"text":"Ada Lovelace met Charles Babbage in London."}')
_CANARY = {"text": ["Ada Lovelace met Charles Babbage in London.", "nobody"], "details": True}
_MIB = 2**20

Told = Counter[str]
Doing = Callable[["Target", float], Told]


class Target(NamedTuple):
    """Whom an attack is against."""

    port: int
    pid: int
    served: Path
    """The folder of the model ``served``."""


@dataclass(frozen=True)
class Attack:
    """What is done, and how the server is set for it."""

    do: Doing
    """Attacks for so many seconds; tells what came of it."""
    settings: dict[str, Any] = field(default_factory=dict)
    deaf: bool = False
    """Whether nobody reads the server's standard error."""


# ── how to attack ──


def again(raws: Sequence[bytes], target: Target, seconds: float, clients: int = 4) -> Told:
    """So many clients send these requests, each on a new connection, and read what comes."""

    def work(number: int, told: Told, end: float) -> None:
        first = number % len(raws)
        _one_after_another([*raws[first:], *raws[:first]], target, told, end)

    return _in_threads(clients, work, seconds)


def _one_after_another(raws: Sequence[bytes], target: Target, told: Told, end: float) -> None:
    while time.monotonic() < end:
        for raw in raws:
            told[_exchange(target.port, raw, end)] += 1


def _exchange(port: int, raw: bytes, end: float) -> str:
    """Send and read; what came back in a word."""
    try:
        with Wire(port, max(end - time.monotonic(), 0.1)) as wire:
            wire.send(raw)
            answer = wire.answer()
            return str(answer.status) if answer else "closed"
    except TimeoutError:
        return "no answer in time"
    except (OSError, HTTPException, ValueError):
        return "broken off"


def _in_threads(count: int, work: Callable[[int, Told, float], None], seconds: float) -> Told:
    """Do some work in so many threads until the time is over."""
    told, end = Counter[str](), time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(number, told, end), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 5)
    return told


def nothing(target: Target, seconds: float) -> Told:
    """Nobody is there."""
    time.sleep(seconds)
    return Counter()


def one_byte_chunks(target: Target, seconds: float) -> Told:
    """A body that comes in chunks of a byte."""
    body = json.dumps({"text": "Ada " * 2000}).encode()
    one_by_one = chunked([body[at : at + 1] for at in range(len(body))])
    newlines = chunked([b"\n"] * 100_000, _NDJSON, path="/tag/stream")
    return again([one_by_one, newlines], target, seconds)


def abandoned_reloads(target: Target, seconds: float, name: str = "served") -> Told:
    """300 reloads in a burst, again and again, each socket closed at once."""
    told, end = Counter[str](), time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(300):
            with suppress(OSError), Wire(target.port, 1) as wire:
                wire.send(post(b"", path=f"/models/{name}/reload"))
                told["sent"] += 1
        time.sleep(0.5)
    return told


def reloads(target: Target, seconds: float) -> Told:
    """A reload a second."""
    told, end = Counter[str](), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        told[_exchange(target.port, post(b"", path="/models/served/reload"), end + 10)] += 1
        time.sleep(min(1.0, left))
    return told


def bad_folders(target: Target, seconds: float) -> Told:
    """Reloads of folders whose files are pipes, devices, holes, or agree with a manifest and make no model."""
    told, end = Counter[str](), time.monotonic() + seconds
    while time.monotonic() < end:
        for damage in _DAMAGES:
            damage(target.served)
            status = _exchange(target.port, post(b"", path="/models/served/reload"), end + 2)
            told[f"{status}" if status == "409" else f"{_name_of(damage)}: {status}"] += 1
            _clear(target.served)
        if time.monotonic() > end:
            break
    put_in_place(bundled_model(), target.served)
    told[f"good again: {_exchange(target.port, post(b'', path='/models/served/reload'), time.monotonic() + 10)}"] += 1
    return told


def watched_link(target: Target, seconds: float) -> Told:
    """Dangling links, as of an editor, in a watched folder: each next model must still be noticed."""
    (target.served / ".#config.json").symlink_to("nobody@nowhere.1")
    other = target.served.with_name("next")
    write_variant(other, temperature=1.3)
    told, end = Counter[str](), time.monotonic() + seconds - 4
    while time.monotonic() < end or told.total() % 2 or not told:  # the first model is there again at the end
        before = _version(target.port)
        put_in_place(bundled_model() if told.total() % 2 else other, target.served)
        patience = time.monotonic() + 4
        while (same := _version(target.port) == before) and time.monotonic() < patience:
            time.sleep(0.1)
        told["UNNOTICED" if same else "noticed"] += 1
    return told


def half_closes(target: Target, seconds: float) -> Told:
    """Requests whose client says that it sends no more, and waits."""

    def work(number: int, told: Told, end: float) -> None:
        while time.monotonic() < end:
            try:
                with Wire(target.port, 5) as wire:
                    wire.send(_SMALL)
                    wire.no_more()
                    answer = wire.answer()
                    told[str(answer.status) if answer else "CLOSED WITHOUT AN ANSWER"] += 1
            except (OSError, HTTPException):
                told["BROKEN OFF"] += 1

    return _in_threads(4, work, seconds)


def slow_readers(target: Target, seconds: float, rate: int = 90_000) -> Told:
    """Clients that read a large answer at 90 kB/s without a pause."""
    raw = post(json.dumps({"tokens": ["Ada"] * 100_000, "details": True}).encode())

    def work(number: int, told: Told, end: float) -> None:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.settimeout(20)
            client.connect((HOST, target.port))
            client.sendall(raw)
            begun = client.recv(rate // 10)
            if b" 503 " in begun[:16]:  # there is no memory for more such answers at once
                told["503"] += 1
                return
            while time.monotonic() < end:
                if not client.recv(rate // 10):
                    told["CUT OFF"] += 1
                    return
                time.sleep(0.1)
            told["still served"] += 1

    return _in_threads(8, _quietly(work), seconds)


def unread_answers(target: Target, seconds: float) -> Told:
    """64 clients ask for the largest answers, and read nothing."""
    raw = post(json.dumps({"tokens": ["Ada"] * 100_000, "details": True}).encode())

    def work(number: int, told: Told, end: float) -> None:
        while time.monotonic() < end:
            with Wire(target.port, 5) as wire:
                wire.send(raw * 4)
                while time.monotonic() < end and not wire.ended():
                    time.sleep(0.2)
            told["rounds"] += 1

    return _in_threads(64, _quietly(work), seconds)


def _quietly(work: Callable[[int, Told, float], None]) -> Callable[[int, Told, float], None]:
    """Count errors of the connection instead of raising them."""

    def quiet(number: int, told: Told, end: float) -> None:
        try:
            work(number, told, end)
        except OSError as error:
            told[type(error).__name__] += 1

    return quiet


def signals(target: Target, seconds: float) -> Told:
    """SIGHUP and SIGUSR1, beside small requests."""

    def work(number: int, told: Told, end: float) -> None:
        if number:
            return _one_after_another([_SMALL], target, told, end)
        while time.monotonic() < end:
            for number_of in (signal.SIGHUP, signal.SIGUSR1):
                with suppress(ProcessLookupError):
                    os.kill(target.pid, number_of)
                time.sleep(0.25)
        return None

    return _in_threads(2, work, seconds)


def worst_of_all(target: Target, seconds: float) -> Told:
    """64 clients at once with the largest and worst bodies of all the other attacks."""
    return again(WORST, target, seconds, clients=64)


# ── what is sent ──


def _bodies() -> dict[str, bytes]:
    """The largest bodies, each in about 2 MB."""
    fields = ",".join(f'"f{number}":0' for number in range(170_000))
    return {
        "wrong labels": b'{"text":"a","labels":[' + b",".join([b"1"] * 1_000_000) + b"]}",
        "unknown fields": b'{"text":"a",' + fields.encode() + b"}",
        "empty lists": b'{"text":"a","labels":[' + b",".join([b"[]"] * 690_000) + b"]}",
        "wrong tokens": json.dumps({"tokens": [1] * 100_000}).encode(),
        "empty tokens": b'{"tokens":[' + b",".join([b'""'] * 600_000) + b"]}",
        "wrong texts": b'{"text":[' + b",".join([b"{}"] * 690_000) + b"]}",
        "escapes": b'{"text":"' + b"\\u0041" * 330_000 + b'"}',
        "surrogates": b'{"text":"' + b"\\ud83d\\ude42" * 8_000 + b'","labels":["\\ud800"]}',
        "white space": b'{"text":"a"}' + b" " * 2_000_000,
        "long keys": b'{"' + b"k" * 2_000_000 + b'":1}',
        "many texts": json.dumps({"text": ["Ada met Ito. " * 150] * 1000, "details": True}).encode(),
        "many words": json.dumps({"tokens": ["Ada"] * 100_000, "details": True}).encode(),
    }


BODIES = _bodies()
_WRONG = [post(body) for name, body in BODIES.items() if not name.startswith("many")]
_LINES = [post(body + b"\n" + body, _NDJSON, path="/tag/stream") for body in BODIES.values() if len(body) < 2_090_000]
_NEWLINES = post(b"\n" * 262_144, _NDJSON, path="/tag/stream")
WORST = [*map(post, BODIES.values()), *_LINES, _NEWLINES]
_SAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
_ZIPPED = {"Content-Encoding": "gzip"}
_BOMB = gzip.compress(bytes(64 * _MIB)) * 16


def _pipe(name: str, folder: Path) -> None:
    put_in_place(bundled_model(), folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)


def _device(name: str, folder: Path) -> None:
    put_in_place(bundled_model(), folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")


def _hole(name: str, folder: Path) -> None:
    put_in_place(bundled_model(), folder)
    with (folder / name).open("r+b") as file:
        file.truncate(1500 * _MIB)


def _configured(folder: Path, **changed: Any) -> None:  # noqa: ANN401
    """A folder whose manifest agrees with its changed configuration."""
    files = files_of(bundled_model())
    config = json.loads(files["config.json"])
    config["model"] |= changed
    draft = folder.with_name("draft")
    write_variant(draft, changed={"config.json": json.dumps(config).encode()})
    put_in_place(draft, folder)
    _clear(draft)
    draft.rmdir()


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


_DAMAGES: list[Callable[[Path], None]] = [
    *(partial(kind, name) for kind in (_pipe, _device, _hole)
      for name in ("README.md", "manifest.json", "weights.safetensors")),
    *(partial(_configured, labels=labels)
      for labels in (["\ud800"], ["O"], ["\n"], ["x" * _MIB], [1], "LOCX", ["PER", "PER"])),
    partial(_configured, hidden=[40_000, 40_000]),
]  # fmt: skip


def _name_of(damage: Callable[[Path], None]) -> str:
    assert isinstance(damage, partial)
    told = [*map(str, damage.args), *(f"{name}={str(value)[:12]!r}" for name, value in damage.keywords.items())]
    return f"{damage.func.__name__.strip('_')} {' '.join(told)}"


ATTACKS = {
    "none": Attack(nothing),
    "wrong bodies": Attack(partial(again, _WRONG)),
    "wrong lines": Attack(partial(again, _LINES)),
    "newlines": Attack(partial(again, [_NEWLINES])),
    "one-byte chunks": Attack(one_byte_chunks),
    "abandoned reloads": Attack(abandoned_reloads),
    "reloads": Attack(reloads),
    "bad folders": Attack(bad_folders),
    "watched link": Attack(watched_link, {"watch_seconds": 0.2}),
    "deaf stderr": Attack(partial(again, [_SMALL]), {"log_level": "info"}, deaf=True),
    "half-closes": Attack(half_closes),
    "slow readers": Attack(slow_readers),
    "unread answers": Attack(unread_answers),
    "signals": Attack(signals),
    "sampled traces": Attack(partial(again, [post(b'{"text":"Ada"}', _SAMPLED)])),
    "gzip bombs": Attack(partial(again, [post(_BOMB, _ZIPPED), post(_BOMB, _ZIPPED | _NDJSON, path="/tag/stream")])),
    "worst of all": Attack(worst_of_all),
}


# ── measuring ──


@dataclass
class Row:
    """What one attack did."""

    livez: list[float]
    """Milliseconds from when a probe was due."""
    callback: float = 0.0
    turn: float = 0.0
    longest: str = ""
    rss: float = 0.0
    """Peak in MB."""
    told: Told = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Note which promises were not kept."""
        p99 = percentile(self.livez, 0.99)
        self.faults += [f"livez p99 {p99:.0f} ms"] * (p99 > LIVEZ_MS) + [f"loop {self.callback:.0f} ms"] * (
            self.callback > BLOCK_MS
        )
        self.faults += [f"{self.rss:.0f} MB"] * (self.rss > RSS_MB)
        self.faults += [what for what in self.told if what != what.lower()]

    def line(self, name: str) -> str:
        """Of the table."""
        told = ", ".join(f"{what} {count}" for what, count in self.told.most_common(4))
        p50, p99 = percentile(self.livez, 0.5), percentile(self.livez, 0.99)
        return (
            f"{name:18} {p50:7.1f} {p99:8.1f} {self.callback:8.1f} {self.turn:8.1f} {self.rss:6.0f}  "
            f"{'; '.join(self.faults) or 'as promised'}  [{told}; longest: {self.longest}]"
        )


class DeafServer(Server):
    """Nobody reads its standard error."""

    def start(self) -> None:
        """Start the process."""
        self.process = subprocess.Popen(
            self._command, env=environment(port=self.port, **self._settings), stderr=subprocess.PIPE
        )


def percentile(values: Sequence[float], share: float) -> float:
    """Of values in any order; infinite if there are none."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else float("inf")


def measure(attack: Attack, seconds: float) -> Row:
    """Attack a fresh server for so long."""
    row = Row([])
    with tempfile.TemporaryDirectory(prefix="fenestra-attacks-") as scratch:
        served = Path(scratch) / "served"
        served.mkdir()
        put_in_place(bundled_model(), served)
        kind = DeafServer if attack.deaf else Server
        settings = {"drain_seconds": 0, "log_level": "warning", "models": f"served={served}", **attack.settings}
        server = kind(WATCHED, **settings)
        with server:
            target = Target(server.port, server.process.pid, served)
            golden = server.tag(_CANARY)
            server.get("/watched")
            Path(f"/proc/{target.pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
            results: multiprocessing.Queue[Told] = multiprocessing.Queue()
            attacker = multiprocessing.Process(target=_attack, args=(attack.do, target, seconds, results), daemon=True)
            attacker.start()
            row.livez = probe(server.port, seconds)
            with suppress(Exception):
                row.told = results.get(timeout=40)
            attacker.terminate()
            attacker.join()
            _look(server, row, golden)
            if server.process.poll() is None and attack.deaf:
                server.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    server.process.wait(15)
                if server.process.poll() is None:
                    row.faults.append("SIGTERM does not end it")
                    server.kill()
    row.judge()
    return row


def _attack(do: Doing, target: Target, seconds: float, results: "multiprocessing.Queue[Told]") -> None:
    results.put(do(target, seconds))


def _look(server: Server, row: Row, golden: tuple[int, bytes]) -> None:
    """Read the watchdog and the peak of the memory, and ask the fixed request."""
    if server.process.poll() is not None:
        row.faults.append(f"DIED with {server.process.returncode}")
        return
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    row.rss = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    try:
        told = json.loads(server.get("/watched", 30)[1])
        row.callback, row.turn, row.longest = told["callback"], told["turn"], told["longest"]
        if server.tag(_CANARY) != golden:
            row.faults.append("the canary got another answer")
    except (OSError, HTTPException) as error:
        row.faults.append(f"afterwards: {type(error).__name__}")


def _version(port: int) -> str:
    with Wire(port, 10) as wire:
        wire.send(_SMALL)
        answer = wire.answer()
        return str(json.loads(answer.body)["model"]["version"]) if answer else ""


def probe(port: int, seconds: float) -> list[float]:
    """Ask ``/livez`` again and again; milliseconds from when each was due to its answer."""
    took, began, number = [], time.monotonic(), 0
    while (due := number * _PROBE_SECONDS) < seconds:
        time.sleep(max(due - (time.monotonic() - began), 0))
        answered = False
        with suppress(OSError, HTTPException), Wire(port, _PATIENCE) as wire:
            wire.send(_PROBE)
            answer = wire.answer("GET")
            answered = answer is not None and answer.status == 200
        took.append(1000 * (time.monotonic() - began - due) if answered else float("inf"))
        if not answered:
            time.sleep(_PROBE_SECONDS)
        number += 1
        if time.monotonic() - began > seconds + _PATIENCE:
            break
    return took


def main() -> int:
    """Return 0 if everything was as promised."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.attacks"
    )
    parser.add_argument("--seconds", type=float, default=60, help="of each attack")
    parser.add_argument("--only", choices=list(ATTACKS), action="append")
    options = parser.parse_args()
    print(f"{'attack':18} {'p50 ms':>7} {'p99 ms':>8} {'callback':>8} {'turn ms':>8} {'MB':>6}", flush=True)
    rows = {}
    for name in options.only or ATTACKS:
        rows[name] = measure(ATTACKS[name], options.seconds)
        print(rows[name].line(name), flush=True)
    print(worst(rows))
    return 1 if any(row.faults for row in rows.values()) else 0


def worst(rows: dict[str, Row]) -> str:
    """The worst figure of all attacks, and how many were as promised."""
    p99 = {name: percentile(row.livez, 0.99) for name, row in rows.items()}
    slowest = max(p99, key=lambda name: p99[name])
    blocked = max(rows, key=lambda name: rows[name].callback)
    largest = max(rows, key=lambda name: rows[name].rss)
    kept = sum(not row.faults for row in rows.values())
    return (
        f"worst: livez p99 {p99[slowest]:.0f} ms ({slowest}), loop {rows[blocked].callback:.1f} ms ({blocked}), "
        f"{rows[largest].rss:.0f} MB ({largest}); {kept} of {len(rows)} as promised"
    )


if __name__ == "__main__":
    sys.exit(main())
