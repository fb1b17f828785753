"""Compiles the kernel while the project is installed; a hook of hatchling, named in ``pyproject.toml``.

Any C compiler will do: ``$CC``, or ``cc``, ``gcc``, ``clang``; where there is none, the package ``ziglang`` brings one
along for the time of the build. Where that fails too, the project is installed without, and works without, slower.

The library lies beside its sources and speaks to Python through ``ctypes``, so one build serves every Python 3.
"""

import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path(__file__).resolve().parent
ROOM = FOLDER.parent
_MADE_OF = runpy.run_path(str(FOLDER / "sources.py"))
FLAGS = (
    "-std=c11 -O3 -fPIC -shared -fvisibility=hidden -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Wextra"
).split()
ZIG = "ziglang>=0.14"
_X86 = ("x86_64", "amd64")
_SECONDS = 300


def compiler() -> list[str] | None:
    """How to call a C compiler that is there."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if found:
        return [found]
    return [sys.executable, "-m", "ziglang", "cc"] if find_spec("ziglang") else None


def builds(zig: bool) -> dict[str, list[str]]:
    """The builds for this machine's kind of processor, and the flags of each."""
    found: dict[str, list[str]] = {"any": []}
    if platform.machine().lower() in _X86:
        mark = "_" if zig else "-"
        found |= {f"x86-64-v{level}": [f"-march=x86{mark}64{mark}v{level}"] for level in (3, 4)}
    return found


def compile_all() -> list[Path]:
    """Compile what can be compiled; whatever a compiler is too old for is left out."""
    command = compiler()
    if command is None or sys.platform == "win32":
        return []
    made = []
    mark = f'-DSOURCES="{_MADE_OF["digest"]()}"'  # library.py compares it
    for name, flags in builds("ziglang" in command).items():
        target = FOLDER / f"kernel-{name}.so"
        draft = target.with_suffix(f".{os.getpid()}")
        sources = [f"-I{ROOM}", *(str(ROOM / source) for source in _MADE_OF["SOURCES"])]
        result = subprocess.run(
            [*command, *FLAGS, mark, *flags, *sources, "-o", str(draft), "-lm"],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if result.returncode == 0:
            draft.replace(target)
            made.append(target)
        else:
            draft.unlink(missing_ok=True)
            sys.stderr.write(f"{target.name} was not compiled: {result.stderr.decode(errors='replace')[-2000:]}\n")
    return made


class KernelHook(BuildHookInterface[Any]):  # type: ignore[misc]
    """Called by hatchling before it makes a wheel, an editable one too."""

    def dependencies(self) -> list[str]:
        """What has to be installed for the time of the build."""
        return [] if compiler() else [ZIG]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say that the wheel is of this platform."""
        made = compile_all()
        if not made:
            self.app.display_warning("no C compiler: installed without the compiled kernel, several times slower")
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        build_data["artifacts"] += [f"fenestra/model/engine/{path.name}" for path in made]
