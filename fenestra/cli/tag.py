"""Bulk tagging: ``fenestra tag``. See :mod:`fenestra.cli.bulk` for its parts."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fenestra.cli.bulk.in_order import MOST_TRIES, DeadWorkers, Done, InOrder
from fenestra.cli.bulk.inputs import Input, InputFormat, OutputFormat, check_unit, find_inputs, output_paths
from fenestra.cli.bulk.meter import Meter
from fenestra.cli.bulk.on_ray import RayPool
from fenestra.cli.bulk.results import BadLines, Joined, Sink, Streamed
from fenestra.cli.bulk.resume import Store, open_store
from fenestra.cli.bulk.tagging import Job, Tagged, tag_chunk
from fenestra.cli.bulk.texts import MAX_BYTES, Unit
from fenestra.cli.bulk.units import Sizes, UnitDone, WorkUnit, piece_done, units_of
from fenestra.cli.bulk.workers import Method, Pool
from fenestra.cli.bulk.writing import Wanted
from fenestra.cli.misread import misread_note
from fenestra.cli.output import check_not_input, check_writable, is_same_folder, is_stream, make_folder, opened
from fenestra.cli.places import as_path
from fenestra.model.engine.machine import available_bytes, usual_cache_mb
from fenestra.model.errors import InputError, RunError
from fenestra.model.tagger import Tagger
from fenestra.model.version import VERSION

_STORED_WINDOW, _STREAMED_WINDOW = 10_000, 4
"""Units that may be done before one that comes before them, in all, and for each worker where results are held."""
RAY_CACHE_MB = 80.0
"""Of a worker of Ray, which has less memory than it sees: Ray and the workers beside it take their part."""
_LEAST_CACHE_MB = 128.0  # some 22,000 words
_CACHE_SHARE = 0.25  # of the memory that is available, for the caches of all workers


@dataclass(frozen=True, slots=True)
class Cluster:
    """Ray, as workers are to be had from it."""

    address: str | None = None
    """Of a cluster; None starts Ray here."""
    threads: int = 1
    """CPUs of each worker."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker does with a unit."""

    tagger: Tagger
    job: Job
    store: Store | None
    """Where results are kept; without one they are returned."""

    def __call__(self, unit: WorkUnit, between: Callable[[], object]) -> Done:
        """Tag a unit, up to what ends the work, if anything does."""
        tagged: list[Tagged] = []
        for piece in unit.pieces:
            stopped = bool(tagged) and tagged[-1].stopped
            tagged.append(Tagged(stopped=True) if stopped else tag_chunk(self.tagger, self.job, piece.chunk, between))
        if self.store is not None:
            return partial(self.store.put, unit, tagged)
        return UnitDone(tuple(map(piece_done, tagged)), b"".join(part.written for part in tagged))

    def without_store(self) -> "_Work":
        """The same, which gives results back."""
        return replace(self, store=None)


def cache_mb(workers: int) -> float:
    """Memory for the row cache of each worker, in units of 10⁶ bytes.

    Together they take as much as one would, but each has room for the frequent words, unless memory is short: of what
    is available they take a quarter at most.
    """
    usual, available = usual_cache_mb(), available_bytes()
    wanted = min(usual, max(usual / workers, _LEAST_CACHE_MB))
    return wanted if available is None else min(wanted, available / 1e6 * _CACHE_SHARE / workers)


