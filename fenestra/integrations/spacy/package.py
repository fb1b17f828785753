"""A model as a pipeline package of spaCy, which ``spacy.load`` finds by its name: ``fenestra export spacy``."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import spacy
from packaging.version import InvalidVersion, Version
from spacy.cli.package import package
from spacy.language import Language

from fenestra.integrations.spacy.source import Files
from fenestra.model import checkpoint
from fenestra.model.errors import InputError, RunError
from fenestra.model.label_names import Names, Renames, check_labels, name_labels
from fenestra.model.manifest import MANIFEST, version_of
from fenestra.model.storage import storage_error
from fenestra.model.version import VERSION

_CARD, _REPORT, _TEXT = "README.md", "report.json", "text.json"
_LICENCE = re.compile(r"weights are licensed \[(.+?)\]")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


class Package(NamedTuple):
    """What was written."""

    pipeline: Path
    """A folder for ``spacy.load``."""
    wheel: Path
    """For ``pip install``; then ``spacy.load`` takes its name."""


def export(
    model: Path,
    output: Path,
    *,
    name: str = "fenestra",
    version: str | None = None,
    label_map: Renames | None = None,
) -> Package:
    """Write a pipeline that holds a model, and a wheel of it, to a new folder: all of it, or nothing.

    Args:
        model: a checkpoint folder.
        output: a folder that does not exist or is empty.
        name: of the pipeline; its language comes before it: ``en_fenestra``.
        version: of the package; that of Fenestra and of the checkpoint unless given: ``0.1.0+ceb999022d9a6``.
        label_map: new names of labels; None drops what has that label.

    Raises:
        InputError: the folder is taken, the name or the version cannot be those of a package, or a label is unknown.
        CheckpointError: the model is damaged.
        RunError: setuptools could not build the wheel.
        StorageError: the disk refused.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"name {name!r}: expected small letters, digits and single underscores between")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output}: is taken; expected the name of a new folder")
    files, label_map = checkpoint.pack(model), dict(label_map or {})
    labels = checkpoint.read_config(model).labels
    check_labels(labels, label_map=label_map)
    nlp = spacy.blank(_json(files, _TEXT).get("code", "en"))
    nlp.add_pipe("fenestra", config={"label_map": label_map})
    nlp.get_pipe("fenestra").use(files)
    full_version = _checked(version or f"{VERSION}+c{version_of(files[MANIFEST])}")
    nlp.meta |= _meta(files, name_labels(labels, label_map), name, full_version)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
            return _write(nlp, files, Path(scratch).resolve(), output)  # setuptools works in another folder
    except OSError as error:
        raise storage_error(output, 3 * sum(map(len, files.values())), error) from error


def _checked(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion:
        raise InputError(f"version {version!r}: expected a version of a Python package, such as 1.0.0") from None


def _write(nlp: Language, files: Files, scratch: Path, output: Path) -> Package:
    """Make everything in a scratch folder, then move it to its place."""
    full_name, draft = f"{nlp.lang}_{nlp.meta['name']}", scratch / "draft"
    pipeline = draft / full_name
    pipeline.parent.mkdir(mode=0o755)
    nlp.to_disk(pipeline)
    if _CARD in files:
        (pipeline / _CARD).write_bytes(files[_CARD])
    package(pipeline, scratch, create_sdist=False)
    source = scratch / f"{full_name}-{nlp.meta['version']}"
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(scratch)], cwd=source, capture_output=True, text=True, check=False
    )
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        raise RunError(f"setuptools built no wheel: {' '.join(done.stderr.split())[-300:]}")
    wheels[0].rename(draft / wheels[0].name)
    shutil.copymode(output.parent, draft)
    draft.rename(output)
    return Package(output / full_name, output / wheels[0].name)


def _meta(files: Files, names: Names, name: str, version: str) -> dict[str, Any]:
    """What the package says of itself, from the model's report and card."""
    report = _json(files, _REPORT)
    about = report.get("config", {}).get("description", "").partition("\n\n")[0]
    licence = _LICENCE.search(files.get(_CARD, b"").decode())
    return {
        "name": name,
        "version": version,
        "description": " ".join(about.split()) or "A window tagger of named entities.",
        "license": licence[1] if licence else f"see {_CARD}",
        "requirements": [f"fenestra-ner[spacy]>={VERSION}"],
        "performance": _performance(report, names),
    }


def _performance(report: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The scores on the test corpus, or else on the development corpus, as spaCy writes them.

    There are none where labels were dropped or joined: the report does not say how those that are left score.
    """
    measured = report.get("scores", {})
    scores = measured.get("test", measured.get("dev", {})).get("scores", {})
    if not scores or len(set(names.values())) != len(scores["labels"]):
        return {}
    by_label = {names[label]: _prf(score) for label, score in scores["labels"].items()}
    return {f"ents_{key}": value for key, value in _prf(scores["micro"]).items()} | {"ents_per_type": by_label}


def _prf(score: Mapping[str, float]) -> dict[str, float]:
    return {"p": score["precision"], "r": score["recall"], "f": score["f1"]}


def _json(files: Files, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files.get(name, b"{}"))
    return content
