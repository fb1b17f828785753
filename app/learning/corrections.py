"""What users corrected: a JSON object a line, in a file of each model.

    {"id": "5c1f0b2ad3e94f6a", "created": "2026-11-30T06:40:12Z", "text": "…", "entities": [[13, 17, "ORG"]]}

A line is appended and on the disk when a request is answered. To forget one, or to correct a text again, the file is
written anew without it. It is read for each request: that takes a tenth of a second where it is full, on a thread.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fenestra.app.errors import Problem
from fenestra.app.learning.files import locked, model_folder, private_folder
from fenestra.model.storage import replace_durably, storage_error

MOST_BYTES = 16 * 2**20
"""Of the corrections of a model."""
_FILE, _LOCK = "corrections.jsonl", "lock"

Span = tuple[int, int, str]
"""Start, end (code points, half-open) and label."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A text with all of its entities."""

    id: str
    created: str
    """ISO 8601, UTC."""
    text: str
    entities: tuple[Span, ...]

    def line(self) -> bytes:
        """As it is kept."""
        value = {"id": self.id, "created": self.created, "text": self.text, "entities": self.entities}
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "Correction":
        """Read back what :meth:`line` wrote.

        Raises:
            ValueError, KeyError, TypeError: it is no such line.
        """
        value: dict[str, Any] = json.loads(line)
        return cls(value["id"], value["created"], value["text"], tuple((s, e, str(n)) for s, e, n in value["entities"]))


class Corrections:
    """The corrections of a model. Safe between processes and threads."""

    def __init__(self, root: Path, name: str, most: int) -> None:
        """Set up.

        Args:
            root: folder of all that is learnt.
            name: of the model.
            most: corrections that are kept.
        """
        self._root, self._folder, self._most = root, model_folder(root, name), most
        self._path = self._folder / _FILE

    def all(self) -> list[Correction]:
        """The oldest first."""
        with self._locked():
            return self._read()

    def add(self, text: str, entities: tuple[Span, ...]) -> Correction:
        """Keep a correction; of a text that was corrected before, in the place of that one.

        Raises:
            Problem: ``too_large``: there are too many.
            StorageError: the disk refused.
        """
        with self._locked():
            known = self._read()
            before = next((one for one in known if one.text == text), None)
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            new = Correction(before.id if before else secrets.token_hex(8), now, text, entities)
            others = [one for one in known if one is not before]
            size = sum(len(one.line()) for one in others) + len(new.line())
            if len(others) >= self._most or size > MOST_BYTES:
                raise Problem("too_large", f"the corrections are full: {len(others)} texts; delete some")
            if before:
                self._write([*others, new])
            else:
                self._append(new)
            return new

    def remove(self, key: str) -> Correction:
        """Forget a correction; its text is gone from the file.

        Raises:
            Problem: ``not_found``.
            StorageError: the disk refused.
        """
        with self._locked():
            known = self._read()
            found = next((one for one in known if one.id == key), None)
            if found is None:
                raise Problem("not_found", "no correction of that id; GET lists them")
            self._write([one for one in known if one is not found])
            return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        private_folder(self._root)
        with locked(private_folder(self._folder) / _LOCK):
            yield

    def _read(self) -> list[Correction]:
        """All lines that are whole; the last one is not if a process was killed while it wrote."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error(self._path, 0, error) from error
        found = []
        for line in lines[:-1]:
            try:
                found.append(Correction.read(line))
            except (ValueError, KeyError, TypeError):
                continue  # half a line that a killed process left; whoever sent it got no answer
        return found

    def _append(self, new: Correction) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                size = file.seek(0, os.SEEK_END)
                torn = size and os.pread(file.fileno(), 1, size - 1) != b"\n"
                file.write(b"\n" * bool(torn) + new.line())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(self._path, len(new.line()), error) from error

    def _write(self, corrections: list[Correction]) -> None:
        replace_durably(self._path, b"".join(one.line() for one in corrections), mode=0o600)
