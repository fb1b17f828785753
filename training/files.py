"""Files of a run that are replaced while it runs."""

from pathlib import Path

from fenestra.model.storage import storage_error, sync_folder, write_durably


def replace_durably(path: Path, data: bytes) -> None:
    """Put a file in the place of another in one step: whatever happens, one of the two is there, and whole.

    Raises:
        StorageError: the disk refused; the file before is still there.
    """
    draft = path.with_name(f"{path.name}.new")
    try:
        write_durably(draft, data)
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise storage_error(path, len(data), error) from error
