"""Fenestra: a windowed named-entity tagger.

>>> import fenestra
>>> tagger = fenestra.load("english")
>>> tagger("Ada Lovelace moved from London to join Siemens in Munich.")[0].text
'Ada Lovelace'

``load`` opens a bundled model or a checkpoint folder, ``train`` makes one. Nothing is imported before it is asked for.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenestra.model.version import VERSION as _VERSION

if TYPE_CHECKING:
    from fenestra.model.columns import Columns
    from fenestra.model.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        FenestraError,
        InputError,
        RunError,
    )
    from fenestra.model.explain import Explanation, Share
    from fenestra.model.results import Alternative, Entity, Result, TaggedToken
    from fenestra.model.tagger import Tagger

__version__ = _VERSION
__all__ = [
    "Alternative",
    "CheckpointError",
    "Columns",
    "ConfigError",
    "DataError",
    "Entity",
    "Explanation",
    "FenestraError",
    "InputError",
    "Result",
    "RunError",
    "Share",
    "TaggedToken",
    "Tagger",
    "__version__",
    "load",
    "models",
    "train",
]

_HOME = {
    "fenestra.model.columns": ("Columns",),
    "fenestra.model.errors": ("CheckpointError", "ConfigError", "DataError", "FenestraError", "InputError", "RunError"),
    "fenestra.model.explain": ("Explanation", "Share"),
    "fenestra.model.results": ("Alternative", "Entity", "Result", "TaggedToken"),
    "fenestra.model.tagger": ("Tagger",),
}
_MODULES = {name: module for module, names in _HOME.items() for name in names}


def load(name_or_folder: str | Path = "english", **options: Any) -> "Tagger":  # noqa: ANN401
    """Open a bundled model by its name, or a checkpoint folder.

    Args:
        name_or_folder: ``english``, ``russian``, or a folder that ``fenestra train`` wrote. A folder of that name in
            the current one comes first, and what is written as a path (``./russian``) is always a folder.
        options: ``device``, ``threads``, ``cache_mb``, ``cache_numbers``, ``engine`` of :meth:`Tagger.load`.

    Raises:
        TypeError: it is neither a string nor a path, or an option is unknown.
        InputError: it is neither a folder nor a bundled model, there is no such device, or an option is out of range.
        CheckpointError: the folder is damaged or of another format.
    """
    from fenestra.model.bundled import find_model
    from fenestra.model.tagger import Tagger

    if not isinstance(name_or_folder, str | Path):
        raise TypeError(f"expected the name of a model or a folder, got {type(name_or_folder).__name__}")
    return Tagger.load(find_model(str(name_or_folder)), **options)


def models() -> list[str]:
    """The names of the bundled models."""
    from fenestra.model.bundled import bundled_models

    return sorted(bundled_models())


def train(
    config: str | Path | dict[str, Any],
    output: str | Path,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> "Tagger":
    """Run a training job, as ``fenestra train`` does, and open what it made. Needs the extra ``train``.

    Args:
        config: a TOML file; or what such a file holds, as nested dictionaries. Paths in a file count from its folder,
            those in dictionaries from the current one.
        output: folder of the checkpoint to be; must not hold anything yet.
        overrides: fields to change, as on the command line: ``["training.epochs=30"]``.
        resume: continue a run into the same folder that was stopped, if there was one.
        overwrite: if ``output`` holds a checkpoint already, replace it when the new one is complete.

    Raises:
        ImportError: the extra is not installed.
        InputError: configuration, corpora or vectors are wrong, the folder is taken, or the model is a teacher, which
            ``fenestra train`` makes.
        RunError: training diverged, or the disk refused.
    """
    from fenestra.extras import missing
    from fenestra.model.errors import InputError

    try:
        from fenestra.training.config import any_config
        from fenestra.training.job import train as run
    except ModuleNotFoundError as error:
        raise missing("train", error) from error
    job = any_config(config, overrides)
    if job.model.kind != "window":
        raise InputError(
            f"model.kind: a {job.model.kind} model tags nothing, so nothing can be opened; use fenestra train"
        )
    return load(run(job, Path(output), resume=resume, overwrite=overwrite).absolute())


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _MODULES:
        raise AttributeError(f"module 'fenestra' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
