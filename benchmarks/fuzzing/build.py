"""Builds of the kernel with address and undefined-behaviour sanitizers, which report their coverage to libFuzzer.

Everything comes from PyPI: the compiler is clang, as zig brings it along; the sanitizers' run time and libFuzzer are in
atheris, and are preloaded into Python, which was not built with them.
"""

from pathlib import Path

import atheris

from fenestra.hatch_build import FLAGS, called, march, zig_compiler
from fenestra.model.engine.sources import ROOM, c_sources, digest, library_name

SANITIZE = "-g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,undefined -fno-sanitize-recover=all".split()
# zig keeps back the option itself, since it has no run time for it; what it hands on to clang it does not look at.
SANITIZE += ["-Xclang", "-fsanitize=address"]
_DROPPED = {"-O3", "-g0"}
LINK = "-Os -g0 -fsanitize=undefined -shared".split()
"""With zig's run time of that sanitizer; one to be debugged itself takes four times as long to compile."""


def build_sanitized(names: list[str], folder: Path) -> list[Path]:
    """Compile builds of the kernel, those that are missing in the folder or older than their sources.

    Raises:
        RuntimeError: the compiler's message.
    """
    folder = folder / digest()
    folder.mkdir(parents=True, exist_ok=True)
    return [_build(name, folder) for name in names]


def _build(name: str, folder: Path) -> Path:
    library = folder / library_name(name)
    if library.is_file():
        return library
    zig = zig_compiler()
    flags = [*march(name, zig=True), *(flag for flag in FLAGS if flag not in _DROPPED), *SANITIZE]
    flags += [f'-DSOURCES="{digest()}"', f"-I{ROOM}"]
    objects = {source: folder / f"{source.stem}-{name}.o" for source in c_sources()}
    for source, made in objects.items():
        _call([*zig, *flags, "-c", str(source), "-o", str(made)], folder)
    draft = library.with_suffix(".draft")
    _call([*zig, *LINK, *map(str, objects.values()), "-o", str(draft), "-lm"], folder)
    return draft.replace(library)


def _call(command: list[str], folder: Path) -> None:
    if said := called(command, folder):
        raise RuntimeError(said)


def preloaded() -> dict[str, str]:
    """The environment in which Python runs with the sanitizers and libFuzzer."""
    return {
        "LD_PRELOAD": str(Path(atheris.path()) / "asan_with_fuzzer.so"),
        # Python keeps memory until the end; a refused allocation is a MemoryError, as without the sanitizer.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16:malloc_context_size=4",
        "PYTHONMALLOC": "malloc",  # so that each object has its own guarded memory
    }
