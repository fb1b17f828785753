"""What is finished is on disk, so that a run that was killed goes on where it was.

A folder beside the output holds a file for every finished unit: a line of JSON that says what became of it, then its
results. Each is written as a draft, synced and renamed, so that it is whole or not there. Its key is made of what the
unit holds, and the name of the folder of what is done with it. So what was left by a run on other input, with another
model or other options is never used; and who made it, one worker or many, does not matter.

    .OUT.parts/              or OUT/.fenestra.parts/ for an output folder
        lock                 held by the run that writes here, which it names
        plan.json            model and options
        3f0c…/00000012       the twelfth unit
"""

import base64
import hashlib
import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from fenestra.cli.bulk.reading import Bad
from fenestra.cli.bulk.tagging import Tagged
from fenestra.cli.bulk.units import PieceDone, UnitDone, WorkUnit, piece_done
from fenestra.cli.output import opened
from fenestra.cli.places import is_remote, uploaded
from fenestra.model.errors import InputError
from fenestra.model.storage import storage_error

try:
    import fcntl
except ImportError:  # not on Windows, where nothing keeps two runs apart
    fcntl = None  # type: ignore[assignment]

_PLAN, _LOCK = "plan.json", "lock"
_LOCK_SECONDS = 10.0  # until workers of a run that was killed have noticed
_COPIED = 1 << 20  # bytes at a time


@dataclass(frozen=True, slots=True)
class Store:
    """The finished units of a run."""

    folder: Path
    run: str = ""
    """What tells this run from others; it stands in the lock."""
    left: frozenset[str] | None = None
    """Names of the units that an earlier run has left; None if that is not known."""

    def is_shared(self) -> bool:
        """Whether the folder is that of the run, and not another one of this name on another machine."""
        if is_remote(self.folder):
            return True
        try:
            return (self.folder.parent / _LOCK).read_text(encoding="ascii") == self.run
        except (OSError, ValueError):
            return False

    def put(self, unit: WorkUnit, pieces: Sequence[Tagged]) -> UnitDone:
        """Keep what became of a unit; the result of a piece with a file of its own goes there.

        Raises:
            StorageError: the disk refused.
        """
        done = UnitDone(tuple(piece_done(piece) for piece in pieces))
        if done.stopped:  # the work ends here, and what is wrong will be mended or left out
            return done
        rest = []
        for piece, tagged in zip(unit.pieces, pieces, strict=True):
            if piece.target is None:
                rest.append(tagged.written)
                continue
            try:
                piece.target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise storage_error(piece.target, len(tagged.written), error) from error
            with opened(piece.target, draft=self.draft(piece.target.name)) as stream:
                stream.buffer.write(tagged.written)
        self._write(unit.number, json.dumps(_to_json(unit, done)).encode() + b"\n", rest)
        return done

    def get(self, unit: WorkUnit, *, goes_on: bool) -> UnitDone | None:
        """What became of a unit in an earlier run; None if it was not finished, or was another one.

        Nor is it, if something in it was left out that would end the work now; ``goes_on`` says that nothing does.
        """
        path = self._path(unit.number)
        if self.left is not None and path.name not in self.left:
            return None
        try:
            with path.open("rb") as file:
                head = json.loads(file.readline())
                size = path.stat().st_size - file.tell()
            if head["key"] != unit.key():
                return None
            done = UnitDone(tuple(map(_from_json, head["pieces"])))
            if size != sum(piece.size for piece, of in zip(done.pieces, unit.pieces, strict=True) if of.target is None):
                return None
            for piece, of in zip(done.pieces, unit.pieces, strict=True):
                if of.target is not None and of.target.stat().st_size != piece.size:
                    return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        refused = not goes_on and any(not bad.too_long for piece in done.pieces for bad in piece.bad)
        return None if refused else done

    def copy(self, number: int, offset: int, size: int, stream: IO[bytes]) -> None:
        """Write some of a unit's results to a stream: ``size`` bytes from ``offset``."""
        with self._path(number).open("rb") as file:
            file.readline()
            file.seek(offset, os.SEEK_CUR)
            while size and (data := file.read(min(size, _COPIED))):
                stream.write(data)
                size -= len(data)
        if size:
            raise OSError(0, f"{self._path(number)} ended too early")

    def draft(self, name: str) -> Path:
        """Where a file is written before it takes its place; of this process alone."""
        return self.folder / f".{hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()}.{_this_process()}"

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}"

    def _write(self, number: int, head: bytes, rest: Sequence[bytes]) -> None:
        path = self._path(number)
        if is_remote(path):
            with uploaded(path) as stream:
                stream.buffer.write(b"".join((head, *rest)))
            return
        draft = self.draft(path.name)
        try:
            with draft.open("wb") as file:
                file.write(head)
                file.writelines(rest)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise storage_error(path, len(head) + sum(map(len, rest)), error) from error


