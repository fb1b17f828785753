"""A real server to measure or to ill-treat: started in a process of its own, watched through ``/proc``, stopped.

    with Server(max_waiting=8, drain_seconds=0) as server:
        status, body = server.get("/readyz")
        print(server.usage())

Linux only. The tests of faults and every measurement of the service stand on this file.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, Self

FENESTRA = (sys.executable, "-c", "from fenestra.cli.main import main; raise SystemExit(main())", "serve")
"""What starts the service as ``fenestra serve`` does."""
HOST = "127.0.0.1"
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """What a process holds at a moment."""

    rss: int
    """Resident memory in bytes."""
    threads: int
    descriptors: int
    cpu: float
    """Seconds on a core so far, all threads together."""

    def __str__(self) -> str:
        return f"{self.rss / 2**20:.1f} MiB, {self.threads} threads, {self.descriptors} descriptors"


class Server:
    """A service in a process of its own; a context manager that waits until it is ready.

    Args:
        command: what to start; ``fenestra serve`` unless told otherwise. ``{port}`` in it is filled in.
        cpu: the one core it may run on; any, if None.
        ready: a path that answers 200 once the server is up.
        log_to: where it writes instead of into :attr:`log`: anything with a descriptor.
        settings: as in ``FENESTRA_…``, in lower case. Those of the caller's own environment do not count.
    """

    def __init__(
        self,
        command: Sequence[str] = FENESTRA,
        *,
        cpu: int | None = None,
        ready: str = "/readyz",
        log_to: IO[bytes] | int | socket.socket | None = None,
        **settings: object,
    ) -> None:
        self.port = free_port()
        self._command, self._cpu, self._ready, self._settings = command, cpu, ready, settings
        self._log_to = log_to
        self._scratch = tempfile.TemporaryDirectory(prefix="fenestra-server-")
        self.log = Path(self._scratch.name) / "log"
        self.process: subprocess.Popen[bytes]
        self.began = 0.0
        """When it was started, by the monotonic clock."""

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            self._scratch.cleanup()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self._scratch.cleanup()

    def start(self) -> None:
        """Start the process, anew after it ended; on the same port."""
        self.began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [part.replace("{port}", str(self.port)) for part in self._command],
                env=environment(port=self.port, **self._settings),
                stdout=log,
                stderr=log if self._log_to is None else self._log_to,  # type: ignore[arg-type]
            )
        if self._cpu is not None:
            os.sched_setaffinity(self.process.pid, {self._cpu})

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until the server answers 200 at its path for that.

        Raises:
            RuntimeError: it ended, or took too long; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                if self.get(self._ready)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass  # not listening yet
            time.sleep(0.02)
        raise RuntimeError(f"the server is not up (exit code {self.process.poll()}):\n{self.logged()[-3000:]}")

    def terminate(self) -> None:
        """Ask the server to stop, as an operator would."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()

    def logged(self) -> str:
        """All that the server has written."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str, seconds: float = 10) -> tuple[int, bytes]:
        """Ask on a new connection; status and body."""
        return self.request("GET", path, seconds=seconds)

    def tag(self, body: object, seconds: float = 30) -> tuple[int, bytes]:
        """Post to ``/tag`` on a new connection: bytes as they are, anything else as JSON; status and body."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", "/tag", raw, {"Content-Type": "application/json"}, seconds)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None,
        seconds: float = 10,
    ) -> tuple[int, bytes]:  # fmt: skip
        """Ask anything on a new connection; status and body."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=seconds)
        try:
            connection.request(method, path, body, {"Connection": "close", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Every series of ``/metrics``, by its name and labels as written there."""
        lines = self.get("/metrics")[1].decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {series: float(value) for series, _, value in pairs}

    def metric(self, pattern: str) -> float:
        """The sum of all series whose name and labels match a regular expression from their beginning."""
        return sum(value for series, value in self.metrics().items() if re.match(pattern, series))

    def usage(self) -> Usage:
        """What the process holds now."""
        return usage(self.process.pid)


def usage(pid: int) -> Usage:
    """What a process holds now."""
    process = Path("/proc") / str(pid)
    nanoseconds = []
    for thread in (process / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            nanoseconds.append(int((thread / "schedstat").read_text().split()[0]))
    rss = int((process / "statm").read_text().split()[1]) * _PAGE
    return Usage(rss, len(nanoseconds), len(list((process / "fd").iterdir())), sum(nanoseconds) / 1e9)


def environment(**settings: object) -> dict[str, str]:
    """This process's environment with these settings of the service and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("FENESTRA_")}
    return kept | {f"FENESTRA_{name.upper()}": str(value) for name, value in settings.items()}


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
