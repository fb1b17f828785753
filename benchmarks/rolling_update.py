"""A hundred rolling updates under load: ``python -m benchmarks.rolling_update``. Is any request lost?

Two processes of ``fenestra serve`` stand behind haproxy, which passes connections on as a Service of Kubernetes does:
by TCP, to any that is in its list, and without trying again when one refuses. Each update is Kubernetes' own: a new
process starts, joins the list when ``/readyz`` says 200, and has to stay for ``minReadySeconds``; then the oldest gets
SIGTERM, *and at the same moment* its removal from the list begins, which takes effect some time later. The next update
begins while it is still draining. The settings are those of ``deploy/kubernetes/base/fenestra.yaml``.

    python -m benchmarks.rolling_update --updates 10 --scale 0.2      # every wait of the manifest five times as short
    python -m benchmarks.rolling_update --mode http                   # haproxy reads HTTP, as ingress controllers do
    python -m benchmarks.rolling_update --updates 10 --drain 0        # what is lost without draining

Clients keep their connections, open a new one for each request, or keep one and pause; each takes
``Connection: close`` at its word. A request is lost unless a whole answer of status 200 comes. Exits with 1 if one was
lost, with 0 if haproxy is not installed.
"""

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import yaml

from benchmarks.clients import LOST, REFUSED, Pool, Reply
from benchmarks.load import runner
from benchmarks.serving import HOST, Server, free_port
from benchmarks.workloads import requests, texts

MANIFEST = Path(__file__).parents[1] / "deploy" / "kubernetes" / "base" / "fenestra.yaml"
REPLICAS = 2
SLOTS = 6  # places in the list of haproxy: two that serve, a new one, and some that are still going
KEPT, ANEW, PAUSING = 6, 3, 20
_PAUSE_SECONDS = 0.03
_REMOVAL_SECONDS = 3.0  # until no new connection comes, at most
_LONGEST_PAUSE = 10.0  # seconds, of a client that keeps its connection
_CONFIGURATION = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode {mode}
    retries 0
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend service
    bind {host}:{port}
    default_backend pods
backend pods
    balance random
{servers}
"""


class Timing(NamedTuple):
    """The waits of the manifest in seconds, all as many times as short."""

    drain: float
    grace: float
    min_ready: float
    termination: float
    """After which Kubernetes kills."""
    removal: float
    """Until no new connection comes to a process that is going, at most; the manifest does not decide it."""
    pause: float
    """Of a client that keeps its connection, at most; the manifest does not decide it either."""

    @classmethod
    def of(cls, manifest: Path, scale: float = 1.0) -> Self:
        """Read them."""
        documents = yaml.safe_load_all(manifest.read_text(encoding="utf-8"))
        (deployment,) = [one["spec"] for one in documents if one["kind"] == "Deployment"]
        pod: Any = deployment["template"]["spec"]
        told = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
        drain = float(told["FENESTRA_DRAIN_SECONDS"])
        waits = (
            drain, float(told["FENESTRA_GRACE_SECONDS"]), deployment["minReadySeconds"],
            pod["terminationGracePeriodSeconds"], _REMOVAL_SECONDS, _LONGEST_PAUSE,
        )  # fmt: skip
        return cls(*(scale * wait for wait in waits))


@dataclass
class Report:
    """What became of the requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)
    """How each request was lost."""
    signalled: float = 0.0
    """When the last process got SIGTERM."""
    going: int = 0
    """Requests that a process answered after its SIGTERM, as far as it could still be asked."""
    unready_after: list[float] = field(default_factory=list)
    """Seconds from SIGTERM to the first answer of ``/readyz`` that is 503, of each process that gave one."""
    exits: Counter[int] = field(default_factory=Counter)
    longest_exit: float = 0.0
    """Seconds from SIGTERM to the end."""

    @property
    def lost(self) -> int:
        """Requests without an answer of status 200."""
        return self.statuses.total() - self.statuses[200]

    def count(self, kind: str, reply: Reply) -> None:
        """Take note of what became of a request."""
        self.statuses[reply.status] += 1
        if reply.status != 200:
            status = {LOST: "no answer", REFUSED: "no connection"}.get(reply.status, str(reply.status))
            signal = f"{reply.done - self.signalled:.2f} s after SIGTERM" if self.signalled else "before any SIGTERM"
            after = f"{reply.done - reply.sent:.3f} s after it was sent, {signal}"
            self.losses.append(f"{kind} connection: {status}, {after}")


