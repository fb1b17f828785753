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

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.errors import CheckpointError, ConfigError
from fenestra.model.manifest import (
    CONFIG,
    FEATURES,
    FORMAT_VERSION,
    MANIFEST,
    WEIGHTS,
    WORDS,
    Files,
    check_name,
    read_manifest,
)
from fenestra.model.network.array_file import ArrayFile, Layout
from fenestra.model.network.parameters import Parameters, check_finite, check_layout
from fenestra.model.progress import Pause, no_pause, split_in_pieces
from fenestra.model.storage import storage_error, sync_folder, write_durably
from fenestra.model.tags import tag_set
from fenestra.model.text.language import Language, language
from fenestra.model.untrusted import MOST_VALUES, RegularFile
from fenestra.model.words.gazetteers import NO_GAZETTEERS, Gazetteers, from_lines, to_lines
from fenestra.model.words.lexicon import Lexicon

_CLUSTERS, _LISTS, _TEXT = "clusters.tsv", "lists.tsv", "text.json"
_LIMITS = {
    CONFIG: 1 << 20, WORDS: 1 << 28, FEATURES: 1 << 28, _CLUSTERS: 1 << 26, _LISTS: 1 << 26,
    _TEXT: 1 << 22,
    WEIGHTS: 1 << 40,  # its header says what it holds, and the configuration what it may
}  # fmt: skip
"""Most bytes of the files that a model is made of, by name."""
_ONLY_TEACHES = "a recurrent model, which teaches others (training.teachers) and tags nothing; expected a window model"
_VALUES_A_ROW = 4  # of features.json: one, and commas and brackets inside of it, which count, too
_MOST_EXTRA_VALUES = 10_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model in memory, with all that belongs to it."""

    config: ModelConfig
    lexicon: Lexicon
    parameters: Parameters
    calibration: Calibration
    version: str = ""
    """The first twelve hex digits of the sha256 of the manifest; empty before it is saved."""
    sums: Mapping[str, str] = field(default_factory=dict)
    """The sha256 of each of its files; empty before it is saved."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """A model of any kind in memory, its numbers as they are in the file."""

    config: ModelConfig
    lexicon: Lexicon
    arrays: Mapping[str, NDArray[np.generic]]
    calibration: Calibration
    version: str = ""
    """As of :class:`Checkpoint`."""


def save(checkpoint: Checkpoint, folder: Path, extra: Mapping[str, str | bytes] | None = None) -> None:
    """Write a checkpoint to a folder that does not exist or is empty: all of it, or nothing.

    ``extra`` are more files to keep beside the model, name → content.

    Raises:
        StorageError: the disk refused; names the path, the bytes needed and the bytes free.
    """
    config, arrays = checkpoint.config, checkpoint.parameters.to_arrays(checkpoint.config.weights)
    save_arrays(Arrays(config, checkpoint.lexicon, arrays, checkpoint.calibration), folder, extra)


def save_arrays(model: Arrays, folder: Path, extra: Mapping[str, str | bytes] | None = None) -> None:
    """As :func:`save`, for a model of any kind."""
    settings = {"model": model.config.to_json(), "calibration": model.calibration.to_json()}
    by_row = {name: list(rows) for name, rows in model.lexicon.field_rows.items()}
    files: dict[str, bytes] = {
        CONFIG: _json(settings),
        WORDS: "".join(f"{word}\n" for word in model.lexicon.vector_rows).encode(),
        FEATURES: _json(by_row),
        _TEXT: _json(model.lexicon.language.to_json()),
        WEIGHTS: safetensors.numpy.save(dict(model.arrays)),
    }
    features, gazetteers = model.config.features, model.lexicon.gazetteers
    works = ((_CLUSTERS, features.cluster, gazetteers.clusters), (_LISTS, features.lists, gazetteers.lists))
    files |= {name: to_lines(known).encode() for name, width, known in works if width}
    files |= {name: some.encode() if isinstance(some, str) else some for name, some in (extra or {}).items()}
    write_folder(files, folder)


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files and their manifest to a folder, as :func:`save` does.

    Raises:
        StorageError: as :func:`save`.
    """
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    manifest = _json({"format": "fenestra checkpoint", "format_version": FORMAT_VERSION, "files": listed})
    _write_whole({**files, MANIFEST: manifest}, folder)


