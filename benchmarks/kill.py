"""Kill a training job with SIGKILL at random moments, resume it each time, and compare the weights it ends with.

    python -m benchmarks.kill training/configs/sample.toml --times 10

Every kill hits a run of its own, at a moment drawn evenly over the time an undisturbed run takes, from the import
of torch to the publishing of the checkpoint. Prints one line a kill and exits with 1 if any run ends differently.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """Return 0 if every killed run ends with the weights of the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_intermixed_args()
    base = [sys.executable, "-m", "fenestra", "train", options.config, *options.overrides, "--output"]
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        begun = time.monotonic()
        subprocess.run([*base, str(whole)], check=True, capture_output=True)
        seconds = time.monotonic() - begun
        expected = (whole / "weights.safetensors").read_bytes()
        rng, same = random.Random(options.seed), 0
        for number in range(1, options.times + 1):
            output, moment = Path(scratch) / f"killed{number}", rng.uniform(0, seconds)
            process = subprocess.Popen([*base, str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(moment)
                print(f"{number}: had ended before {moment:.1f} s", flush=True)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            left = sorted(path.name for path in Path(scratch).glob(f"killed{number}*"))
            subprocess.run([*base, str(output), "--resume"], check=True, capture_output=True)
            equal = (output / "weights.safetensors").read_bytes() == expected
            same += equal
            print(
                f"{number}: killed after {moment:.1f} of {seconds:.1f} s, left {left}, equal weights: {equal}",
                flush=True,
            )
    print(f"{same} of {options.times} runs ended with the weights of the undisturbed one")
    return 0 if same == options.times else 1


if __name__ == "__main__":
    sys.exit(main())
