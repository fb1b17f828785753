"""The real service in a process of its own, that can be stopped and started in a fraction of a second.

    with Service(model) as service:
        service.stop(); service.start()

A first process imports everything and waits; each start is a fork of it that runs ``fenestra serve``. So a signal ends
a real process, and the next one is there at once. ``GET /state`` tells what the process holds that only it can know.
"""

import asyncio
import ctypes
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from fastapi import FastAPI

from benchmarks.serving import HOST, free_port
from benchmarks.stateful.safeguards import SAFEGUARDS
from fenestra.app import server
from fenestra.app.engine import models
from fenestra.app.engine.inference import Inference
from fenestra.app.main import create_app
from fenestra.app.settings import Settings

NAME = "served"
"""Of the model."""
MAX_WAITING = 4
SETTINGS = {
    "drain_seconds": 0, "grace_seconds": 20, "log_level": "warning", "max_waiting": MAX_WAITING,
    "max_body_bytes": 200_000,
    # So long that a sequence on a busy machine never meets them: other tests are about deadlines.
    "header_seconds": 60, "body_seconds": 60, "write_seconds": 60, "keep_alive_seconds": 60,
}  # fmt: skip
_START_SECONDS = 120.0
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG


class State(NamedTuple):
    """What the service holds."""

    tasks: int
    """Of asyncio, without the one that tells."""
    depth: int
    """Requests that wait for the model or are being computed."""
    deepest: int
    """The highest that was since the last look."""
    connections: int
    """Without the one that tells."""
    descriptors: int


class Service:
    """The test's side of it."""

    def __init__(self, model: Path, *, without: str = "") -> None:
        """Prepare to serve a folder; ``without`` names a safeguard to take away."""
        self.port = free_port()
        self.pid = 0
        self._scratch = tempfile.TemporaryDirectory(prefix="fenestra-stateful-")
        self.log = Path(self._scratch.name) / "log"
        settings = {**SETTINGS, "port": self.port, "models": f"{NAME}={model}"}
        with self.log.open("ab") as log:
            self._first = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.stateful.service", json.dumps(settings, default=str), without],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._first.kill()
        self._first.communicate()
        self._scratch.cleanup()

    def start(self) -> None:
        """Start, and wait until it serves."""
        assert self._first.stdin is not None
        self._first.stdin.write(b"start\n")
        self._first.stdin.flush()
        self.pid = self._said(_START_SECONDS)
        end = time.monotonic() + _START_SECONDS
        while True:
            with suppress(OSError, http.client.HTTPException):
                if self.get("/readyz")[0] == 200:
                    return
            assert time.monotonic() < end, f"the service does not start:\n{self.log.read_text()[-2000:]}"
            time.sleep(0.005)

    def exit_code(self, seconds: float = 30) -> int:
        """Wait for the end of the process, which has been told to stop."""
        code = self._said(seconds)
        self.pid = 0
        return code

    def stop(self) -> None:
        """End it, whatever it does."""
        os.kill(self.pid, signal.SIGKILL)
        self.exit_code()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def get(self, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
        """Ask on a new connection."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", "Connection": "close"})
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        finally:
            connection.close()

    def state(self) -> State:
        """What it holds now."""
        told = json.loads(self.get("/state")[1])
        return State(**told, descriptors=len(list(Path(f"/proc/{self.pid}/fd").iterdir())))

    def _said(self, seconds: float) -> int:
        """The next number that the first process says."""
        assert self._first.stdout is not None
        readable, _, _ = select.select([self._first.stdout], [], [], seconds)
        assert readable, f"the process has neither started nor ended within {seconds:g} seconds"
        line = self._first.stdout.readline()
        assert line, f"the first process ended:\n{self.log.read_text()[-2000:]}"
        return int(line)


# ── in the process ──


def main() -> None:
    """Wait for orders; each is a start."""
    settings, without = json.loads(sys.argv[1]), sys.argv[2]
    _end_with_parent()
    while sys.stdin.readline():
        if (child := os.fork()) == 0:
            _end_with_parent()
            os._exit(_serve(settings, without))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)


def _serve(settings: dict[str, Any], without: str) -> int:
    if without:
        SAFEGUARDS[without].remove()
    models.freeze_objects = _nothing  # of all that the first process has imported, it takes longer than a reload
    server.create_app = _build  # type: ignore[attr-defined]
    try:
        return server.serve(Settings.read(**settings))
    finally:
        sys.stderr.flush()


def _nothing() -> None:
    """Instead of a collection of garbage."""


def _build(settings: Settings) -> FastAPI:
    """The application, and the route that tells."""
    app = create_app(settings)
    deepest = _watch_depth()

    @app.get("/state", include_in_schema=False)
    async def state() -> dict[str, int]:
        """The depth is taken from the metrics, as an operator would."""
        series = dict(line.rsplit(" ", 1) for line in app.state.service.metrics.exposition().decode().splitlines()
                      if not line.startswith("#"))  # fmt: skip
        return {
            "tasks": len(asyncio.all_tasks()) - 1,
            "depth": int(float(series["fenestra_queue_depth"])),
            "deepest": deepest(),
            "connections": int(float(series["fenestra_open_connections"])) - 1,
        }

    return app


def _watch_depth() -> Callable[[], int]:
    """Note the depth of the queue at each entry."""
    submit, seen = Inference._submit, [0]

    def noted(self: Inference, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        submit(self, *arguments, **options)
        seen.append(self.depth)

    def deepest() -> int:
        most = max(seen)
        seen[:] = [0]
        return most

    Inference._submit = noted  # type: ignore[method-assign]
    return deepest


if __name__ == "__main__":
    main()
