"""The table of integrations: ``python -m benchmarks.integrations [NAME …] [--output TABLE.md]``.

Runs each module of this folder whose client is installed, in the environment ``.venv-NAME`` that
``make test-integrations INTEGRATIONS=NAME`` makes, and joins the rows that they print. Without names, all of them; one
without an environment is left out, and said so. Exits with 1 if a module fails, or if entities differ.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.integrations.rows import HEADER, ROOT

_HERE = Path(__file__).parent
_NO_CLIENT = {"__init__", "__main__", "rows"}


def main() -> int:
    """Return 0 if every module printed rows, and all entities are equal."""
    names = sorted(path.stem for path in _HERE.glob("*.py") if path.stem not in _NO_CLIENT)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all without any")
    parser.add_argument("--output", type=Path, metavar="TABLE.md", help="also write the table there")
    options = parser.parse_args()
    if strange := set(options.names) - set(names):
        parser.error(f"{', '.join(sorted(strange))}: expected names of {', '.join(names)}")
    found = {name: rows(name) for name in options.names or names if installed(name)}
    table = "\n".join([HEADER, *(row for its in found.values() for row in its)])
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return int(not all(found.values()) or "| NO |" in table)


def installed(name: str) -> bool:
    """Whether a module's client has an environment."""
    if not interpreter(name).exists():
        print(f"{name}: not installed; make test-integrations INTEGRATIONS={name}", file=sys.stderr)
        return False
    return True


def rows(name: str) -> list[str]:
    """The rows that a module prints; none if it fails."""
    command = [str(interpreter(name)), "-m", f"benchmarks.integrations.{name}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{name}: ended with {done.returncode}", file=sys.stderr)
        return []
    return [line for line in done.stdout.splitlines() if line.startswith("| ")]


def interpreter(name: str) -> Path:
    """Of the environment of a module's client."""
    return ROOT / f".venv-{name}" / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main())
