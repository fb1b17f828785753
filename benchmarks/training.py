"""Seconds from the start of ``fenestra train`` to the first epoch with a given dev F1.

    taskset -c 0 python -m benchmarks.training training/configs/conll2003.toml --target 93 --repeats 3 threads=1

The time is that of the whole command: imports, corpora, vectors, and every epoch to its line on standard error. CPU
time stands beside it, for a machine that is shared. Each repeat has its own seed, from 1, and is killed when its time
is known. Fields of the job may be changed, as for the command.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_EPOCH = re.compile(r"epoch (\d+)/.* F1 ([\d.]+)%.* ([\d.]+) s, ([\d,]+) tokens/s")


def reach(command: Sequence[str], target: float) -> float | None:
    """Run a job until an epoch's dev F1, in per cent, is at the target; None if it ends below."""
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            seconds = time.monotonic() - begun
            if not (epoch := _EPOCH.match(line)):
                print(f"   {line.strip()}", flush=True)
                continue
            number, f1, of_epoch, speed = epoch.groups()
            print(
                f"   {seconds:6.1f} s, CPU {cpu_seconds(process.pid):6.1f} s: "
                f"dev F1 {f1} after epoch {number} ({of_epoch} s, {speed} tokens/s)",
                flush=True,
            )
            if float(f1) >= target:
                process.kill()
                return seconds
    return None


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, where the system tells (Linux); else not a number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> int:
    """Print every epoch of every repeat; return 1 if one of them did not reach the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="the job")
    parser.add_argument("overrides", metavar="section.key=value", nargs="*")
    parser.add_argument("--target", type=float, default=93.0, help="dev F1 in per cent (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_intermixed_args()
    found = []
    for seed in range(1, options.repeats + 1):
        print(f"seed {seed}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            changes = [f"seed={seed}", *options.overrides]
            output = ["--output", str(Path(scratch) / "model")]
            found.append(
                reach([sys.executable, "-m", "fenestra", "train", options.config, *changes, *output], options.target)
            )
    reached = [seconds for seconds in found if seconds is not None]
    if reached:
        print(f"dev F1 {options.target}: {statistics.median(reached):.1f} s ({min(reached):.1f} to {max(reached):.1f})")
    print(f"reached by {len(reached)} of {len(found)}")
    return 0 if len(reached) == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
