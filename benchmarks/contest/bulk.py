"""``fenestra tag`` over a collection, from the command line to the last byte, with one worker and with two."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.contest.rounds import ROOT
from benchmarks.contest.table import Spread, markdown
from benchmarks.contest.texts import Collection

_FENESTRA = (sys.executable, "-m", "fenestra")


class BulkRow(NamedTuple):
    """What so many workers took, one value a round."""

    workers: int
    tokens: int
    seconds: list[float]


def can_share() -> bool:
    """Whether this ``fenestra tag`` takes ``--workers``."""
    shown = subprocess.run([*_FENESTRA, "tag", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return "--workers" in shown


def play_bulk(
    of: Collection, cpus: Sequence[int], rounds: int, folder: Path, note: Callable[[str], None]
) -> list[BulkRow]:
    """Tag a file that has a text a line, so many times with each number of workers, in turn; by the clock on the wall.

    Each worker has a core; starting, loading and writing are part of the time. Every run writes the same bytes.

    Raises:
        CalledProcessError: a run failed.
        RuntimeError: two runs wrote different bytes.
    """
    given, out = folder / "texts.txt", folder / "tagged.jsonl"
    given.write_text("".join(" ".join(map(" ".join, document)) + "\n" for document in of.documents), encoding="utf-8")
    counts = [count for count in (1, 2) if count <= len(cpus)] if can_share() else [0]
    rows, written = [BulkRow(max(count, 1), of.tokens, []) for count in counts], set()
    for number in range(1, rounds + 1):
        for count, row in zip(counts, rows, strict=True):
            options = ["--workers", str(count)] if count else []
            command = [*_FENESTRA, "tag", "--model", of.model, str(given), "-o", str(out), *options]
            out.unlink(missing_ok=True)
            began = time.perf_counter()
            with on_cores(cpus[: row.workers]):
                subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, check=True)
            row.seconds.append(time.perf_counter() - began)
            written.add(out.read_bytes())
            note(
                f"{number}/{rounds}  fenestra tag, {row.workers} workers {row.tokens / row.seconds[-1]:12,.0f} tokens/s"
            )
    if len(written) > 1:
        raise RuntimeError("fenestra tag wrote different bytes for the same texts")
    return rows


@contextmanager
def on_cores(cpus: Sequence[int]) -> Iterator[None]:
    """Run on some cores only, and so does what is started meanwhile."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def render_bulk(rows: Sequence[BulkRow]) -> str:
    """A line for each number of workers, as Markdown."""
    lines = []
    for row in rows:
        speed = Spread.of([row.tokens / seconds for seconds in row.seconds])
        times = Spread.of([one / each for one, each in zip(rows[0].seconds, row.seconds, strict=True)])
        lines.append((
            f"`fenestra tag`, {row.workers} worker{'s' if row.workers > 1 else ''}",
            f"{speed.median:,.0f} ({speed.low:,.0f} – {speed.high:,.0f})",
            f"{times.median:.2f} ({times.low:.2f} – {times.high:.2f})" if row is not rows[0] else "–",
        ))  # fmt: skip
    return markdown(
        ("text that does not repeat, files in and out, start included", "tokens/s", "times one worker"), lines
    )