def pack(folder: Path) -> dict[str, bytes]:
    """All files of a checkpoint folder by name, checked against the manifest, which comes last.

    Raises:
        CheckpointError: as :func:`load`, of the manifest and of every file.
    """
    files = Files(folder, _LIMITS)
    return {name: bytes(files.read(name)) for name in files.sums} | {MANIFEST: files.manifest}


def unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Write what :func:`pack` gave to a folder that does not exist or is empty: all of it, or nothing.

    Its content is not looked at before it is loaded.

    Raises:
        CheckpointError: a name is not that of a plain file.
        StorageError: the disk refused; names the path, the bytes needed and the bytes free.
    """
    for name in files:
        check_name(folder, name)
    _write_whole(files, folder)


def _write_whole(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files in their order into a folder beside the goal, force them to disk, then rename."""
    draft: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        draft.chmod(0o755)
        for name, data in files.items():
            write_durably(draft / name, data)
        sync_folder(draft)
        draft.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        if draft:
            shutil.rmtree(draft, ignore_errors=True)
        raise storage_error(folder, sum(map(len, files.values())), error) from error


def load(folder: Path, pause: Pause = no_pause, before: Checkpoint | None = None) -> Checkpoint:
    """Open a checkpoint folder after checking every file against the manifest.

    Whoever made the folder is not trusted: only regular files of the sizes that the manifest lists are read, the
    weights only if they are what the configuration asks for, and no memory is taken that the files do not fill.

    Args:
        folder: a checkpoint.
        pause: called between any two pieces of the work, most of them of less than a millisecond.
        before: a model that was loaded earlier. What files have in common with its files, byte for byte, is checked and
            then shared with it instead of read again.

    Raises:
        CheckpointError: names the folder and what is wrong: a missing or altered file, another format,
            weights that do not fit the configuration, a number that is not finite.
    """
    files = Files(folder, _LIMITS, known=before.sums if before else None, pause=pause)
    files.check_others()
    with _fitting(folder):
        config, calibration = _read_settings(files)
        if config.kind != "window":
            raise CheckpointError(f"{folder}: {_ONLY_TEACHES}")
        with files.open(WEIGHTS) as file:
            weights = _read_header(file)
            lexicon = _read_lexicon(config, files, weights.layout, before.lexicon if before else None, pause)
            check_layout(config, lexicon, weights.layout)
            if before and before.config == config and files.unchanged(WEIGHTS):
                parameters = before.parameters
            else:
                parameters = Parameters.from_checked(config, _read_arrays(files, weights))
    return Checkpoint(config, lexicon, parameters, calibration, files.version, files.sums)


def load_arrays(folder: Path, check: Callable[[ModelConfig, Lexicon, Layout], None]) -> Arrays:
    """Open the folder of a model of any kind, as strictly as :func:`load`.

    Args:
        folder: of a model.
        check: raises ValueError if arrays are not what a configuration and a lexicon ask for.

    Raises:
        CheckpointError: as :func:`load`.
    """
    files = Files(folder, _LIMITS)
    files.check_others()
    with _fitting(folder):
        config, calibration = _read_settings(files)
        with files.open(WEIGHTS) as file:
            weights = _read_header(file)
            lexicon = _read_lexicon(config, files, weights.layout, None, no_pause)
            check(config, lexicon, weights.layout)
            arrays = _read_arrays(files, weights)
        check_finite(arrays)
    return Arrays(config, lexicon, arrays, calibration, files.version)


def read_config(folder: Path) -> ModelConfig:
    """The configuration of the model in a folder, of whichever kind, without loading it.

    Raises:
        CheckpointError: as :func:`load`, of the manifest and the configuration.
    """
    with _fitting(folder):
        return _read_settings(Files(folder, _LIMITS))[0]


def describe(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's manifest without loading the model.

    Raises:
        CheckpointError: as :func:`load`.
    """
    return read_manifest(folder)[0]


def version_in(folder: Path) -> str:
    """The version of the checkpoint in a folder, without loading it.

    Raises:
        CheckpointError: as :func:`load`, of the manifest.
    """
    return Files(folder, _LIMITS).version


def read_extra(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON file that is kept beside the model, such as its job.

    Raises:
        CheckpointError: as :func:`load`, or the file is not listed, or is not JSON.
    """
    files = Files(folder, _LIMITS)
    try:
        return files.read_json(name, most=_MOST_EXTRA_VALUES)
    except ValueError as error:
        raise CheckpointError(f"{folder / name}: {_first_line(error)}") from error


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    """Say of which folder it is that the parts do not fit together."""
    try:
        yield
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder}: the parts do not fit together: {_first_line(error)}") from error


