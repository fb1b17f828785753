"""Random sequences against the service: ``python -m benchmarks.stateful --sequences 2000 --steps 50``.

Exits with 1 at the first violation, with the sequence that leads to it.
"""

import argparse
import sys
import time

from benchmarks.stateful.run import run


def main() -> int:
    """Return 0 if nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.stateful"
    )
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    found = run(options.sequences, options.steps, options.seed, shrink="--shrink" in sys.argv)
    seconds = time.monotonic() - began
    print(f"{found.sequences} sequences of {options.steps} steps in {seconds:.0f} s, {found.restarts} restarts")
    print(found.violation or "no violation")
    return 1 if found.violation else 0


if __name__ == "__main__":
    sys.exit(main())
