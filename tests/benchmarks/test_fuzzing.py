"""The fuzzing of the C code: that it starts, and that it would notice."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("atheris", reason="no wheel of atheris for this platform")

from benchmarks.fuzzing import __main__ as fuzzing
from benchmarks.fuzzing.build import LINK, SANITIZE, build_sanitized, preloaded
from fenestra.hatch_build import zig_compiler

pytestmark = pytest.mark.load

BROKEN = """
#include <stdint.h>
int past(const uint8_t *bytes, int count) { return bytes[count]; }
int overflow(int a) { return a + 0x7fffffff; }
"""
CALL = """
import ctypes, sys, numpy
library = ctypes.CDLL(sys.argv[1])
if sys.argv[2] == "past":
    library.past(numpy.zeros(7, numpy.uint8).ctypes.data_as(ctypes.c_void_p), 7)
else:
    library.overflow(1)
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    (folder / "broken.c").write_text(BROKEN)
    for command in (
        [*zig_compiler(), *SANITIZE, "-fPIC", "-c", "broken.c", "-o", "broken.o"],
        [*zig_compiler(), *LINK, "broken.o", "-o", "broken.so"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder / "broken.so"


@pytest.mark.parametrize(
    ("fault", "said"),
    [("past", "AddressSanitizer: heap-buffer-overflow"), ("overflow", "panic: signed integer overflow")],
)
def test_the_sanitizers_end_a_process_at_a_fault(broken, fault, said):
    done = subprocess.run(
        [sys.executable, "-c", CALL, broken, fault], env=os.environ | preloaded(), capture_output=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stderr.decode(errors="replace")


@pytest.mark.parametrize("name", list(fuzzing.LONGEST))
def test_the_seeds_of_a_target_are_no_findings(tmp_path, monkeypatch, name):
    monkeypatch.setattr(fuzzing, "ROOT", tmp_path)
    libraries = build_sanitized(["any"], fuzzing.BUILDS)
    report = fuzzing.fuzz(name, fuzzing.write_models(tmp_path / "models"), libraries, seconds=1)
    assert report.findings == {}
    assert report.executions >= len(list((tmp_path / "seeds" / name).iterdir()))
    assert report.edges > 300


def test_a_finding_is_told_in_a_line():
    summary = "SUMMARY: AddressSanitizer: heap-buffer-overflow a.c:3 in f"
    log = f"#12 NEW cov: 34\n=== x\n==7==ERROR: AddressSanitizer: bad\n{summary}\n"
    assert fuzzing.reason(log) == summary
    report = fuzzing.Report()
    fuzzing.read_log(log, report)
    assert (report.executions, report.edges) == (12, 34)
