"""A model that is asked for by name again and again is opened once in each process."""

import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_models, find_model
from fenestra.model.errors import InputError
from fenestra.model.manifest import MANIFEST
from fenestra.model.tagger import Tagger

_LOCK = Lock()
_MOST = 4  # models; the one that was not asked for the longest is dropped


def shared_tagger(model: str | Path | Tagger, **options: Any) -> Tagger:  # noqa: ANN401
    """A tagger as it is, or that of a bundled model or a checkpoint folder, which all callers in a process share.

    A folder is opened anew once another checkpoint stands there. ``options`` are those of :meth:`Tagger.load`.

    Raises:
        TypeError: ``model`` is none of these.
        InputError: it is neither a folder nor a bundled model.
        CheckpointError: the folder is damaged or of another format.
    """
    if isinstance(model, Tagger):
        return model
    if not isinstance(model, str | Path):
        raise TypeError(f"model: expected a name, a folder or a Tagger, got {type(model).__name__}")
    folder = find_model(str(model)).absolute()
    with _LOCK:  # two threads that ask at once would both open it
        return _open(folder, _written(folder), **options)


def packed_tagger(files: Mapping[str, bytes], **options: Any) -> Tagger:  # noqa: ANN401
    """As :func:`shared_tagger`, of what :func:`fenestra.model.checkpoint.pack` gave; it cannot be pickled."""
    with tempfile.TemporaryDirectory(prefix="fenestra-") as scratch:
        folder = Path(scratch) / "model"
        checkpoint.unpack(files, folder)
        return Tagger(checkpoint.load(folder), **options)


def model_of(language: str) -> str:
    """The name of the bundled model that reads a language, such as ``en``.

    Raises:
        InputError: there is none.
    """
    folders = bundled_models()
    known = {checkpoint.read_extra(folder, "text.json")["code"]: name for name, folder in folders.items()}
    if language not in known:
        raise InputError(f"no bundled model reads {language!r}, but {', '.join(sorted(known))}; name a model")
    name: str = known[language]
    return name


@lru_cache(_MOST)
def _open(folder: Path, _written: int, **options: Any) -> Tagger:  # noqa: ANN401
    return Tagger.load(folder, **options)


def _written(folder: Path) -> int:
    """When the checkpoint was completed, in nanoseconds; its manifest is written last."""
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except OSError:
        return 0  # opening it says what is wrong
