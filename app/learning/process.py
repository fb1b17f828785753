"""A training in a process of its own, bounded in time, memory and what it takes of the processor.

Its standard input is a pipe that this process holds open: where the command heeds that (``fenestra learn --attached``),
it ends with this process, however that ended.
"""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process may take."""

    seconds: float
    """After which it is killed."""
    megabytes: int | None = None
    """Of memory, on Linux; None for as much as there is."""
    nice: int = 0
    """Added to its niceness: 10 leaves most of a busy processor to others."""


class Stopped(Exception):
    """A process was killed before it was done; the message says why."""


def run_bounded(command: Sequence[str], log: Path, stop: Callable[[], bool], limits: Limits) -> int:
    """Run a command to its end; returns its exit code, below 0 if a signal ended it.

    Args:
        command: program and arguments.
        log: new file for what it writes.
        stop: whether it is to be killed; asked ten times a second.
        limits: of the process and of those that it starts.

    Raises:
        Stopped: it took too long, or was stopped.
        OSError: it cannot be started.
    """
    log.unlink(missing_ok=True)  # an older process may write to it still
    with open(log, "xb", opener=_private) as lines:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=lines, stderr=subprocess.STDOUT, start_new_session=True,
            env=_environment(),
        )  # fmt: skip
    with process:
        try:
            _bound(process.pid, limits)
            return _wait(process, stop, limits.seconds)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _wait(process: "subprocess.Popen[bytes]", stop: Callable[[], bool], seconds: float) -> int:
    ends = time.monotonic() + seconds
    while (code := process.poll()) is None:
        if stop():
            raise Stopped("it was stopped")
        if time.monotonic() > ends:
            raise Stopped(f"it took longer than {seconds:g} seconds")
        time.sleep(_POLL_SECONDS)
    return code


def _bound(pid: int, limits: Limits) -> None:
    """Bound a process that has just begun; if it is short of memory, the kernel ends it before others."""
    with suppress(ProcessLookupError):
        if limits.nice:
            os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + limits.nice)
        if limits.megabytes and hasattr(resource, "prlimit"):
            size = limits.megabytes * 2**20
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))
            with suppress(OSError):
                Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")


def _environment() -> dict[str, str]:
    """The environment of this process, without the settings of the service, and with one thread."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FENESTRA_")}
    if cache := os.environ.get("FENESTRA_CACHE"):
        kept["FENESTRA_CACHE"] = cache
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
