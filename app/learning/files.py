"""Small files that several processes read and write: whole or not there, and a lock beside them."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fenestra.model.storage import storage_error, sync_folder, write_durably


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
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock between processes and threads; says whether it was free, if it is not waited for."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in the place of another one, in one step.

    Raises:
        StorageError: the disk refused; what was there before is still there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_durably(draft, data)
        draft.chmod(0o600)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise storage_error(path, len(data), error) from error


def write_json(path: Path, value: object) -> None:
    """As :func:`replace_file`."""
    replace_file(path, json.dumps(value).encode())


def read_json(path: Path) -> Any:  # noqa: ANN401 - as it was written
    """What :func:`write_json` wrote; None if there is no such file, or it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
