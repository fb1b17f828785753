"""Compiles the kernel while the project is built or installed; a hook of hatchling, named in ``pyproject.toml``.

For this machine any C compiler will do: ``$CC``, or ``cc``, ``gcc``, ``clang``; where there is none, the package
``ziglang`` brings one along for the time of the build. Where that fails too, the project is installed without a kernel
and works, slower.

``FENESTRA_TARGET`` names another platform to make a wheel for, one of ``TARGETS``, or ``pure``: a wheel without a
kernel, which every platform can install. ``ziglang`` compiles for all of them; a build that fails ends the work.

The library speaks to Python through ``ctypes``, so one build serves every Python 3. An editable install keeps it beside
its sources; a wheel takes it from a temporary folder, and the source tree stays as it was.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path(__file__).parent.resolve() / "model" / "engine"
_SOURCES = run_path(str(FOLDER / "sources.py"))  # as a package it could be imported only when all is installed
VARIABLE = "FENESTRA_TARGET"
PURE = "pure"
FLAGS = (
    "-std=c11 -O3 -g0 -fPIC -fvisibility=hidden -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Wextra"
).split()
ZIG = "ziglang>=0.14"
_X86 = ("x86_64", "amd64")
_SECONDS = 900  # zig first compiles the C runtime of another platform: minutes on a busy machine, once


@dataclass(frozen=True, slots=True)
class Target:
    """A platform that a wheel is made for."""

    triple: str
    """As zig calls it, with the oldest version of the system that the library has to run on."""
    tag: str
    """As a wheel's name has it."""
    system: str
    """As ``sys.platform`` has it."""

    @property
    def x86(self) -> bool:
        """Whether there is a build for each level of x86-64."""
        return self.triple.startswith("x86_64")


TARGETS = {
    "linux-x86_64": Target("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64.manylinux2014_x86_64", "linux"),
    "linux-aarch64": Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64.manylinux2014_aarch64", "linux"),
    "macos-arm64": Target("aarch64-macos.11.0", "macosx_11_0_arm64", "darwin"),
    "macos-x86_64": Target("x86_64-macos.10.13", "macosx_10_13_x86_64", "darwin"),
    "windows-x86_64": Target("x86_64-windows-gnu", "win_amd64", "win32"),
}


class BuildError(RuntimeError):
    """A wheel for a named platform cannot be made."""


def compile_native(folder: Path) -> list[Path]:
    """Compile for this machine what can be compiled; whatever a compiler is too old for is left out.

    Args:
        folder: where the libraries are put.
    """
    command = compiler()
    if command is None or sys.platform == "win32":
        return []
    said = compile_all(command, builds(platform.machine().lower() in _X86), folder, sys.platform)
    for path, message in said.items():
        if message:
            sys.stderr.write(f"{path.name} was not compiled: {message}\n")
    return [path for path, message in said.items() if not message]


def cross_compile(target: Target, folder: Path) -> list[Path]:
    """Compile every build for a platform.

    Raises:
        BuildError: one was not compiled.
    """
    said = compile_all([*zig_compiler(), "-target", target.triple], builds(target.x86), folder, target.system)
    for path, message in said.items():
        if message:
            raise BuildError(f"{path.name} for {target.triple}: {message}")
    return list(said)


def compiler() -> list[str] | None:
    """How to call a C compiler that is there."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if found:
        return [found]
    return zig_compiler() if find_spec("ziglang") else None


def zig_compiler() -> list[str]:
    """How to call the C compiler that comes as a Python package."""
    return [sys.executable, "-m", "ziglang", "cc"]


def builds(x86: bool) -> list[str]:
    """The builds for a kind of processor, the fastest first."""
    return [build for build in _SOURCES["BUILDS"] if x86 or build == "any"]


def march(build: str, zig: bool) -> list[str]:
    """The flags that say for which processors a build is."""
    if build == "any":
        return ["-mcpu=baseline"] if zig else []  # left alone, zig compiles for the processor that it runs on
    level, vnni, _ = build.partition("-vnni")
    return [f"-march={level.replace('-', '_') if zig else level}", *["-mavx512vnni"] * bool(vnni)]


def compile_all(command: list[str], names: list[str], folder: Path, system: str) -> dict[Path, str]:
    """Compile several builds at once; gives what the compiler said of each that failed, and ``""`` of the others."""
    paths = [folder / _SOURCES["library_name"](name, system) for name in names]
    flags = [march(name, "ziglang" in command) for name in names]
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(compile_one, [command] * len(names), flags, paths), strict=True))


def compile_one(command: list[str], flags: list[str], path: Path) -> str:
    """Compile all sources to one library, complete or not at all; returns what the compiler said if it failed."""
    draft = path.with_suffix(f".{os.getpid()}")
    mark = f'-DSOURCES="{_SOURCES["digest"]()}"'  # library.py compares it
    room = f"-I{_SOURCES['ROOM']}"
    folder = path.parent  # some linkers write the path of the output into it
    with tempfile.TemporaryDirectory(prefix="fenestra-objects-") as objects:
        made = {str(source): str(Path(objects, f"{source.stem}.o")) for source in _SOURCES["c_sources"]()}
        steps = [[*command, *flags, *FLAGS, mark, room, "-c", source, "-o", made[source]] for source in made]
        # Linked for any processor: zig compiles the C runtime of another platform once, not once for each build; and
        # optimised, as that takes a quarter of the time of one to be debugged.
        linked = [*command, *march("any", "ziglang" in command), "-O3", "-g0", "-shared", *made.values()]
        steps.append([*linked, "-o", draft.name, "-lm"])
        said = next(filter(None, (called(step, folder) for step in steps)), "")
    if said:
        draft.unlink(missing_ok=True)
        return said
    draft.replace(path)
    return ""


def called(command: list[str], folder: Path) -> str:
    """Run a compiler; returns the end of what it said if it failed."""
    result = subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False)
    return (result.stderr.decode(errors="replace")[-2000:] or str(command)) if result.returncode else ""


class KernelHook(BuildHookInterface[Any]):
    """Called by hatchling before and after it makes a wheel, an editable one too."""

    def dependencies(self) -> list[str]:
        """What has to be installed for the time of the build."""
        target = os.environ.get(VARIABLE)
        return [ZIG] if target in TARGETS or (not target and compiler() is None) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and say what the wheel is for.

        Raises:
            BuildError: ``FENESTRA_TARGET`` names no platform, or not everything could be compiled for it.
        """
        target = os.environ.get(VARIABLE)
        if version == "editable":  # used in place, by this machine
            compile_native(FOLDER)
            return
        if target == PURE:
            return
        if target and target not in TARGETS:
            raise BuildError(f"{VARIABLE}={target}: expected {PURE} or one of {', '.join(TARGETS)}")
        self._drafts = tempfile.TemporaryDirectory(prefix="fenestra-kernel-")
        folder = Path(self._drafts.name)
        made = cross_compile(TARGETS[target], folder) if target else compile_native(folder)
        if not made:
            self.app.display_warning("no C compiler: built without the compiled kernel, several times slower")
            return
        tag = TARGETS[target].tag if target else sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"
        build_data["force_include"] |= {str(path): f"fenestra/model/engine/{path.name}" for path in made}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what the wheel now holds."""
        if drafts := getattr(self, "_drafts", None):
            drafts.cleanup()
