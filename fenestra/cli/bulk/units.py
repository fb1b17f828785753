"""Units of work: chunks of one file or of several small ones, which a worker takes at once.

Like its chunks, a unit is made of what is in the files alone: the same files give the same units, whoever does them.
"""

import hashlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from fenestra.cli.bulk.chunks import CHUNK_BYTES, Chunk, chunks_of
from fenestra.cli.bulk.inputs import Input
from fenestra.cli.bulk.parquet import row_chunks
from fenestra.cli.bulk.reading import Bad
from fenestra.cli.bulk.tagging import Job, Tagged
from fenestra.cli.output import STDIN
from fenestra.cli.places import as_path, open_bytes, why, without_query
from fenestra.model.errors import DataError
from fenestra.training.compressed import Source, decompressed

_MOST_PIECES = 1_000
_SMALLEST_BYTES, _LEAST_BYTES, MOST_BYTES = 1 << 17, 1 << 19, 1 << 23
_MANY_UNITS = 4_096
_OF_THE_REST = 8
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of an input, as part of a unit."""

    source: int
    """Number of its input, from 0."""
    chunk: Chunk
    target: Path | None = None
    """The file that its result alone fills, if there is one."""
    cost: int = 0
    """Bytes of the file on disk that were read for it."""


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """Some pieces, in order."""

    number: int
    pieces: tuple[Piece, ...]
    final: bool = False
    """Whether nothing comes behind it."""

    @property
    def cost(self) -> int:
        """Bytes of the files on disk that were read for it."""
        return sum(piece.cost for piece in self.pieces)

    def key(self) -> str:
        """What tells it from a unit of other content."""
        digest = hashlib.blake2b(digest_size=_KEY_BYTES)
        for source, chunk, target in ((piece.source, piece.chunk, piece.target) for piece in self.pieces):
            target_name = "" if target is None else os.fsencode(str(target)).hex()
            about = (
                source,
                target_name,
                chunk.form,
                chunk.marked,
                chunk.last,
                chunk.lines,
                chunk.fault,
                len(chunk.data),
            )
            digest.update(f"{about}\n".encode("utf-8", "surrogateescape"))
            digest.update(chunk.data)
        return digest.hexdigest()

    def without_data(self) -> "WorkUnit":
        """The same, without what is in its chunks."""
        return replace(
            self, pieces=tuple(replace(piece, chunk=replace(piece.chunk, data=b"")) for piece in self.pieces)
        )


@dataclass(frozen=True, slots=True)
class PieceDone:
    """What became of a piece."""

    size: int
    """Of its result, in bytes."""
    texts: int
    tokens: int
    bad: tuple[Bad, ...] = ()
    stopped: bool = False
    misread: Mapping[str, int] = field(default_factory=dict)
    """Texts of other scripts than that of the model's language, by script."""


@dataclass(frozen=True, slots=True)
class UnitDone:
    """What became of a unit."""

    pieces: tuple[PieceDone, ...]
    written: bytes = b""
    """The results of its pieces, end to end, where they were not stored."""

    @property
    def stopped(self) -> bool:
        """Whether something that is no text ended the work here."""
        return any(piece.stopped for piece in self.pieces)


def piece_done(tagged: Tagged) -> PieceDone:
    """What became of a piece, without what was written."""
    return PieceDone(
        len(tagged.written), tagged.texts, tagged.tokens, tuple(tagged.bad), tagged.stopped, tagged.misread
    )


@dataclass(slots=True)
class Sizes:
    """How large units are that are stored: a fraction of a second of work, and not too many of them.

    Towards the end they become smaller, each a part of what is left, so that all workers are done at about one time.
    """

    total: int
    """Bytes of all files on disk."""
    read: int = 0
    """Of these."""
    found: int = 0
    """Bytes that were in them, decompressed."""

    def __call__(self) -> int:
        """The size of the next unit, in bytes."""
        usual = min(max(self.total // _MANY_UNITS, _LEAST_BYTES), MOST_BYTES)
        left = (self.total - self.read) * max(self.found / self.read if self.read else 1.0, 1.0)
        return min(max(int(left / _OF_THE_REST), _SMALLEST_BYTES), usual)

    def count(self, chunk: Chunk, cost: int) -> None:
        """Count what was read."""
        self.read += cost
        self.found += len(chunk.data)


def units_of(
    inputs: Sequence[Input], job: Job, *, targets: Sequence[Path] | None = None, sizes: Sizes | None = None
) -> Iterator[WorkUnit]:
    """Read inputs, one after the other.

    Args:
        inputs: what to read.
        job: says what a text is, and how long it may be.
        targets: a file for the result of each input.
        sizes: says how large units are; only chunks that cannot be cut are longer. When omitted, each is about what a
            tagger takes at once.
    """
    size_of: Callable[[], int] = sizes or (lambda: CHUNK_BYTES)
    pieces: list[Piece] = []
    number = held = 0
    for source, given in enumerate(inputs):
        first = True
        for chunk, cost in _chunks(given, job, size_of):
            if sizes is not None:
                sizes.count(chunk, cost)
            target = targets[source] if targets and first and chunk.last else None
            pieces.append(Piece(source, chunk, target, cost))
            first = False
            held += len(chunk.data)
            final = chunk.last and source == len(inputs) - 1
            if final or held > size_of() // 2 or len(pieces) >= _MOST_PIECES:
                yield WorkUnit(number, tuple(pieces), final)
                pieces, number, held = [], number + 1, 0


def _chunks(given: Input, job: Job, size: Callable[[], int]) -> Iterator[tuple[Chunk, int]]:
    """The chunks of an input, and how many bytes on disk were read for each; what cannot be read is a fault of one."""
    try:
        if given.form == "parquet":
            yield from _row_chunks(given, size())
            return
        with ExitStack() as opened:
            file = opened.enter_context(open_raw(given.name))
            source = opened.enter_context(decompressed(file, given.name))
            before = 0
            for chunk in chunks_of(source, given.form, size=size, unit=job.unit, max_bytes=job.max_bytes):
                place = file.tell() if given.size else 0
                yield chunk, place - before
                before = place
    except DataError as error:
        yield Chunk(given.form, fault=str(error).removeprefix(f"{given.name}: "), last=True), given.size


def _row_chunks(given: Input, size: int) -> Iterator[tuple[Chunk, int]]:
    """The rows of a Parquet file."""
    if given.is_stream:
        raise DataError(f"{given.name}: Parquet is read from a file only, not from a pipe")
    try:
        for data, rows, share in row_chunks(as_path(given.name), size):
            yield Chunk("parquet", data, rows), int(share * given.size)
    except OSError as error:
        yield Chunk("parquet", fault=why(error), fault_line=1, last=True), 0
    else:
        yield Chunk("parquet", last=True), 0


def open_raw(name: str) -> IO[bytes]:
    """Open a file, or standard input, which stays open.

    Raises:
        DataError: there is no such file, it is a folder, or it may not be read.
    """
    if name != STDIN:
        try:
            return open_bytes(as_path(name))
        except (OSError, ValueError) as error:
            raise DataError(f"{without_query(name)}: cannot be read ({why(error)})") from error
    if sys.stdin is None:
        raise DataError(f"{name}: standard input is closed")
    try:  # past Python's buffer: its lock would be held by a thread that waits for input when the process ends
        read: Callable[[int], bytes] = partial(os.read, sys.stdin.fileno())
    except (OSError, ValueError):  # it is not a file of the system
        read = sys.stdin.buffer.read1  # type: ignore[union-attr]
    return io.BufferedReader(Source(read))