class Balancer:
    """haproxy with a list of servers that is changed while it runs."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.port = free_port()
        self._socket = folder / "admin"
        self._file = folder / "haproxy.cfg"
        servers = "\n".join(f"    server s{slot} {HOST}:1 disabled" for slot in range(SLOTS))
        told = {"socket": self._socket, "mode": mode, "host": HOST, "port": self.port, "servers": servers}
        self._file.write_text(_CONFIGURATION.format(**told), encoding="utf-8")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it until the block ends."""
        process = await asyncio.create_subprocess_exec("haproxy", "-q", "-db", "-f", str(self._file))
        try:
            await self._listening(process)
            yield
        finally:
            process.kill()
            await process.wait()

    async def add(self, slot: int, port: int) -> None:
        """Send new connections to a port, too."""
        await self._say(f"set server pods/s{slot} addr {HOST} port {port}; set server pods/s{slot} state ready")

    async def remove(self, slot: int) -> None:
        """Send no new connections there; those that are open stay."""
        await self._say(f"set server pods/s{slot} state drain")

    async def _listening(self, process: asyncio.subprocess.Process) -> None:
        for _ in range(500):
            if process.returncode is not None:
                raise RuntimeError(f"haproxy ended with code {process.returncode}")
            try:
                await self._say("show info")
                return
            except OSError:
                await asyncio.sleep(0.01)
        raise RuntimeError("haproxy does not answer")

    async def _say(self, command: str) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        writer.write(f"{command}\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        if "No such" in answer or "Unknown" in answer:
            raise RuntimeError(f"haproxy: {answer.strip()}")


class Deployment:
    """Two processes of the service, replaced one at a time."""

    def __init__(self, balancer: Balancer, timing: Timing, report: Report, seed: int) -> None:
        self._balancer, self._timing, self._report = balancer, timing, report
        self._random = random.Random(seed)
        self._free = asyncio.Queue[int]()
        self._serving: list[tuple[int, Server]] = []
        self._going: set[asyncio.Task[None]] = set()
        for slot in range(SLOTS):
            self._free.put_nowait(slot)

    async def scale_up(self) -> None:
        """Start one more; return when it takes connections."""
        slot = await self._free.get()
        timing = self._timing
        server = Server(drain_seconds=timing.drain, grace_seconds=timing.grace, log_level="warning")
        await asyncio.to_thread(server.__enter__)
        self._serving.append((slot, server))
        await self._balancer.add(slot, server.port)

    async def update(self) -> None:
        """Replace the oldest; return when its successor has been ready for long enough and it has its signal."""
        await self.scale_up()
        await asyncio.sleep(self._timing.min_ready)
        task = asyncio.create_task(self._terminate(*self._serving.pop(0)))
        self._going.add(task)

    async def settled(self) -> None:
        """Wait until those that are going are gone."""
        await asyncio.gather(*self._going)

    async def stop(self) -> None:
        """End all processes that serve."""
        for task in self._going:
            task.cancel()
        for _, server in self._serving:
            server.kill()
            server.__exit__()

    async def _terminate(self, slot: int, server: Server) -> None:
        timing, report = self._timing, self._report
        answered = await asyncio.to_thread(_answered, server)
        signalled, report.signalled = time.monotonic(), time.perf_counter()
        server.terminate()
        removed = asyncio.create_task(self._remove(slot, self._random.uniform(0, timing.removal)))
        with suppress(OSError):  # it is gone already
            while (await asyncio.to_thread(server.get, "/readyz"))[0] == 200:
                await asyncio.sleep(0.01)
            report.unready_after.append(time.monotonic() - signalled)
        await removed
        with suppress(OSError):
            report.going += await asyncio.to_thread(_answered, server) - answered
        code = await asyncio.to_thread(server.process.wait, timing.termination)
        report.exits[code] += 1
        report.longest_exit = max(report.longest_exit, time.monotonic() - signalled)
        server.__exit__()
        self._free.put_nowait(slot)

    async def _remove(self, slot: int, after: float) -> None:
        await asyncio.sleep(after)
        await self._balancer.remove(slot)


def _answered(server: Server) -> int:
    return int(server.metric(r'fenestra_requests_total\{method="POST",route="/tag"'))


async def roll(updates: int, timing: Timing, mode: str = "tcp", seed: int = 1) -> Report:
    """Update so many times under load, and count."""
    report = Report()
    with TemporaryDirectory(prefix="fenestra-rolling-") as folder:
        balancer = Balancer(Path(folder), mode)
        deployment = Deployment(balancer, timing, report, seed)
        async with balancer.running():
            try:
                await asyncio.gather(*(deployment.scale_up() for _ in range(REPLICAS)))
                async with _load(balancer.port, report, longest=timing.pause):
                    for number in range(updates):
                        await deployment.update()
                        if (number + 1) % 10 == 0:
                            print(
                                f"{number + 1} updates, {report.statuses.total()} requests, {report.lost} lost",
                                flush=True,
                            )
                    await deployment.settled()
            finally:
                await deployment.stop()
    return report


@asynccontextmanager
async def _load(port: int, report: Report, longest: float) -> AsyncIterator[None]:
    """Ask from all clients until the block ends, and then until the last answer is there.

    Args:
        port: of the balancer.
        report: counts what comes.
        longest: seconds that a client that keeps its connection pauses at most.
    """
    asked = requests(texts("sentences"))
    leaving = [raw.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) for raw in asked]
    over = asyncio.Event()

    async def client(kind: str, pool: Pool, bodies: Sequence[bytes], pause: Callable[[], float], first: int) -> None:
        for raw in cycle(bodies[first:] + bodies[:first]):
            if over.is_set():
                break
            report.count(kind, await pool.ask(raw))
            await asyncio.sleep(pause())
        pool.close()

    def short() -> float:
        return random.expovariate(1 / _PAUSE_SECONDS)

    def long() -> float:
        return random.uniform(0, longest)

    kinds = [("kept", asked, short, KEPT), ("new", leaving, short, ANEW), ("pausing", asked, long, PAUSING)]
    clients: list[Awaitable[None]] = [
        asyncio.create_task(client(kind, Pool(port, 1), bodies, pause, 37 * number))
        for kind, bodies, pause, count in kinds
        for number in range(count)
    ]
    try:
        yield
    finally:
        over.set()
        await asyncio.wait_for(asyncio.gather(*clients), 60 + longest)


