"""Where results go: standard output or a pipe as they come, one file, or a folder with a file for each input."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from fenestra.cli.bulk.inputs import Input
from fenestra.cli.bulk.reading import Bad
from fenestra.cli.bulk.resume import Store
from fenestra.cli.bulk.units import UnitDone, WorkUnit
from fenestra.cli.output import opened
from fenestra.cli.places import without_query
from fenestra.model.errors import DataError


class Sink(Protocol):
    """Takes what was written of every unit, in order."""

    def add(self, unit: WorkUnit, done: UnitDone) -> None:
        """Take a unit."""

    def finish(self) -> None:
        """Nothing more comes."""


class Streamed:
    """Writes to a stream at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream.buffer

    def add(self, unit: WorkUnit, done: UnitDone) -> None:
        """Take a unit."""
        self._stream.write(done.written)

    def finish(self) -> None:
        """Nothing more comes."""


class Joined:
    """Joins what was stored to files, each of which is complete or not there: one for all inputs, or one for each."""

    def __init__(self, store: Store, targets: Sequence[Path], *, single: bool) -> None:
        """Keep where results are stored, and where to they go; ``single`` is one target for all inputs."""
        self._store, self._targets, self._single = store, targets, single
        self._parts: list[tuple[int, int, int]] = []  # unit, offset and size of what goes to the next file

    def add(self, unit: WorkUnit, done: UnitDone) -> None:
        """Take a unit, and write the files that are complete with it."""
        if done.stopped:
            return
        offset = 0
        for piece, result in zip(unit.pieces, done.pieces, strict=True):
            if piece.target is not None:
                continue
            if result.size:
                self._parts.append((unit.number, offset, result.size))
            offset += result.size
            if piece.chunk.last and not self._single:
                self._join(self._targets[piece.source])

    def finish(self) -> None:
        """Nothing more comes."""
        if self._single:
            self._join(self._targets[0])

    def _join(self, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened(target, draft=self._store.draft(target.name)) as stream:
            for part in self._parts:
                self._store.copy(*part, stream.buffer)
        self._parts = []


class BadLines:
    """Tells what was left out: in a file of its own, or to a function; counts it."""

    def __init__(self, inputs: Sequence[Input], file: Path | None, complain: Callable[[str], object] | None) -> None:
        """Keep where to tell it.

        Args:
            inputs: those of the pieces.
            file: is written JSON to, a line for each thing that was left out.
            complain: without a file, is told of every text that is too long; it is refused when omitted.
        """
        self._inputs, self._file, self._complain = inputs, file, complain
        self._stream: TextIO | None = None
        self._source, self._lines = -1, 0  # those of the input before the piece that comes
        self.count = 0

    @contextmanager
    def opened(self, store: Store | None = None) -> Iterator[None]:
        """Open the file, if there is one; it appears at the end, if all went well, and empty if nothing was bad."""
        if self._file is None:
            yield
            return
        draft = None if store is None else store.draft(self._file.name)
        with opened(self._file, draft=draft) as self._stream:
            yield

    def add(self, unit: WorkUnit, done: UnitDone) -> None:
        """Take a unit.

        Raises:
            DataError: something in it ends the work; ``path:line: …``.
        """
        for piece, result in zip(unit.pieces, done.pieces, strict=True):
            if piece.source != self._source:
                self._source, self._lines = piece.source, 0
            for bad in result.bad:
                self._tell(
                    without_query(self._inputs[piece.source].name), self._lines + bad.line if bad.line else 0, bad
                )
            self._lines += piece.chunk.lines

    def place(self, unit: WorkUnit) -> str:
        """Where the unit that comes next begins, as ``path:line``."""
        source = unit.pieces[0].source
        return f"{without_query(self._inputs[source].name)}:{self._lines + 1 if source == self._source else 1}"

    def _tell(self, name: str, line: int, bad: Bad) -> None:
        if self._stream is not None:
            record = {"path": name, "line": line or None, "error": bad.error, **_raw(bad)}
            text = json.dumps(record, ensure_ascii=False)
            self._stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
        else:
            message = f"{name}:{line}: {bad.error}" if line else f"{name}: {bad.error}"
            if not bad.too_long or self._complain is None:
                raise DataError(message)
            self._complain(f"{message}, left out; --max-line sets the limit")
        self.count += 1


def _raw(bad: Bad) -> dict[str, str | None]:
    """What was read, as text where it is some."""
    if bad.raw is None:
        return {"raw": None}
    try:
        return {"raw": bad.raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(bad.raw).decode()}
