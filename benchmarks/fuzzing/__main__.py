"""Fuzz the tagger and the checkpoint loader: ``python -m benchmarks.fuzzing --seconds 60``, or ``make fuzz``.

The C code is built with address and undefined-behaviour sanitizers, and libFuzzer follows the coverage of it and of
the Python around it. Time is shared evenly by the targets (benchmarks/fuzzing/target.py says what each asserts). What
raises coverage is kept in ``build/fuzz/corpus`` and is where the next run begins; the first begins with
``seeds.jsonl``. Exits with 1 if anything was found: the inputs are in ``build/fuzz/findings``, and
``--only TARGET --replay FILE`` runs one again.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fuzzing.build import build_sanitized, preloaded
from fenestra.model.checkpoint import save
from fenestra.model.engine import library
from tests.model.conftest import small_model

ROOT = Path(__file__).parents[2] / "build" / "fuzz"
BUILDS = ROOT / "builds"
SEEDS = Path(__file__).with_name("seeds.jsonl")
MODELS = {
    "softmax": {"documents": True, "agreement": True},
    "transitions": {
        "scheme": "BIOES",
        "decoder": "transitions",
        "documents": True,
        "storage": "int4",
        "activation": "gelu",
    },
}
LONGEST = {"text": 1000, "tokens": 1000, "checkpoint": 8000}
"""Bytes of an input of each target."""
_LIMITS = ["-timeout=20", "-malloc_limit_mb=512"]
_MOST_MB = 2048  # of memory
_REASONS = [
    r"^SUMMARY: AddressSanitizer: .*",
    r"^thread \d+ panic: (.*)",  # undefined behaviour, in zig's words
    r"^ === Uncaught Python exception: ===\n(.*)",
    r"^==\d+== ERROR: libFuzzer: .*",
    r"^SUMMARY: .*",
]
_LEAST_SECONDS = 5  # with less left, a target that ended is not started again


@dataclass
class Report:
    """What became of one target."""

    executions: int = 0
    edges: int = 0
    """Of the C code and the Python code together that were covered."""
    inputs: int = 0
    """In the corpus."""
    seconds: float = 0.0
    findings: Counter[str] = field(default_factory=Counter)
    """By what was reported."""

    @property
    def total(self) -> int:
        """Findings."""
        return self.findings.total()

    def row(self, name: str) -> str:
        """A line of the table."""
        return f"{name:11} {self.seconds:7.0f} s {self.executions:11,} {self.edges:7,} {self.inputs:7,} " + (
            f"{self.total:9}"
        )


def main() -> int:
    """Return 0 if nothing was found."""
    options = _parser().parse_args()
    libraries = build_sanitized([kernel.name.removeprefix("kernel-") for kernel in library.builds()], BUILDS)
    models = write_models(ROOT / "models")
    names = [options.only] if options.only else list(LONGEST)
    if options.replay:
        return subprocess.run(
            _command(names[0], models, libraries, [str(options.replay)]), env=_environment(), check=False
        ).returncode
    reports = {}
    for name in names:
        reports[name] = fuzz(name, models, libraries, options.seconds / len(names))
        print(f"{name}: {reports[name].executions:,} executions, {dict(reports[name].findings)}", flush=True)
    print(table(reports))
    executions, findings = (
        sum(getattr(report, name) for report in reports.values()) for name in ("executions", "total")
    )
    print(f"{executions:,} executions in {options.seconds:.0f} s, {findings} findings")
    return 1 if any(report.findings for report in reports.values()) else 0


def fuzz(name: str, models: Path, libraries: list[Path], seconds: float) -> Report:
    """Fuzz one target for so long; after a finding, go on with the rest of the time."""
    report, began = Report(), time.monotonic()
    corpus = ROOT / "corpus" / name
    findings = ROOT / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    seeds = write_seeds(name, models, ROOT / "seeds" / name)
    # What libFuzzer takes for the memory of its process begins with the most that this one has ever held.
    held_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    while (left := seconds - (time.monotonic() - began)) >= _LEAST_SECONDS or not report.executions:
        arguments = [
            *_LIMITS,
            f"-rss_limit_mb={_MOST_MB + held_mb}",
            f"-max_len={LONGEST[name]}",
            f"-max_total_time={max(int(left), 1)}",
            "-use_value_profile=0",
        ]
        arguments += [
            "-print_final_stats=1",
            "-reload=0",
            f"-artifact_prefix={findings}/{name}-",
            str(corpus),
            str(seeds),
        ]
        done = subprocess.run(
            _command(name, models, libraries, arguments),
            env=_environment(), capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        read_log(done.stderr + done.stdout, report)
        if done.returncode:
            report.findings[reason(done.stderr + done.stdout)] += 1
            if not report.executions:  # it does not even start
                break
    report.inputs, report.seconds = len(list(corpus.iterdir())), time.monotonic() - began
    return report


def read_log(log: str, report: Report) -> None:
    """Take over what libFuzzer says at the end of a run."""
    report.executions += max([int(number) for number in re.findall(r"^#(\d+)\s", log, re.MULTILINE)], default=0)
    report.edges = max([report.edges, *(int(number) for number in re.findall(r"cov: (\d+)", log))])


def reason(log: str) -> str:
    """One line that tells one finding from others."""
    for pattern in _REASONS:
        if found := re.search(pattern, log, re.MULTILINE):
            return (found.group(1) if found.groups() else found.group())[:200]
    return log[-200:]


def table(reports: dict[str, Report]) -> str:
    """A line for each target, and what was found."""
    lines = [f"{'target':11} {'time':>9} {'executions':>11} {'edges':>7} {'corpus':>7} {'findings':>9}"]
    lines += [report.row(name) for name, report in reports.items()]
    lines += [f"{name}: {count}× {what}" for name, report in reports.items() for what, count in report.findings.items()]
    return "\n".join(lines)


def write_models(folder: Path) -> Path:
    """Write the small models that are fuzzed."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, options in MODELS.items():
        save(small_model(**options), folder / name)
    return folder


def write_seeds(name: str, models: Path, folder: Path) -> Path:
    """Write the inputs that a target begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "checkpoint":
        model = next(path for path in sorted(models.iterdir()))
        names = [*sorted(path.name for path in model.iterdir() if path.name != "manifest.json"), "manifest.json"]
        contents = [(model / file).read_bytes() for file in names]
        weights = names.index("weights.safetensors")
        contents[weights] = contents[weights][8 : 8 + int.from_bytes(contents[weights][:8], "little")]
    else:
        contents = [json.loads(line).encode() for line in SEEDS.read_text(encoding="utf-8").splitlines()]
    for number, content in enumerate(contents):
        (folder / f"{number:02}").write_bytes(bytes([number]) + content)
    return folder


def _command(name: str, models: Path, libraries: list[Path], arguments: list[str]) -> list[str]:
    target = [sys.executable, "-m", "benchmarks.fuzzing.target", name, str(models), *map(str, libraries)]
    return [*target, "--", *arguments]


def _environment() -> dict[str, str]:
    return {**os.environ, **preloaded(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks.fuzzing"
    )
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--only", choices=list(LONGEST), help="one target")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input of --only, and say what happens")
    return parser


if __name__ == "__main__":
    sys.exit(main())
