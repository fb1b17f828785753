"""Files that are on the disk when a function returns, and errors that say what the disk lacked."""

import os
import shutil
from pathlib import Path

from fenestra.model.errors import StorageError


def write_durably(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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
