"""What the kernel is compiled from, and what its builds are called.

``fenestra/hatch_build.py`` makes the builds and ``library.py`` loads one; both read it here. The former runs before
anything is installed, so nothing but the standard library is imported.
"""

import hashlib
import sys
from pathlib import Path

ROOM = Path(__file__).resolve().parents[1]
"""``model/``."""
BUILDS = {"x86-64-v4-vnni": 5, "x86-64-v4": 4, "x86-64-v3": 3, "any": 0}
"""The builds, the fastest first, and the lowest ``cpu_level()`` (``cpu.c``) that runs each."""

_SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}


def c_sources(room: Path = ROOM) -> list[Path]:
    """The files that are compiled; each stands in the folder of its stage."""
    return sorted(room.glob("*/*.c"))


def digest(room: Path = ROOM) -> str:
    """16 hexadecimal digits that tell these sources from others; compiled into the library as ``source_digest()``."""
    files = [*sorted(room.glob("*.h")), *c_sources(room)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def library_name(build: str, platform: str = sys.platform) -> str:
    """The file name of a build, with the ending that shared libraries have on a platform, one of ``sys.platform``.

    >>> library_name("any", "linux"), library_name("any", "darwin")
    ('kernel-any.so', 'kernel-any.dylib')
    """
    return f"kernel-{build}{_SUFFIXES.get(platform, '.so')}"
