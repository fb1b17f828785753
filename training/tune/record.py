"""Where a search is recorded: a file in its folder, or a database; either can be shared by several processes.

The file is Optuna's journal, a JSON object a line. Every event is appended under a lock and synced to disk before the
search continues. The lock is the kernel's, which a kill releases.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from fenestra.model.errors import ConfigError, InputError, StorageError, one_line
from fenestra.model.storage import storage_error
from fenestra.training.tune.workers import LOCKS, locked

RECORD = "trials.jsonl"
SEARCH = "search"
"""Name of a search in its record, unless another is given."""

_PATIENCE = 60  # seconds that SQLite waits for a lock
_TRIES = 8  # to make the tables, which other processes may be making at the moment


@dataclass(frozen=True)
class Record:
    """Where a search is recorded."""

    storage: BaseStorage
    search: str
    """Name of the search in it."""
    guarded: Callable[[], AbstractContextManager[None]]
    """A context that names the record if the disk or the database refuses; raises StorageError."""


def open_file(folder: Path) -> Record:
    """The record in a folder, which is made if it is not there.

    Raises:
        ConfigError: it is damaged.
        StorageError: the disk refused.
    """
    path = folder / RECORD
    guarded = partial(_file_errors, path)
    with guarded():
        lock = _KernelLock(path)
        lock.acquire()  # removes an incomplete last line before it is read
        lock.release()
        try:
            storage = JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise ConfigError(f"{path}: not the record of a search ({error}); delete it to start again") from error
    return Record(storage, SEARCH, guarded)


def open_database(url: str, search: str = SEARCH) -> Record:
    """The record in a database, whose tables are made if they are not there.

    Args:
        url: as SQLAlchemy takes it: ``sqlite:///FILE``, ``postgresql+psycopg://USER@HOST/DATABASE``.
        search: its name there; a database holds many.

    Raises:
        InputError: it is no such URL, or the driver that it needs is not installed.
        StorageError: the database refused.
    """
    parsed = _parsed(url)
    _need_driver(parsed)
    guarded = partial(_database_errors, parsed)
    with guarded():
        storage = _connected(parsed)
    return Record(storage, search, guarded)


def shown_url(url: str) -> str:
    """A database without who may enter, for messages and reports.

    >>> shown_url("postgresql+psycopg://ada:secret@db.example:5432/tuning?sslpassword=secret")
    'postgresql+psycopg://db.example:5432/tuning'
    """
    return _shown(_parsed(url))


def _shown(url: URL) -> str:
    public = URL.create(url.drivername, host=url.host, port=url.port, database=url.database)
    return public.render_as_string()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise InputError(
            "--storage: not the URL of a database; expected such as sqlite:///search.db or "
            "postgresql+psycopg://HOST/DATABASE"
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InputError("--storage: expected a file, such as sqlite:///search.db")
    return parsed


def _need_driver(url: URL) -> None:
    try:
        url.get_dialect().import_dbapi()
    except ImportError as error:
        way = "pip install 'fenestra-ner[postgresql]'" if error.name == "psycopg" else "install it"
        raise InputError(f"--storage: the driver {error.name} is not there; {way}") from None


def _connected(url: URL) -> RDBStorage:
    """Open a database; where several processes make its tables at once, all but one have to look again."""
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        with sqlite3.connect(str(url.database), timeout=_PATIENCE) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
    options: dict[str, Any] = {"poolclass": NullPool}  # a trial may take hours: none holds a connection meanwhile
    if is_sqlite:
        options["connect_args"] = {"timeout": _PATIENCE}
    text = url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")  # Optuna formats it
    for attempt in range(_TRIES):
        try:
            storage = RDBStorage(text, engine_kwargs=options)
            break
        except (SQLAlchemyError, StorageInternalError) as error:
            refused = isinstance(error, OperationalError) and not is_sqlite
            if refused or attempt == _TRIES - 1:
                raise
            time.sleep(0.05 * 2**attempt)
    if is_sqlite:
        _lock_before_reading(storage)
    return storage


def _lock_before_reading(storage: RDBStorage) -> None:
    """Let every transaction of SQLite hold the write lock from its first statement on.

    Optuna reads a state and then writes the next, and relies on SELECT FOR UPDATE in between, which SQLite lacks: two
    processes would take the same trial.
    """

    @event.listens_for(storage.engine, "connect")
    def leave_transactions_to_us(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(storage.engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class _KernelLock(JournalFileOpenLock):
    """A lock of the record that a kill releases; Optuna's own would outlive its holder for half a minute."""

    def __init__(self, path: Path) -> None:
        self._path, self._held = path, ExitStack()

    def acquire(self) -> bool:
        """Wait for it, and remove an incomplete last line, which a kill may leave: the next would be joined to it."""
        self._held.enter_context(locked(self._path.parent / LOCKS / "record"))
        _cut_torn_line(self._path)
        return True

    def release(self) -> None:
        """Let the next one in."""
        self._held.close()


def _cut_torn_line(path: Path) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() == b"\n":
            return
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(path, 0, error) from error


@contextmanager
def _database_errors(url: URL) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error) as error:
        raise StorageError(f"{_shown(url)}: {_reason(error, url)}") from None  # its chain may hold what the URL holds


def _reason(error: BaseException, url: URL) -> str:
    """What the database itself said, in a line, without anything that the URL keeps to itself."""
    while deeper := getattr(error, "orig", None) or error.__cause__:
        error = deeper
    text = " ".join(str(error).split())
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return one_line(text) or type(error).__name__


def _secrets(url: URL) -> set[str]:
    values = [value for given in url.query.values() for value in ((given,) if isinstance(given, str) else given)]
    return {str(secret) for secret in (url.username, url.password, *values) if secret}
