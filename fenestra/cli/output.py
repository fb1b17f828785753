"""Where results go: standard output, a file that is complete or not there, or a pipe or device as it is."""

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from fenestra.cli.places import is_remote, uploaded
from fenestra.model.errors import InputError
from fenestra.model.storage import storage_error, sync_folder

STDIN = "-"
_STREAMS = re.compile(r"/dev(/fd)?|/proc/.*")  # folders whose files are streams that somebody opened before


@contextmanager
def opened(output: Path | None, *, draft: Path | None = None) -> Iterator[TextIO]:
    """Open standard output, or a file that appears when all is written.

    A file that was there keeps its mode, and its owner where the system allows that; a link stays a link. What is
    no plain file (a pipe, a device, ``/dev/stdout``) is written to as it is.

    Args:
        output: the file; standard output when omitted.
        draft: a file of the same file system that is written first; one beside the output when omitted.

    Raises:
        StorageError: the disk refused; the file is as it was before.
    """
    if output is not None and is_remote(output):
        with uploaded(output) as stream:
            yield stream
        return
    if output is None or _same(_status(output), _status(1)):
        yield sys.stdout
        return
    try:
        with _opened_as_it_is(output) if is_stream(output) else _replaced(output.resolve(), draft) as stream:
            yield stream
    except BrokenPipeError:  # whoever read our output has seen enough
        raise
    except OSError as error:
        raise storage_error(output, 0, error) from error


def check_not_input(files: Iterable[str], outputs: Iterable[Path | None]) -> None:
    """Refuse to write over what is being read.

    Raises:
        InputError: a file is input and output.
    """
    read_from = set(files)
    read = {_identity(_status(0 if name == STDIN else name)): name for name in read_from}
    read.pop(None, None)
    for output in outputs:
        name = read.get(_identity(_status(1 if output is None else output)))
        if output is not None and is_remote(output) and str(output) in read_from:
            name = str(output)
        if name is not None:
            raise InputError(f"{output or name}: is input and output; expected another file to write to")


def check_writable(output: Path) -> None:
    """Make sure, before the work, that a file can be written when it is done.

    Raises:
        StorageError: the system says no.
    """
    if is_remote(output):
        return
    try:
        _check_writable(output.resolve())
    except OSError as error:
        raise storage_error(output, 0, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder to write to, where it is missing.

    Raises:
        StorageError: the disk refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, 0, error) from error


@contextmanager
def _opened_as_it_is(path: Path) -> Iterator[TextIO]:
    with path.open("a", encoding="utf-8", newline="\n") as stream:
        yield stream


@contextmanager
def _replaced(target: Path, draft: Path | None) -> Iterator[TextIO]:
    """A draft of a file, which takes its place when all is written."""
    if draft is None or _device(draft.parent) != _device(target.parent):  # behind a link
        draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        before = _status(target)
        _check_writable(target)
        draft.unlink(missing_ok=True)  # of a process of the same number that was killed
        draft.touch(0o600 if before else 0o666, exist_ok=False)  # nobody reads it before it has its mode
        with draft.open("w", encoding="utf-8", newline="\n") as stream:
            if before:
                _adopt(draft, target, before)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(target)
        if os.name == "posix":
            sync_folder(target.parent)
    finally:
        with suppress(OSError):
            draft.unlink()


def _adopt(draft: Path, target: Path, before: os.stat_result) -> None:
    """Give a draft the owner, the mode and the access list of a file."""
    if hasattr(os, "chown"):
        for owner in ((before.st_uid, -1), (-1, before.st_gid)):
            with suppress(PermissionError):
                os.chown(draft, *owner)
    shutil.copystat(target, draft)


def _check_writable(target: Path) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        target.open("r+b").close()  # raises what the system says of it


def is_stream(path: Path) -> bool:
    """Whether a path is of a pipe or a device, or of a stream that somebody opened before."""
    if is_remote(path):
        return False
    status = _status(path)
    folder = os.path.realpath(path.parent)
    return bool(status and not stat.S_ISREG(status.st_mode)) or bool(_STREAMS.fullmatch(folder))


def _status(file: Path | str | int) -> os.stat_result | None:
    """The status of a file or an open stream, or None where there is none."""
    try:
        return os.fstat(file) if isinstance(file, int) else Path(str(file)).stat()
    except (OSError, ValueError):
        return None


def is_same_folder(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder."""
    if is_remote(one) or is_remote(other):
        return str(one).rstrip("/") == str(other).rstrip("/")
    first, second = _status(one), _status(other)
    return bool(first and second and stat.S_ISDIR(first.st_mode) and os.path.samestat(first, second))


def _identity(status: os.stat_result | None) -> tuple[int, int] | None:
    """What tells a file from others; None of streams and devices, which have no content that could be lost."""
    return (status.st_dev, status.st_ino) if status and stat.S_ISREG(status.st_mode) else None


def _device(folder: Path) -> int | None:
    status = _status(folder)
    return status.st_dev if status else None


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    """Whether two are one file; streams and devices have no content that could be lost."""
    return bool(one and other and stat.S_ISREG(one.st_mode) and os.path.samestat(one, other))
