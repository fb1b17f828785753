"""Files that are on the disk when a function returns, and errors that say what the disk lacked."""

import os
import shutil
from pathlib import Path

from fenestra.model.errors import StorageError


def write_durably(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file and wait until the disk has it; ``mode`` says who may read and write a new one."""
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Put a file in the place of another in one step: whatever happens, one of the two is there, and whole.

    Raises:
        StorageError: the disk refused; the file before is still there.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        write_durably(draft, data, mode=mode)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise storage_error(path, len(data), error) from error


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's list of names."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def storage_error(path: Path, needed: int, error: OSError) -> StorageError:
    """Say which path could not be written, how much it needs and how much is free."""
    reason = error.strerror or type(error).__name__
    if not isinstance(path, Path):  # of another file system, which tells nothing of its room
        return StorageError(f"{path}: {reason}")
    place = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    return StorageError(f"{path}: {reason}; needed {needed:,} bytes, free {free:,} bytes")
