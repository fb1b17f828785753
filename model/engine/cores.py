"""How many cores this process may use."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """The cores that the scheduler may put this process on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """As :func:`available_cores`, or fewer if a quota of the control group allows less time.

    A quota of one and a half cores counts as two: the second is of use half of the time.

    Args:
        cgroups: where control groups are mounted.
        own: the file that names those of this process.
    """
    quotas = [quota for folder in _folders(cgroups, own) if (quota := _quota(folder)) is not None]
    return max(1, min([available_cores(), *(math.ceil(quota) for quota in quotas)]))


def _folders(cgroups: Path, own: Path) -> list[Path]:
    """The folders of the control groups of this process, version 2 and 1, each with its parents: all limits hold."""
    found = []
    for line in _read(own).splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            root = cgroups
        elif "cpu" in controllers.split(","):
            root = cgroups / "cpu"
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        found += [root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    return found


def _quota(folder: Path) -> float | None:
    """The quota of one control group, in cores; None if it has none."""
    text = _read(folder / "cpu.max") or f"{_read(folder / 'cpu.cfs_quota_us')} {_read(folder / 'cpu.cfs_period_us')}"
    try:
        quota, period = (int(number) for number in text.split())
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