def main() -> int:
    """Print what became of the requests."""
    arguments = _parser().parse_args()
    if shutil.which("haproxy") is None:
        print("skipped: haproxy is not installed (apt-get install haproxy)")
        return 0
    timing = Timing.of(MANIFEST, arguments.scale)
    if arguments.drain is not None:
        timing = timing._replace(drain=arguments.drain)
    began = time.monotonic()
    with runner() as run:
        report = run.run(roll(arguments.updates, timing, arguments.mode, arguments.seed))
    print(
        f"waits of the manifest times {arguments.scale:g}: minReady {timing.min_ready:g} s, drain {timing.drain:g} s, "
        f"until no new connections come 0 to {timing.removal:g} s, pauses 0 to {timing.pause:g} s"
    )
    print(f"{arguments.updates} updates in {time.monotonic() - began:.0f} s, haproxy in mode {arguments.mode}")
    print(f"requests: {report.statuses.total()}, lost: {report.lost}", *report.losses, sep="\n    ")
    unready = f"not ready within {max(report.unready_after, default=0):.2f} s: {len(report.unready_after)} processes"
    print(f"answered after SIGTERM: {report.going}; {unready}")
    print(f"exit codes: {dict(report.exits)}, longest exit {report.longest_exit:.1f} of {timing.termination:g} s")
    return int(report.lost > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="python -m benchmarks.rolling_update",
    )  # fmt: skip
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--scale", type=float, default=1.0, help="what every wait of the manifest is multiplied by")
    parser.add_argument("--drain", type=float, metavar="SECONDS", help="instead of the manifest's")
    parser.add_argument("--mode", choices=("tcp", "http"), default="tcp", help="of haproxy")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which a process leaves the list")
    return parser


if __name__ == "__main__":
    sys.exit(main())