def tag_files(
    tagger: Tagger,
    files: Sequence[str],
    *,
    input_format: InputFormat | None = None,
    output_format: OutputFormat = "jsonl",
    output: Path | None = None,
    output_folder: Path | None = None,
    unit: Unit = "line",
    max_bytes: int = MAX_BYTES,
    wanted: Wanted | None = None,
    entities_key: str | None = None,
    bad_lines: Path | None = None,
    workers: int | None = 1,
    method: Method | None = None,
    cluster: Cluster | None = None,
    complain: Callable[[str], object] | None = None,
    note: Callable[[str], object] = lambda _: None,
) -> int:
    """Tag files, one after the other or several at a time; the result is the same to the last byte.

    Args:
        tagger: tags.
        files: paths or URLs of files and folders; ``-`` is standard input.
        input_format: of all of them; by each file's name when omitted, and text where that says nothing.
        output_format: of the result.
        output: file to write; standard output when omitted. It is complete or not there.
        output_folder: folder with a file for each input, in place of ``output``; made where it is missing.
        unit: what one text of a text file is.
        max_bytes: longest text or JSON line; the others go on.
        wanted: which entities are kept; all when omitted.
        entities_key: key of an object that the entities are written to, over what it held. When omitted,
            ``entities``, and an object that has this key already is refused.
        bad_lines: file to write what is no text to, as JSON lines; the others go on. It is refused when omitted.
        workers: processes; with 1, this one does everything. None, for a cluster, is as many as it has CPUs for.
        method: how they are started; forked where that is safe, when omitted.
        cluster: Ray, whose workers they are; local processes when omitted.
        complain: without ``bad_lines``, is told of every text that is too long, which is then left out; it is refused
            when omitted.
        note: is told what an earlier run has left, and how to go on after this one.

    Returns:
        How many texts were left out.

    Raises:
        DataError: a file cannot be read, or a line of it is malformed; ``path:line: …``.
        InputError: an option does not go with the others, with a file or with the model.
        StorageError: an output file cannot be written.
        RunError: workers died again and again at one place.
    """
    job = Job(output_format, unit, max_bytes, wanted or Wanted(), entities_key, goes_on=bad_lines is not None)
    job.wanted.check(tagger.labels)
    if entities_key is not None and output_format == "conll":
        raise InputError("--entities-key: conll output has no keys; expected --output-format jsonl")
    if cluster is None and workers != 1 and tagger.device != "cpu":
        raise InputError(f"--workers {workers}: one process uses a GPU; expected 1")
    if cluster is not None and tagger.device != "cpu":
        raise InputError(f"--device {tagger.device}: workers of Ray use CPUs; expected cpu")
    if output_folder is not None and any(is_same_folder(as_path(name), output_folder) for name in files):
        raise InputError(f"--output-folder {output_folder}: is an input folder; expected another one")
    inputs = find_inputs(files, input_format, but=output_folder)
    check_unit(unit, inputs)
    targets = output_paths(inputs, output_folder, output_format) if output_folder is not None else None
    outputs: list[Path | None] = [output] if targets is None else [*targets]
    _check_outputs(inputs, outputs, bad_lines)
    bad = BadLines(inputs, bad_lines, complain)
    run = _Run(tagger, job, inputs, partial(_pool, workers, method, cluster, note), bad, note)
    if output_folder is not None and targets is not None:
        make_folder(output_folder)
        run.stored(targets, output_folder / ".fenestra.parts", single=False)
    elif output is None or is_stream(output) or any(given.is_stream for given in inputs):
        run.streamed(output)
    else:
        check_writable(output)
        run.stored([output], output.resolve().with_name(f".{output.resolve().name}.parts"), single=True)
    return bad.count


