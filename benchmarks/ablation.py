"""What each part of a recipe is worth: taken away from the whole, and added alone to the plain one.

    python -m benchmarks.ablation training/configs/conll2003.toml benchmarks/ablation.toml --output runs/ablation

The second file holds the plain recipe and the changes, each as fields of the job (``section.key = value``):

    plain = {"model.features.word" = 0, …}
    [parts.clusters]
    without = {"model.features.cluster" = 0}
    with = {"model.features.cluster" = 8}

Every row is trained with every seed (``fenestra train``), each into a folder of its own; a folder that is complete is
read and not trained again, so the command goes on where it was stopped. All rows are trained with the first seed, then
with the next, and there is a table of the seeds so far after each. The table has dev and test F1 with the lowest
and the highest, what that is less or more than the row it is compared with, and test F1 of the entities that training
had and of those that it had not.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

Changes = Mapping[str, Any]


class Row(NamedTuple):
    """One recipe of the table."""

    name: str
    changes: Changes
    """Fields of the job that differ from the whole recipe."""
    beside: str
    """The row it is compared with; its own name for the two that others are compared with."""


class Figures(NamedTuple):
    """F1 in per cent of one trained model."""

    dev: float
    test: float
    seen: float
    unseen: float


def rows_of(path: Path) -> list[Row]:
    """Read the changes: the whole recipe, it without each part, the plain one, it with each part.

    Raises:
        ValueError: a key is none that is known.
    """
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    plain, parts = values.pop("plain"), values.pop("parts")
    unknown = [*values, *(key for part in parts.values() for key in part if key not in ("without", "with"))]
    if unknown:
        raise ValueError(f"{path}: unknown key {unknown[0]!r}")
    taken = [Row(f"without {name}", part["without"], "all") for name, part in parts.items() if "without" in part]
    added = [
        Row(f"plain with {name}", {**plain, **part["with"]}, "plain") for name, part in parts.items() if "with" in part
    ]
    return [Row("all", {}, "all"), *taken, Row("plain", plain, "plain"), *added]


def command(config: str, row: Row, seed: int, folder: Path, common: Sequence[str]) -> list[str]:
    """What trains a row with a seed."""
    changes = [f"{field}={json.dumps(value)}" for field, value in row.changes.items()]  # JSON's values are TOML's too
    job = [config, *common, *changes, f"seed={seed}"]
    return [sys.executable, "-m", "fenestra", "train", *job, "--output", str(folder), "--resume"]


def figures(folder: Path) -> Figures:
    """Read the report of a trained model."""
    scores = json.loads((folder / "report.json").read_text(encoding="utf-8"))["scores"]
    familiar = scores["test"]["familiarity"]
    found = (scores["dev"]["scores"]["micro"], scores["test"]["scores"]["micro"], familiar["seen"], familiar["unseen"])
    return Figures(*(100 * part["f1"] for part in found))


def table(rows: Sequence[Row], found: Mapping[str, Sequence[Figures]]) -> str:
    """Lay the figures out, in Markdown."""
    lines = ["| | dev F1 | | test F1 | | seen | unseen |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        columns = list(zip(*found[row.name], strict=True))
        beside = list(zip(*found[row.beside], strict=True))
        less = [
            "" if row.name == row.beside else f"{fmean(c) - fmean(b):+.2f}"
            for c, b in zip(columns, beside, strict=True)
        ]
        spread = [f"{fmean(column):.2f} ({min(column):.2f} – {max(column):.2f})" for column in columns[:2]]
        familiar = [f"{fmean(column):.2f}" for column in columns[2:]]
        lines.append(
            f"| {row.name} | {spread[0]} | {less[0]} | {spread[1]} | {less[1]} | {familiar[0]} | {familiar[1]} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="the whole recipe")
    parser.add_argument("parts", type=Path, help="what to take away and to add")
    parser.add_argument("overrides", metavar="section.key=value", nargs="*", help="fields that all rows have")
    parser.add_argument("--output", type=Path, required=True, help="a folder for the models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=1, help="trained at a time")
    options = parser.parse_intermixed_args()
    rows = rows_of(options.parts)
    options.output.mkdir(parents=True, exist_ok=True)

    def measured(task: tuple[Row, int]) -> Figures:
        row, seed = task
        folder = options.output / f"{row.name.replace(' ', '-')}-{seed}"
        log = folder.with_suffix(".log")
        with log.open("w", encoding="utf-8") as file:
            if subprocess.run(
                command(options.config, row, seed, folder, options.overrides), stderr=file, stdout=file
            ).returncode:
                raise RuntimeError(f"{row.name}, seed {seed}: failed; {log} says why")
        found = figures(folder)
        print(f"{row.name}, seed {seed}: dev {found.dev:.2f}, test {found.test:.2f}", file=sys.stderr, flush=True)
        return found

    found: dict[str, list[Figures]] = {row.name: [] for row in rows}
    with ThreadPoolExecutor(options.jobs) as pool:
        for seed, done in [(seed, pool.map(measured, [(row, seed) for row in rows])) for seed in options.seeds]:
            for row, result in zip(rows, done, strict=True):
                found[row.name].append(result)
            print(f"{table(rows, found)}\n\nSeeds up to {seed}.\n", flush=True)


if __name__ == "__main__":
    main()