@contextmanager
def open_store(place: Path, plan: dict[str, Any], say: Callable[[str], object]) -> Iterator[Store]:
    """Open the folder of finished units; it is removed when all went well, or nothing is in it.

    Args:
        place: of the folder.
        plan: what is done with every unit, and by which model; plain JSON values.
        say: is told if an earlier run left units that are of no use now.

    Raises:
        InputError: another run writes to the same output.
        StorageError: the disk refused.
    """
    digest = hashlib.blake2b(json.dumps(plan, sort_keys=True).encode(), digest_size=8).hexdigest()
    folder = place / digest
    with _locked(place) as run:
        _clear(place, folder, plan, say)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            (place / _PLAN).write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise storage_error(place, 0, error) from error
        try:
            yield Store(folder, run, frozenset(_names(folder)))
        except BaseException:
            with suppress(OSError):
                if all(name.startswith(".") for name in _names(folder)):
                    _remove(place)
            raise
        _remove(place)


@contextmanager
def _locked(place: Path) -> Iterator[str]:
    """Hold the folder of a run; gives what the run is known by. Nothing keeps two runs apart behind a URL."""
    run = secrets.token_hex(16)
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        lock = None if is_remote(place) else (place / _LOCK).open("ab")
    except OSError as error:
        raise storage_error(place, 0, error) from error
    if lock is None:
        yield run
        return
    with lock:
        _lock(lock, place)
        try:
            lock.truncate(0)
            lock.write(run.encode())
            lock.flush()
        except OSError as error:
            raise storage_error(place, 0, error) from error
        yield run


_CHANGED = {"program": "another version", "model": "another model", "options": "other options"}


def _lock(lock: IO[bytes], place: Path) -> None:
    """Take the lock of a folder; it is given back when the file is closed, however the process ends."""
    until = time.monotonic() + _LOCK_SECONDS
    while fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise InputError(
                    f"{place}: another run is writing the same output; wait for its end, or write elsewhere"
                ) from None
            time.sleep(0.1)
        except OSError:  # a file system without locks
            return
        else:
            return


def _clear(place: Path, folder: Path, plan: dict[str, Any], say: Callable[[str], object]) -> None:
    """Take away drafts, and what an earlier run left that had another plan."""
    for name in _names(folder):
        if name.startswith("."):
            (folder / name).unlink(missing_ok=True)
    others = [path for path in map(place.joinpath, _names(place)) if path.is_dir() and path != folder]
    if any(map(_names, others)):
        before: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            before = json.loads((place / _PLAN).read_text(encoding="utf-8"))
        changed = [name for name in plan if before.get(name) != plan[name]]
        how = " and ".join(map(_CHANGED.__getitem__, changed)) or "another version"
        say(f"what an earlier run left was made with {how}; starting over")
    for path in others:
        _remove(path)


def _names(folder: Path) -> list[str]:
    """Of all that is in a folder; an object store has no empty ones."""
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove(folder: Path) -> None:
    """Take a folder away with all in it, as far as that can be done."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(OSError):
        cast("Any", folder).fs.rm(cast("Any", folder).path, recursive=True)


def _this_process() -> str:
    """What tells a process from all others that may write to one folder, from other machines too."""
    machine = hashlib.blake2b(platform.node().encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
    return f"{machine}.{os.getpid()}"


def _to_json(unit: WorkUnit, done: UnitDone) -> dict[str, Any]:
    return {
        "key": unit.key(),
        "pieces": [
            {
                "size": piece.size,
                "texts": piece.texts,
                "tokens": piece.tokens,
                "misread": dict(piece.misread),
                "bad": [
                    [line, error, None if raw is None else base64.b64encode(raw).decode(), too_long]
                    for line, error, raw, too_long in piece.bad
                ],
            }
            for piece in done.pieces
        ],
    }


def _from_json(piece: dict[str, Any]) -> PieceDone:
    bad = [
        Bad(line, error, None if raw is None else base64.b64decode(raw), too_long)
        for line, error, raw, too_long in piece["bad"]
    ]
    return PieceDone(piece["size"], piece["texts"], piece["tokens"], tuple(bad), misread=piece["misread"])
