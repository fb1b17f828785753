"""The checkpoint folder: everything serving needs, readable, verified, never half written.

    manifest.json       format version, sha256 and size of every other file; written last
    config.json         the architecture and the calibration
    words.txt           one word a line, in the order of the vector table
    features.json       the values each feature table knows, in the order of its rows
    clusters.tsv        word clusters, for a model that looks at them: path, and its words
    lists.tsv           name lists, likewise: kinds of names, and the words that are of them
    text.json           how texts are read: abbreviations and the like; English for a model that lacks it
    weights.safetensors the numbers
    …                   whatever else the maker wants to keep with it: scores, the job, a model card

Nothing in it can run code when it is opened: JSON, text and safetensors only.
"""

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.numpy
from safetensors import SafetensorError

from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.errors import CheckpointError, ConfigError
from fenestra.model.network.parameters import Parameters
from fenestra.model.storage import storage_error, sync_folder, write_durably
from fenestra.model.text.language import Language, language
from fenestra.model.words.gazetteers import Gazetteers, from_lines, to_lines
from fenestra.model.words.lexicon import Lexicon

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_NEEDED = ("config.json", "words.txt", "features.json", "weights.safetensors")
_CLUSTERS, _LISTS, _TEXT = "clusters.tsv", "lists.tsv", "text.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model in memory, with all that belongs to it."""

    config: ModelConfig
    lexicon: Lexicon
    parameters: Parameters
    calibration: Calibration
    version: str = ""
    """The first twelve hex digits of the sha256 of the manifest; empty before it is saved."""


def save(checkpoint: Checkpoint, folder: Path, extra: Mapping[str, str | bytes] | None = None) -> None:
    """Write a checkpoint to a folder that does not exist or is empty: all of it, or nothing.

    ``extra`` are more files to keep beside the model, name → content.

    Raises:
        StorageError: the disk refused; names the path, the bytes needed and the bytes free.
    """
    settings = {"model": checkpoint.config.to_json(), "calibration": checkpoint.calibration.to_json()}
    by_row = {name: list(rows) for name, rows in checkpoint.lexicon.field_rows.items()}
    files: dict[str, bytes] = {
        "config.json": _json(settings),
        "words.txt": "".join(f"{word}\n" for word in checkpoint.lexicon.vector_rows).encode(),
        "features.json": _json(by_row),
        _TEXT: _json(checkpoint.lexicon.language.to_json()),
        "weights.safetensors": safetensors.numpy.save(checkpoint.parameters.to_arrays(checkpoint.config.weights)),
    }
    features, gazetteers = checkpoint.config.features, checkpoint.lexicon.gazetteers
    works = ((_CLUSTERS, features.cluster, gazetteers.clusters), (_LISTS, features.lists, gazetteers.lists))
    files |= {name: to_lines(known).encode() for name, width, known in works if width}
    files |= {name: some.encode() if isinstance(some, str) else some for name, some in (extra or {}).items()}
    write_folder(files, folder)


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files and their manifest into a folder beside the goal, force them to disk, then rename.

    Raises:
        StorageError: as :func:`save`.
    """
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    manifest = _json({"format": "fenestra checkpoint", "format_version": FORMAT_VERSION, "files": listed})
    needed = len(manifest) + sum(map(len, files.values()))
    draft: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        draft.chmod(0o755)
        for name, data in (*files.items(), (MANIFEST, manifest)):
            write_durably(draft / name, data)
        sync_folder(draft)
        draft.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        if draft:
            shutil.rmtree(draft, ignore_errors=True)
        raise storage_error(folder, needed, error) from error


def load(folder: Path) -> Checkpoint:
    """Open a checkpoint folder after checking every file against the manifest.

    Raises:
        CheckpointError: names the folder and what is wrong: a missing or altered file, another format,
            weights that do not fit the configuration, a number that is not finite.
    """
    manifest, version = _read_manifest(folder)
    files = _verified(folder, manifest)  # each is dropped as soon as it is read: what is loaded is all that stays
    try:
        settings = json.loads(files.pop("config.json"))
        config = ModelConfig.from_json(settings["model"])
        calibration = Calibration.from_json(settings["calibration"])
        if any(calibration.label_consistency) and not config.agreement:
            raise ValueError("calibration: same_tag and same_label are given, which the configuration has no use for")
        words = files.pop("words.txt").decode().split("\n")[:-1]
        of = Language.from_json(json.loads(files.pop(_TEXT))) if _TEXT in files else language()
        values = json.loads(files.pop("features.json"))
        lexicon = Lexicon.of(config.features, words, values, _gazetteers(config, files), of)
        parameters = Parameters.from_arrays(config, lexicon, safetensors.numpy.load(files.pop("weights.safetensors")))
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: the parts do not fit together: {_first_line(error)}") from error
    return Checkpoint(config, lexicon, parameters, calibration, version)


def describe(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's manifest without loading the model.

    Raises:
        CheckpointError: as :func:`load`.
    """
    return _read_manifest(folder)[0]


def _gazetteers(config: ModelConfig, files: dict[str, bytes]) -> Gazetteers:
    """Read the clusters and name lists that the configuration asks for."""
    works = []
    for name, width in ((_CLUSTERS, config.features.cluster), (_LISTS, config.features.lists)):
        if width and name not in files:
            raise ValueError(f"{name} is not listed in {MANIFEST}")
        try:
            works.append(from_lines(files.pop(name).decode()) if width else {})
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return Gazetteers(*works)


def _read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """The manifest, and the version that follows from it."""
    try:
        raw = _read(folder / MANIFEST)
    except OSError as error:
        raise CheckpointError(f"{folder}: not a checkpoint: cannot read {MANIFEST} ({error.strerror})") from error
    try:
        manifest = json.loads(raw)
        found, listed = manifest["format_version"], manifest["files"]
        names = {name: (entry["sha256"], entry["bytes"]) for name, entry in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        expected = "expected format_version and files, each with sha256, bytes"
        raise CheckpointError(f"{folder / MANIFEST}: {expected}") from error
    if found != FORMAT_VERSION:
        raise CheckpointError(f"{folder}: format version {found!r}, this program reads version {FORMAT_VERSION}")
    if missing := [name for name in _NEEDED if name not in names]:
        raise CheckpointError(f"{folder / MANIFEST}: does not list {', '.join(missing)}")
    if strays := [name for name in names if name in ("", "..") or Path(name).name != name or not name.isprintable()]:
        raise CheckpointError(f"{folder / MANIFEST}: {strays[0]!r} is not a plain file name")
    return manifest, hashlib.sha256(raw).hexdigest()[:12]


def _verified(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Check every listed file, and return the contents of those that a model needs."""
    contents = {}
    for name, entry in manifest["files"].items():
        try:
            data = _read(folder / name)
        except OSError as error:
            raise CheckpointError(f"{folder / name}: cannot be read ({error.strerror})") from error
        if len(data) != entry["bytes"]:
            raise CheckpointError(f"{folder / name}: {len(data)} bytes, expected {entry['bytes']}")
        if (digest := hashlib.sha256(data).hexdigest()) != entry["sha256"]:
            raise CheckpointError(f"{folder / name}: sha256 {digest[:12]}…, expected {str(entry['sha256'])[:12]}…")
        if name in (*_NEEDED, _CLUSTERS, _LISTS, _TEXT):
            contents[name] = data
    return contents


def _read(path: Path) -> bytes:
    """Read a file, but not a pipe or a device, which might never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file")
    return path.read_bytes()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
