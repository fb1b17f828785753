"""Which build of the kernel this processor gets: as the system itself describes the processor."""

import ctypes
import platform
from pathlib import Path

import pytest

from fenestra.model.engine import sources

FOLDER = Path(sources.__file__).parent
V3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
V4 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


@pytest.fixture
def kernel():
    path = FOLDER / sources.library_name("any")
    if not path.is_file():
        pytest.skip("no kernel was compiled: there was no C compiler")
    return ctypes.CDLL(str(path))


def test_the_level_is_that_of_the_flags_which_the_system_lists(kernel):
    if platform.machine() != "x86_64":
        assert kernel.cpu_level() == 0
        return
    listed = Path("/proc/cpuinfo")
    if not listed.is_file():
        pytest.skip("only Linux lists the flags of the processor")
    flags = set(listed.read_text().partition("\nflags")[2].partition("\n")[0].split())
    level = 1 if not flags >= V3 else 3 if not flags >= V4 else 5 if "avx512_vnni" in flags else 4
    assert kernel.cpu_level() == level


def test_the_digest_is_of_every_file_in_c():
    room = sources.ROOM
    assert {path.name for path in sources.c_sources()} == {path.name for path in room.rglob("*.c")}
    assert {path.parent for path in room.rglob("*.h")} == {room}


@pytest.mark.parametrize(("platform_name", "ending"), [("linux", "so"), ("darwin", "dylib"), ("win32", "dll")])
def test_a_library_is_named_as_its_platform_names_them(platform_name, ending):
    assert sources.library_name("x86-64-v3", platform_name) == f"kernel-x86-64-v3.{ending}"
