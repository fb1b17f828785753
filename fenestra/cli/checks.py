"""What ``fenestra doctor`` looks at. A check never raises: what it meets is its result."""

import os
import platform
import re
import shutil
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from fenestra.model.suggest import did_you_mean
from fenestra.model.version import VERSION

State = Literal["ok", "warn", "fail"]
_DISTRIBUTION = "fenestra-ner"
_PORT = 8000
_LEAST_MB, _USUAL_MB = 200, 1000  # to load a model at all; to train one
_LEVELS = {0: "of any kind", 3: "x86-64-v3 (AVX2)", 4: "x86-64-v4 (AVX-512)", 5: "x86-64-v4 with VNNI"}
_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "amx_tile", "amx_bf16", "asimd", "sve")


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found."""

    name: str
    state: State
    text: str
    remedy: str = ""
    """What to do; empty where nothing is amiss."""


def check_all() -> list[Check]:
    """Look at everything, in the order in which it depends on each other."""
    looks: list[Callable[[], Iterable[Check]]] = [
        _versions, _processor, _kernel, _models, _torch, _extras, _cache, _environment, _memory, _port
    ]  # fmt: skip
    return [found for look in looks for found in _guarded(look)]


def _guarded(look: Callable[[], Iterable[Check]]) -> list[Check]:
    try:
        return list(look())
    except Exception as error:  # a look that fails is a finding, and the others go on
        reason = " ".join(str(error).split())[:200]
        return [Check(look.__name__.strip("_"), "fail", f"could not be looked at: {type(error).__name__}: {reason}")]


def _versions() -> Iterable[Check]:
    place = Path(__file__).resolve().parents[1]
    yield Check("fenestra", "ok", f"{VERSION} in {place}")
    there = "in a virtual environment" if sys.prefix != sys.base_prefix else "not in a virtual environment"
    yield Check("python", "ok", f"{platform.python_version()} {sys.implementation.name}, {sys.executable}, {there}")


def _processor() -> Iterable[Check]:
    from fenestra.model.engine.cores import available_cores, usable_cores

    told = _cpuinfo()
    name = told.get("model name") or platform.processor() or platform.machine()
    words = (told.get("flags") or told.get("Features") or "").split()
    features = ", ".join(name for name in _FEATURES if name in words) or "none that matter here"
    cores = f"{usable_cores()} of {available_cores()} cores"
    yield Check("processor", "ok", f"{name}; {cores} for this process; {features}")


def _cpuinfo() -> dict[str, str]:
    """What Linux tells of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _kernel() -> Iterable[Check]:
    """Which build of the compiled kernel tags, and why."""
    from fenestra.model.engine import library
    from fenestra.model.engine.sources import BUILDS, library_name

    compiler = next((found for name in (os.environ.get("CC", ""), "cc", "gcc", "clang") if (found := _which(name))), "")
    built = [build for build in BUILDS if (library.FOLDER / library_name(build)).is_file()]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        kernel = next(library.builds(), None)
    again = "install Fenestra again: pip install --force-reinstall --no-deps ., in the source folder"
    if kernel is None:
        why = f"; {said[0].message}" if said else ""
        remedy = again if compiler else f"install a C compiler (apt install gcc, xcode-select --install), then {again}"
        yield Check("kernel", "warn", f"none: NumPy tags, the same and slower{why}", remedy)
    else:
        level = library.cpu_level()
        best = next(build for build, needed in BUILDS.items() if needed <= level)
        why = f"the best for this processor, {_LEVELS.get(level, f'level {level}')}; there are {', '.join(built)}"
        slower = kernel.name != f"kernel-{best}"
        yield Check("kernel", "warn" if slower else "ok", f"{kernel.name.removeprefix('kernel-')}, "
                    + (f"though {best} would run here" if slower else why), again if slower else "")  # fmt: skip
    yield Check("compiler", "ok", compiler or "none found; needed only to install from sources")


def _which(name: str) -> str:
    words = name.split()
    return (shutil.which(words[0]) or "") if words else ""


