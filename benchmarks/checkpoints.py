"""Folders with models that are alike and yet can be told apart, for reloading one over the other."""

import json
from collections.abc import Mapping
from pathlib import Path

from fenestra.model.bundled import bundled_model
from fenestra.model.checkpoint import write_folder

MANIFEST = "manifest.json"


def files_of(folder: Path) -> dict[str, bytes]:
    """All files of a checkpoint but its manifest, which whoever writes them anew writes anew."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != MANIFEST}


def write_variant(folder: Path, *, temperature: float = 1.0, changed: Mapping[str, bytes | None] | None = None) -> None:
    """Write the bundled model to a new folder, with other scores and so another version.

    Args:
        folder: does not exist yet.
        temperature: a factor on the one that its scores are calibrated with.
        changed: files with other contents, or None for those to leave out. The manifest agrees with them.
    """
    files: dict[str, bytes] = files_of(bundled_model())
    config = json.loads(files["config.json"])
    config["calibration"]["temperature"] *= temperature
    files["config.json"] = json.dumps(config).encode()
    kept = {name: content for name, content in (files | dict(changed or {})).items() if content is not None}
    write_folder(kept, folder)


def put_in_place(source: Path, target: Path) -> None:
    """Make a folder hold another one's files, as ``rsync`` would: one file after the other, the manifest last."""
    names = sorted((path.name for path in source.iterdir()), key=lambda name: (name == MANIFEST, name))
    for name in names:
        draft = target / f".{name}"
        draft.write_bytes((source / name).read_bytes())
        draft.replace(target / name)
