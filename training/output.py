"""The folder a job writes to: locked by one trainer, replaced in one step, never incomplete.

OUTPUT/                      appears when all is done, complete
OUTPUT.partial/lock          locked while a trainer works
               state…        what a stopped run is resumed from
               tensorboard/  events for TensorBoard
               network-2/    the same of the second of several networks, and so on
               checkpoint/   the new model, complete, a moment before it becomes OUTPUT
               replaced/     the old one, a moment until the new one is in its place
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fenestra.model.errors import InputError
from fenestra.model.manifest import MANIFEST
from fenestra.model.storage import storage_error
from fenestra.training.fit.resume import STATE

EVENTS = "tensorboard"
LOCK = "lock"
_NEW, _OLD = "checkpoint", "replaced"


@contextmanager
def claimed(output: Path, *, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Lock the folder that the job works in, so that no other job writes to the same output.

    It is removed in the end unless it holds a state to resume from.

    Raises:
        InputError: the output is taken, an unfinished run lies there, or another job has locked it.
        StorageError: the folder cannot be made.
    """
    if not output.name:
        raise InputError(f"--output {output}: expected the name of a new folder")
    work = output.with_name(f"{output.name}.partial")
    with held(work, output):
        try:
            _restore_old(work, output)
            refuse_taken(output, allowed=resume or overwrite)
            if (work / STATE).exists() and not resume:
                raise InputError(f"{work}: an unfinished run is there; go on with --resume, or delete it")
            yield work
        finally:
            if not (work / STATE).exists():
                shutil.rmtree(work, ignore_errors=True)


@contextmanager
def held(folder: Path, output: Path) -> Iterator[None]:
    """Make a folder unless it is there, and lock it against other processes.

    Args:
        folder: to be locked.
        output: the path that error messages name.

    Raises:
        InputError: another process has locked it.
        StorageError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise storage_error(folder, 0, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = os.fstat(lock.fileno()).st_ino == (folder / LOCK).stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            raise InputError(f"{output}: another training job is writing there")
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)


def refuse_taken(output: Path, *, allowed: bool) -> None:
    """Make sure that no existing files would be overwritten.

    Args:
        output: where the checkpoint will be.
        allowed: whether a checkpoint may be there already.

    Raises:
        InputError: something else is, or a checkpoint that may not.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file, expected a folder that does not exist yet")
    if _holds_files(output) and not holds_checkpoint(output):
        raise InputError(f"{output}: holds files that are not a checkpoint; choose another --output")
    if _holds_files(output) and not allowed:
        raise InputError(f"{output}: holds files already; choose another --output, or say --overwrite")


def holds_checkpoint(output: Path) -> bool:
    """Whether a finished checkpoint is there."""
    return (output / MANIFEST).exists()


def draft_folder(work: Path) -> Path:
    """An empty place for the new checkpoint; removes what an interrupted attempt left there."""
    shutil.rmtree(work / _NEW, ignore_errors=True)
    return work / _NEW


def put_in_place(work: Path, output: Path, *, overwrite: bool) -> None:
    """Move the draft to the output and end the run. The old checkpoint stays until the new one is in place.

    Raises:
        InputError: files were put there in the meantime.
        StorageError: the disk refused; what was there before is still there.
    """
    refuse_taken(output, allowed=overwrite)
    try:
        if (work / EVENTS).exists():
            (work / EVENTS).rename(work / _NEW / EVENTS)
            for events in work.glob(f"network-*/{EVENTS}"):
                events.rename(work / _NEW / EVENTS / events.parent.name)
        if _holds_files(output):
            output.rename(work / _OLD)
        (work / _NEW).rename(output)
    except OSError as error:
        _restore_old(work, output)
        raise storage_error(output, 0, error) from error
    (work / STATE).unlink(missing_ok=True)


def _restore_old(work: Path, output: Path) -> None:
    """Put back an old checkpoint that was moved away for a new one, if the new one never arrived."""
    if (work / _OLD).exists() and not _holds_files(output):
        (work / _OLD).rename(output)


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