def _models() -> Iterable[Check]:
    """Every file of the bundled models against its manifest, and whether answers are batch-invariant here."""
    from fenestra.model.bundled import bundled_models
    from fenestra.model.errors import FenestraError
    from fenestra.model.tagger import Tagger

    again = "install Fenestra again; git checkout data/models, in the source folder"
    found = bundled_models()
    if not found:
        yield Check("models", "warn", "none is bundled", "name a checkpoint folder by --model, or install it again")
    for name, folder in found.items():
        try:
            tagger = Tagger.load(folder, device="cpu", threads=1)
            tagger.self_test()
        except FenestraError as error:
            yield Check("model", "fail", f"{name}: {error}", again)
        else:
            yield Check("model", "ok", f"{name} {tagger.version}: files as listed, self-test passed, {tagger.engine}")


def _torch() -> Iterable[Check]:
    version = _version("torch")
    text = version or "not installed; needed to train, and to tag on a GPU"
    yield Check("torch", "ok", text)


def _extras() -> Iterable[Check]:
    """Which extras are complete, each with the version of its first package."""
    there, lacking = [], []
    for extra, packages in extras().items():
        versions = {name: _version(name) for name in packages}
        if all(versions.values()):
            name = next(iter(versions))
            there.append(f"{extra} ({name} {versions[name]})")
        else:
            lacking.append(extra)
    text = ", ".join(there) or "none"
    yield Check("extras", "ok", text + (f"; not: {', '.join(lacking)}" if lacking else ""))


def extras() -> dict[str, list[str]]:
    """The packages of every extra that users install, as the metadata of the distribution list them."""
    try:
        listed = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # runs from a folder that was not installed
        return {}
    found: dict[str, list[str]] = {}
    for entry in listed:
        match = re.fullmatch(r"([\w.-]+)(\[[^]]*\])?[^;]*;\s*extra == ['\"]([\w-]+)['\"]", entry)
        if match and match[3] != "dev":  # and no package that is for some machines only
            found.setdefault(match[3], []).extend([] if match[1] == _DISTRIBUTION else [match[1]])
    return {extra: packages for extra, packages in found.items() if packages}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _cache() -> Iterable[Check]:
    """Where corpora and vectors are kept that were fetched."""
    from fenestra.training import sources

    folder = sources.cache_folder()
    fetched = [name for name in sources.available() if sources.cached(name)]
    size = sum(path.stat().st_size for name in fetched for path in (folder / name).rglob("*") if path.is_file())
    text = f"{folder}: {', '.join(fetched)}, {size / 1e6:,.0f} MB" if fetched else f"{folder}: nothing fetched yet"
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(place, os.W_OK):
        yield Check("cache", "warn", f"{text}; {place} cannot be written", "set FENESTRA_CACHE to a folder of yours")
    else:
        yield Check("cache", "ok", text)


def _environment(environment: Mapping[str, str] = os.environ) -> Iterable[Check]:
    """Variables that look like settings and are none: the service does not start with them, others ignore them."""
    given = sorted(name for name in environment if name.upper().startswith("FENESTRA_"))
    try:
        from fenestra.app.settings import PREFIX, variables
    except ModuleNotFoundError:  # without the extra `serve` there is no service
        return
    known = variables()
    unknown = [name for name in given if name.upper() not in known]
    for name in unknown:
        hint = did_you_mean(name, sorted(known), prefix=PREFIX)
        yield Check(
            "environment", "warn", f"{name}: unknown setting{hint}", f"unset {name}; docs/settings.md lists all"
        )
    if given and not unknown:
        yield Check("environment", "ok", ", ".join(given))


def _memory() -> Iterable[Check]:
    from fenestra.model.engine.machine import available_bytes

    available = available_bytes()
    if available is None:
        yield Check("memory", "ok", "the system does not tell")
        return
    state: State = "fail" if available < _LEAST_MB * 1e6 else "warn" if available < _USUAL_MB * 1e6 else "ok"
    remedy = "" if state == "ok" else "end other programs, or raise the limit of the container"
    yield Check("memory", state, f"{available / 1e9:.1f} GB available", remedy)


def _port(port: int = _PORT) -> Iterable[Check]:
    """Whether ``fenestra serve`` could listen where it does unless told otherwise."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            text = f"{port} on 127.0.0.1 is not free ({error.strerror})"
            yield Check("port", "warn", text, f"fenestra serve --port {port + 1}, or end what listens there")
        else:
            yield Check("port", "ok", f"{port} on 127.0.0.1 is free")
