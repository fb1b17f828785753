"""A model that is asked for by name again and again is opened once in each process."""

from functools import lru_cache
from pathlib import Path
from threading import Lock

from fenestra.model.bundled import find_model
from fenestra.model.manifest import MANIFEST
from fenestra.model.tagger import Tagger

_LOCK = Lock()
_MOST = 4  # models; the one that was not asked for the longest is dropped


def shared_tagger(model: str | Path | Tagger, *, threads: int | None = None) -> Tagger:
    """A tagger as it is, or that of a bundled model or a checkpoint folder, which all callers in a process share.

    A folder is opened anew once another checkpoint stands there. ``threads`` is as of :meth:`Tagger.load`.

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
        return _open(folder, _written(folder), threads)


@lru_cache(_MOST)
def _open(folder: Path, _written: int, threads: int | None) -> Tagger:
    return Tagger.load(folder, threads=threads)


def _written(folder: Path) -> int:
    """When the checkpoint was completed, in nanoseconds; its manifest is written last."""
    try:
        return (folder / MANIFEST).stat().st_mtime_ns
    except OSError:
        return 0  # opening it says what is wrong
