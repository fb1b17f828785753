"""Search with several processes at once, kill one of them, and count: every trial once, one search, nothing hangs.

    python -m benchmarks.tuning --trials 40

For each place that a search can be shared in (its folder, SQLite, PostgreSQL): two processes work on one search, then
another search in which one process is killed with SIGKILL in the middle of a trial. Exits with 1 if a number is missing
or doubled, more than one trial was lost, or a process failed. PostgreSQL is left out where it is not installed.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import postgres

_ROOT = Path(__file__).parent.parent
_SAMPLE = _ROOT / "training/configs/sample.toml"
_SMALL = ("vectors.source=none", "model.features.vectors=false", "model.hidden=[16]", "threads=1", "training.epochs=2")
_SPACE = """\
[training]
learning_rate = {{low = 1e-3, high = 3e-2, log = true}}
[model]
context = {{low = 0, high = 2}}
[study]
trials = {trials}
pruning = "none"
"""
_SAYS = re.compile(r"^trial (\d+)/\d+  (?!lost)", re.MULTILINE)


def main() -> int:
    """Return 0 if all searches are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--places", default="folder,sqlite,postgresql")
    options = parser.parse_args()
    right = True
    with tempfile.TemporaryDirectory() as scratch:
        space = Path(scratch) / "space.toml"
        space.write_text(_SPACE.format(trials=options.trials))
        alone = _undisturbed("one process, folder", 1, space, Path(scratch) / "alone", [], options.trials)
        right &= alone is not None
        for place in options.places.split(","):
            with _storage(place, Path(scratch)) as storage:
                if storage is None:
                    print(f"{place}: left out, {postgres.why_not()}", flush=True)
                    continue
                two = _undisturbed(
                    f"two processes, {place}", 2, space, Path(scratch) / f"{place}-two",
                    [*storage, *(["--study", "two"] if storage else [])], options.trials,
                )  # fmt: skip
                right &= two is not None
                if alone and two:
                    print(f"  {two / alone:.2f} of the seconds of one process", flush=True)
                more = [*storage, *(["--study", "killed"] if storage else [])]
                right &= _killed(place, space, Path(scratch) / f"{place}-killed", more, options.trials)
    return 0 if right else 1


@contextmanager
def _storage(place: str, scratch: Path) -> Iterator[list[str] | None]:
    """Options that share a search in a place; None if it cannot be had."""
    if place == "folder":
        yield []
    elif place == "sqlite":
        yield ["--storage", f"sqlite:///{scratch / 'search.db'}"]
    elif postgres.why_not():
        yield None
    else:
        (scratch / "postgres").mkdir()
        scratch.chmod(0o755)
        with postgres.server(scratch / "postgres") as url:
            yield ["--storage", url]


def _undisturbed(name: str, processes: int, space: Path, output: Path, more: list[str], trials: int) -> float | None:
    """Run a search to its end and print what came of it; returns its seconds, None if it is not as it should be."""
    begun = time.monotonic()
    running = [_start(space, output, more) for _ in range(processes)]
    said = [process.communicate(timeout=900)[1] for process in running]
    seconds = time.monotonic() - begun
    each = [len(_SAYS.findall(text)) for text in said]
    codes = [process.returncode for process in running]
    whole = _is_whole(output, trials)
    right = whole and not any(codes) and sum(each) == trials
    print(f"{name}: {trials} trials, every number once: {whole}; by process {each}; {seconds:.1f} s", flush=True)
    if not right:
        print("\n".join(said))
    return seconds if right else None


def _killed(place: str, space: Path, output: Path, more: list[str], trials: int) -> bool:
    """Kill one of two processes once it has finished a trial; the other must finish all numbers."""
    other, victim = _start(space, output, more), _start(space, output, more)
    done = [victim.stderr.readline()]
    time.sleep(1)  # in the middle of the next one
    victim.send_signal(signal.SIGKILL)
    said = "".join([*done, victim.communicate()[1]])
    killed = time.monotonic()
    rest = other.communicate(timeout=900)[1]
    numbers = Counter(int(n) for n in _SAYS.findall(said) + _SAYS.findall(rest))
    lost = trials - len(numbers)  # a trial whose process died between recording and printing it counts, too
    whole = _is_whole(output, trials)
    right = whole and other.returncode == 0 and lost <= 1 and max(numbers.values()) == 1
    print(
        f"kill -9 of one of two, {place}: every number once: {whole}; {len(_SAYS.findall(said))} trials by the killed "
        f"process, {len(_SAYS.findall(rest))} by the other, which ended {time.monotonic() - killed:.1f} s later",
        flush=True,
    )
    if not right:
        print(rest)
    return right


def _is_whole(output: Path, trials: int) -> bool:
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return [trial["number"] for trial in report["trials"]] == list(range(1, trials + 1))


def _start(space: Path, output: Path, more: list[str]) -> subprocess.Popen[str]:
    words = ["tune", _SAMPLE, space, *_SMALL, "--output", output, "--resume", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "fenestra", *map(str, words)],
        cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
