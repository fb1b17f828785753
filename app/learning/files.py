"""Small files that several processes read and write: whole or not there, and a lock beside them."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fenestra.model.storage import replace_durably, storage_error


def private_folder(path: Path) -> Path:
    """Make a folder for its owner alone, unless it is there.

    Raises:
        StorageError: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, 0, error) from error
    return path


def model_folder(root: Path, name: str) -> Path:
    """Where the files of a model lie. The ending keeps names such as ``..`` inside of the folder."""
    return root / f"{name}.learn"


@contextmanager
def locked(path: Path, *, wait: bool = True, shared: bool = False) -> Iterator[bool]:
    """Hold a lock between processes and threads; says whether it was free, if it is not waited for.

    Args:
        path: of the lock.
        wait: for whoever holds it.
        shared: with others that share it, as who only wants to know whether it is held.

    Raises:
        StorageError: the disk refused.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise storage_error(path, 0, error) from error
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def write_json(path: Path, value: object) -> None:
    """Put a file for its owner alone in the place of another one, in one step.

    Raises:
        StorageError: the disk refused; what was there before is still there.
    """
    replace_durably(path, json.dumps(value).encode(), mode=0o600)


def read_json(path: Path) -> Any:  # noqa: ANN401 - as it was written
    """What :func:`write_json` wrote; None if there is no such file, or it is no JSON.

    Raises:
        StorageError: it is there, and cannot be read: what it says is not known, and is not nothing.
    """
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise storage_error(path, 0, error) from error
