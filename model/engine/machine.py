"""How much memory the machine has to spare, for tables that only make things faster."""

import os
from pathlib import Path

_SHARE = 16
_LEAST_MB, _MOST_MB = 32.0, 512.0
_UNKNOWN_MB = 96.0
_MEMINFO = Path("/proc/meminfo")
_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""Of a container: most bytes, and bytes in use; cgroups of version 2 and 1."""


def usual_cache_mb() -> float:
    """Memory for the row cache where nobody says how much: a sixteenth of what is available, 32 to 512 MB."""
    available = available_bytes()
    return _UNKNOWN_MB if available is None else min(max(available / 1e6 / _SHARE, _LEAST_MB), _MOST_MB)


def available_bytes() -> int | None:
    """Memory that can be taken without pushing others out, within the limit of a container; None if nobody knows."""
    found = [left for left in (_from_meminfo(), *(_left(*files) for files in _LIMITS)) if left is not None]
    if found:
        return max(min(found), 0)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # macOS does not tell how much is in use
    except (AttributeError, ValueError, OSError):
        return None


def _from_meminfo() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    except (OSError, ValueError, IndexError):
        return None


def _left(limit: Path, used: Path) -> int | None:
    """What is left of a limit; None where there is none, which version 2 calls ``max``."""
    try:
        return int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
