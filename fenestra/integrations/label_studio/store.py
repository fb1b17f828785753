"""What annotators said, and the texts that were to be tagged: SQLite, so that a restart loses nothing.

It holds users' texts; the folder that it lies in is for its owner alone.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fenestra.model.errors import StorageError
from fenestra.model.storage import storage_error

MOST_ANNOTATIONS = 20_000
"""Of a project; the oldest go first."""
MOST_CHARACTERS = 1_000_000
"""Longest text of a task that is kept."""
MOST_BYTES = 4 << 30
"""Of the file, all projects together."""
_PAGE_BYTES = 4096

_SCHEMA = """
CREATE TABLE IF NOT EXISTS projects (
    id TEXT PRIMARY KEY, label_config TEXT NOT NULL, pending INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS annotations (
    project TEXT NOT NULL, id TEXT NOT NULL, task TEXT NOT NULL, updated TEXT NOT NULL,
    data TEXT NOT NULL, result TEXT NOT NULL, PRIMARY KEY (project, id)
);
CREATE INDEX IF NOT EXISTS by_task ON annotations (project, task);
CREATE TABLE IF NOT EXISTS texts (project TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (project, text));
"""
_NEWEST_OF_TASK = """
SELECT task, data, result FROM annotations WHERE project = ? ORDER BY task, updated DESC, CAST(id AS INTEGER) DESC
"""
_UPSERT = """
INSERT INTO annotations (project, id, task, updated, data, result) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (project, id) DO UPDATE SET updated = excluded.updated, data = excluded.data, result = excluded.result
WHERE excluded.updated >= updated AND (excluded.data != data OR excluded.result != result)
"""


class Annotation(NamedTuple):
    """What one annotator said of one task."""

    id: str
    task: str
    updated: str
    """ISO 8601; an older one never replaces a newer one."""
    data: Mapping[str, str]
    """Field → text."""
    result: Sequence[Mapping[str, Any]]


class Store:
    """The annotations and texts of all projects. Safe from several threads."""

    def __init__(self, path: Path, *, most_texts: int, most_bytes: int = MOST_BYTES) -> None:
        """Open a store, or begin one.

        Args:
            path: of the file.
            most_texts: texts of tasks that are kept for each project.
            most_bytes: of the file; what would make it larger is refused.

        Raises:
            StorageError: the file cannot be opened, or is no such store.
        """
        self._path, self._most_texts, self._lock = path, most_texts, threading.Lock()
        self._most_pages = most_bytes // _PAGE_BYTES
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise storage_error(path, 0, error) from error
        with self._work() as database:
            database.executescript("PRAGMA journal_mode = WAL;" + _SCHEMA)

    def configure(self, project: str, label_config: str) -> None:
        """Remember the labelling configuration of a project."""
        with self._work() as database:
            database.execute(
                "INSERT INTO projects (id, label_config) VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET label_config = excluded.label_config",
                (project, label_config),
            )

    def label_config(self, project: str) -> str | None:
        """The labelling configuration of a project, if it is known."""
        with self._work() as database:
            row = database.execute("SELECT label_config FROM projects WHERE id = ?", (project,)).fetchone()
        return row[0] if row else None

    def put(self, project: str, *annotations: Annotation) -> bool:
        """Keep annotations, each in the place of the one with its id; returns whether that changed anything."""
        rows = [
            (project, key, task, updated, json.dumps(data), json.dumps(result))
            for key, task, updated, data, result in annotations
        ]
        with self._work() as database:
            changed = sum(database.execute(_UPSERT, row).rowcount for row in rows)
            database.execute(
                "DELETE FROM annotations WHERE project = ?1 AND rowid NOT IN"
                " (SELECT rowid FROM annotations WHERE project = ?1 ORDER BY updated DESC LIMIT ?2)",
                (project, MOST_ANNOTATIONS),
            )
            return self._count(database, project, changed)

    def remove(self, project: str, ids: Iterable[str], *, of: str = "id") -> bool:
        """Forget annotations by their ids, or (``task``) those of some tasks; returns whether there were any."""
        column = {"id": "id", "task": "task"}[of]
        with self._work() as database:
            gone = [
                database.execute(f"DELETE FROM annotations WHERE project = ? AND {column} = ?", (project, one)).rowcount
                for one in ids
            ]
            return self._count(database, project, sum(gone))

    def forget(self, project: str) -> None:
        """Forget all of a project."""
        with self._work() as database:
            for table, column in (("annotations", "project"), ("texts", "project"), ("projects", "id")):
                database.execute(f"DELETE FROM {table} WHERE {column} = ?", (project,))

    def annotations(self, project: str) -> Iterator[tuple[str, dict[str, str], list[dict[str, Any]]]]:
        """Task, data and result of the newest annotation of every annotated task."""
        with self._work() as database:
            rows = database.execute(_NEWEST_OF_TASK, (project,)).fetchall()
        before = None
        for task, data, result in rows:
            if task != before:
                yield task, json.loads(data), json.loads(result)
            before = task

    def pending(self, project: str) -> int:
        """Changes since the last training."""
        with self._work() as database:
            row = database.execute("SELECT pending FROM projects WHERE id = ?", (project,)).fetchone()
        return row[0] if row else 0

    def learnt(self, project: str, changes: int) -> None:
        """Take off the changes that a training has seen."""
        with self._work() as database:
            database.execute("UPDATE projects SET pending = MAX(pending - ?, 0) WHERE id = ?", (changes, project))

    def see(self, project: str, texts: Iterable[str]) -> None:
        """Keep texts of tasks, for what a model must not forget; the first ones stay."""
        with self._work() as database:
            count = database.execute("SELECT COUNT(*) FROM texts WHERE project = ?", (project,)).fetchone()[0]
            rows = [(project, text) for text in texts if text and len(text) <= MOST_CHARACTERS]
            database.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", rows[: max(self._most_texts - count, 0)])

    def texts(self, project: str) -> Iterator[str]:
        """The texts that were seen, in an order of their own; they need not all fit into memory."""
        with self._work() as database:
            numbers = database.execute(
                "SELECT rowid FROM texts WHERE project = ? ORDER BY rowid", (project,)
            ).fetchall()
        for number in numbers:
            with self._work() as database:
                row = database.execute("SELECT text FROM texts WHERE rowid = ?", number).fetchone()
            if row:
                yield row[0]

    @staticmethod
    def _count(database: sqlite3.Connection, project: str, changes: int) -> bool:
        if changes > 0:
            database.execute("UPDATE projects SET pending = pending + ? WHERE id = ?", (changes, project))
        return changes > 0

    @contextmanager
    def _work(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction of its own."""
        try:
            with self._lock, closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                database.execute(f"PRAGMA max_page_count = {self._most_pages}")  # SQLite forgets it with the connection
                yield database
        except sqlite3.Error as error:
            full = f" (it may have {self._most_pages * _PAGE_BYTES:,} bytes)" if "full" in str(error) else ""
            raise StorageError(f"{self._path}: {type(error).__name__}{full}") from error