@dataclass(frozen=True, slots=True)
class _Run:
    """A job, what it is done with and by whom."""

    tagger: Tagger
    job: Job
    inputs: Sequence[Input]
    pool: "Callable[[_Work, Callable[[int], int]], InOrder]"
    """Makes the workers, for what they do, and for how many units may be done ahead of one by so many of them."""
    bad: BadLines
    note: Callable[[str], object]

    def streamed(self, output: Path | None) -> None:
        """Write results as they come."""
        quiet = output is None and sys.stdout.isatty()
        with self.bad.opened(), opened(output) as stream, Meter(self._total(), quiet=quiet) as meter:
            self._go(Streamed(stream), None, units_of(self.inputs, self.job), meter)

    def stored(self, targets: Sequence[Path], place: Path, *, single: bool) -> None:
        """Keep the results of every unit in a folder until files are complete."""
        sizes = Sizes(sum(given.size for given in self.inputs))
        units = units_of(self.inputs, self.job, targets=None if single else targets, sizes=sizes)
        try:
            with (
                open_store(place, self._plan(single), self.note) as store,
                self.bad.opened(store),
                Meter(self._total()) as meter,
            ):
                self._go(Joined(store, targets, single=single), store, units, meter)
        except BaseException:
            if place.exists():
                self.note(f"what is finished is kept in {place}: the same command goes on from there")
            raise

    def _go(self, sink: Sink, store: Store | None, units: Iterator[WorkUnit], meter: Meter) -> None:
        """Tag all units and give what becomes of them on, in order."""
        reused = False
        misread = Counter[str]()

        def window(workers: int) -> int:
            return workers * _STREAMED_WINDOW if store is None else _STORED_WINDOW

        def known(unit: WorkUnit) -> UnitDone | None:
            nonlocal reused
            found = None if store is None else store.get(unit, goes_on=self.job.goes_on)
            if found is not None:
                meter.skip(unit.cost)
                if not reused:
                    self.note("going on with what an earlier run has left")
                reused = True
            return found

        def count(unit: WorkUnit, done: UnitDone) -> None:
            texts, tokens = (sum(getattr(piece, name) for piece in done.pieces) for name in ("texts", "tokens"))
            meter.count(unit.cost, texts, tokens)

        may_block = any(given.is_stream for given in self.inputs)
        work = _Work(self.tagger, self.job, store)
        with self.pool(work, window) as pool:
            try:
                for unit, done in pool.run(units, known=known, done=count, may_block=may_block):
                    sink.add(unit, done)
                    for piece in done.pieces:
                        misread.update(piece.misread)
                    self.bad.add(unit, done)
            except DeadWorkers as error:
                place = self.bad.place(error.unit)
                raise RunError(
                    f"{place}: a worker {error.how}, {MOST_TRIES} times at what begins here; if memory was short, "
                    "fewer --workers or a lower --max-line need less"
                ) from error
            sink.finish()
        if misread:
            self.note(misread_note(misread, self.tagger.language.code))

    def _total(self) -> int:
        return 0 if any(given.is_stream for given in self.inputs) else sum(given.size for given in self.inputs)

    def _plan(self, single: bool) -> dict[str, Any]:
        """What is done with every unit, and by which model."""
        job = self.job
        labels = None if job.wanted.labels is None else sorted(job.wanted.labels)
        written = [job.output_format, job.unit, job.max_bytes, labels, job.wanted.min_score, job.entities_key, single]
        return {
            "program": VERSION,
            "model": [self.tagger.version, self.tagger.engine, self.tagger.device],
            "options": [*written, self.tagger.cache_numbers],
        }


def _pool(
    workers: int | None,
    method: Method | None,
    cluster: Cluster | None,
    note: Callable[[str], object],
    work: _Work,
    window: Callable[[int], int],
) -> InOrder:
    """Workers of a kind."""
    if cluster is None:
        count = workers or 1
        return Pool(work, count, window=window(count), method=method)
    return RayPool(work, workers, window=window, address=cluster.address, threads=cluster.threads, note=note)


def _check_outputs(inputs: Sequence[Input], outputs: Sequence[Path | None], bad_lines: Path | None) -> None:
    """Refuse to write over what is read, or two things to one file.

    Raises:
        InputError: names the file.
    """
    check_not_input([given.name for given in inputs], [*outputs, *([] if bad_lines is None else [bad_lines])])
    if bad_lines is not None and bad_lines.resolve() in {path.resolve() for path in outputs if path is not None}:
        raise InputError(f"--bad-lines {bad_lines}: results go there already; expected another file")