def _read_settings(files: Files) -> tuple[ModelConfig, Calibration]:
    settings = files.read_json(CONFIG)
    config, calibration = ModelConfig.from_json(settings["model"]), Calibration.from_json(settings["calibration"])
    if calibration.has_label_consistency and not config.agreement:
        raise ValueError(
            "calibration: same_tag, same_label or tag_by_tag is given, which the configuration has no use for"
        )
    tags = len(tag_set(config.labels, config.scheme))
    if calibration.tag_by_tag and {len(calibration.tag_by_tag), *map(len, calibration.tag_by_tag)} != {tags}:
        raise ValueError(f"calibration: tag_by_tag: expected {tags} rows of {tags} numbers")
    return config, calibration


def _read_arrays(files: Files, weights: ArrayFile) -> dict[str, NDArray[np.generic]]:
    """All arrays, when they have proved to be what the manifest lists."""
    arrays: dict[str, NDArray[np.generic]] = {}
    files.check_sum(WEIGHTS, chain([memoryview(weights.head)], weights.fill(arrays)))
    return arrays


def _read_lexicon(
    config: ModelConfig, files: Files, layout: Layout, before: Lexicon | None, pause: Pause
) -> Lexicon:  # fmt: skip
    """Read all that the model knows by name, if it is no more than the weights have rows for.

    Raises:
        ValueError: it is more, or a file is malformed.
        ConfigError: a value of how texts are read is not what it should be.
    """
    if before and files.unchanged(WORDS):
        words = before.vector_rows
    else:
        text = files.read_text(WORDS)
        most = _rows(layout, "vectors.codes") - 1 if config.features.vectors else len(text)
        words = _number_words(text, most, pause)
    if before and before.features == config.features and files.unchanged(FEATURES):
        values = before.field_rows
    else:
        found = files.read_json(FEATURES, most=_VALUES_A_ROW * _rows(layout, "fields.") + MOST_VALUES)
        values = {name: _number_values(name, found[name], pause) for name in config.features.widths()}
    wanted, known = config.features, before.gazetteers if before else NO_GAZETTEERS
    clusters = _read_gazetteer(_CLUSTERS, files, known.clusters, pause) if wanted.cluster else {}
    lists = _read_gazetteer(_LISTS, files, known.lists, pause) if wanted.lists else {}
    read = Language.from_json(files.read_json(_TEXT)) if _TEXT in files.sums else language()
    return Lexicon(config.features, words, values, Gazetteers(clusters, lists), read)


def _read_header(file: RegularFile) -> ArrayFile:
    try:
        return ArrayFile.begin(file)
    except ValueError as error:
        raise ValueError(f"{WEIGHTS}: {error}") from error


def _rows(layout: Layout, prefix: str) -> int:
    """The rows of all arrays whose names begin so, but for rows of nothing, which take no room in the file."""
    return sum(sum(shape[:1]) for name, (_, shape) in layout.items() if name.startswith(prefix) and 0 not in shape)


def _number_words(text: str, most: int, pause: Pause) -> dict[str, int]:
    """Number the words of a list, one a line, if there are so many at most."""
    words: dict[str, int] = {}
    for piece in split_in_pieces(text, "\n", 0, len(text) - 1) if text else ():
        count = len(words) + len(piece)
        words.update(zip(piece, range(len(words) + 1, count + 1), strict=True))
        if len(words) != count:
            raise ValueError(f"{WORDS} lists a word twice")
        if count > most:
            raise ValueError(f"{WORDS} lists more words than the {most} that vectors.codes has rows for")
        pause()
    return words


def _number_values(name: str, values: object, pause: Pause) -> dict[str, int]:
    """Number the values of a field in the order given."""
    pause()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{FEATURES}: {name}: expected a list of strings")
    found = {value: row for row, value in enumerate(values, start=1)}
    if len(found) != len(values):
        raise ValueError(f"{FEATURES} lists a value of {name} twice")
    return found


def _read_gazetteer(name: str, files: Files, before: Mapping[str, str], pause: Pause) -> Mapping[str, str]:
    """Read the clusters or the name lists."""
    if before and files.unchanged(name):
        return before
    text = files.read_text(name)
    try:
        return from_lines(text, pause)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
