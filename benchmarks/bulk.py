"""Bulk tagging with one worker and with several, and runs that are killed at random moments.

    python -m benchmarks.bulk TEXTS [--workers 2] [--repeats 3] [--kills 10]

TEXTS holds a text a line; take text that does not repeat. Prints, for one worker and for several, tokens a second by
the clock, with the start of Python and the loading of the model; how many times faster several are; and the CPU seconds
of the process that reads, hands out and joins, which more of them do not make faster. Then it kills runs with SIGKILL,
the process itself or one of its workers by turns, at moments drawn evenly over the time that an undisturbed run takes,
and gives the same command again. Exits with 1 if any result differs from that of one worker in one go.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any


def main() -> int:
    """Return 0 if every run ends with the same bytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model")
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(options, Path(scratch))
        same = figures["equal_bytes"]
        if options.kills:
            kills = kill(options, Path(scratch), figures["workers"][-1]["seconds"])
            print(f"{kills} of {options.kills} killed runs ended with the bytes of the undisturbed one")
            figures["kills"] = {"times": options.kills, "equal": kills}
            same = same and kills == options.kills
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if same else 1


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Time runs with one worker and with several, by turns; the result of the first stays as ``whole``."""
    whole = scratch / "whole"
    runs: dict[int, list[tuple[float, float, int]]] = {1: [], options.workers: []}
    same = True
    for _ in range(options.repeats):
        for workers, timed in runs.items():
            output = scratch / "out"
            timed.append(run(command(options, output, workers)))
            if whole.exists():
                same = same and output.read_bytes() == whole.read_bytes()
            else:
                output.rename(whole)
    rows = []
    for workers, timed in runs.items():
        seconds = median(run[0] for run in timed)
        row = {
            "workers": workers, "seconds": seconds, "tokens_per_second": timed[0][2] / seconds,
            "parent_cpu_seconds": median(run[1] for run in timed),
        }  # fmt: skip
        rows.append(row)
        print(
            f"{workers} workers: {seconds:.2f} s, {row['tokens_per_second']:,.0f} tokens/s; "
            f"CPU of the process that was started {row['parent_cpu_seconds']:.2f} s",
            flush=True,
        )
    print(f"{rows[0]['seconds'] / rows[-1]['seconds']:.2f} times as fast; equal bytes: {same}", flush=True)
    return {"workers": rows, "equal_bytes": same}


def command(options: argparse.Namespace, output: Path, workers: int) -> list[str]:
    """What is run."""
    model = ["--model", options.model] if options.model else []
    base = [sys.executable, "-m", "fenestra", "tag", *model, "--workers", str(workers)]
    return [*base, str(options.texts), "-o", str(output)]


def run(words: list[str]) -> tuple[float, float, int]:
    """Run to the end; gives seconds by the clock, CPU seconds of the process without its workers, and tokens."""
    code = (
        "import resource, sys; from fenestra.cli.main import main; code = main(sys.argv[1:]); "
        "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime); sys.exit(code)"
    )
    installed = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words[3:]], check=True, capture_output=True, text=True, env=installed
    )
    seconds = time.perf_counter() - began
    told = next(line for line in reversed(done.stderr.splitlines()) if line.startswith("tagged "))
    return seconds, float(done.stdout), int(told.split()[3].replace(",", ""))


def kill(options: argparse.Namespace, scratch: Path, seconds: float) -> int:
    """Kill runs; returns how many ended with the right bytes after the same command was given again."""
    rng, same = random.Random(options.seed), 0
    expected = (scratch / "whole").read_bytes()
    for number in range(1, options.kills + 1):
        output = scratch / f"killed{number}"
        moment, worker = rng.uniform(0, seconds), number % 3 == 0
        words = command(options, output, options.workers)
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            end(process, worker)
        kept = len(list(scratch.glob(f".{output.name}.parts/*/0*")))
        again = subprocess.run(words, capture_output=True, text=True)
        equal = again.returncode == 0 and output.read_bytes() == expected
        left = sorted(path.name for path in scratch.glob(f"*{output.name}*"))
        same += equal and left == [output.name]
        what = "a worker" if worker else "the run"
        print(f"{number}: {what} killed after {moment:.1f} s, {kept} units kept, equal bytes: {equal}", flush=True)
        output.unlink(missing_ok=True)
    return same


def end(process: "subprocess.Popen[bytes]", worker: bool) -> None:
    """Kill a process, or one of its workers and wait for the process."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text().split() if worker and children.exists() else []
    if workers:
        os.kill(int(workers[0]), signal.SIGKILL)
    else:
        process.kill()
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
