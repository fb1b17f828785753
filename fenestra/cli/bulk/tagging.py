"""Chunks are tagged and written out: the part of the work that a worker does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fenestra.cli.bulk.chunks import Chunk
from fenestra.cli.bulk.inputs import OutputFormat
from fenestra.cli.bulk.reading import Bad, Item, read
from fenestra.cli.bulk.texts import MAX_BYTES, Unit
from fenestra.cli.bulk.writing import CannotHold, Wanted, conll_lines, json_lines
from fenestra.model.results import Result
from fenestra.model.tagger import Tagger
from fenestra.model.text.scripts import other_script

ENTITIES = "entities"
"""The key of a JSON object that the entities are written to."""
_BATCH_CHARACTERS = 50_000
_BATCH_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Job:
    """What is done with every text."""

    output_format: OutputFormat = "jsonl"
    unit: Unit = "line"
    """What one text of a text file is."""
    max_bytes: int = MAX_BYTES
    """Longest text or JSON line; the others go on."""
    wanted: Wanted = field(default_factory=Wanted)
    """Which entities are kept."""
    entities_key: str | None = None
    """Key of an object that the entities are written to, over what it held; None is ``entities``, and an object that
    has this key already is bad."""
    goes_on: bool = False
    """Whether the work goes on after something that is no text."""


@dataclass(slots=True)
class Tagged:
    """What became of a chunk."""

    written: bytes = b""
    texts: int = 0
    tokens: int = 0
    bad: list[Bad] = field(default_factory=list)
    """What was left out."""
    stopped: bool = False
    """Whether the last of these ended the work: nothing behind it was tagged."""
    misread: Counter[str] = field(default_factory=Counter)
    """Texts that are written in a script which the model's language has not, by that script."""


def tag_chunk(tagger: Tagger, job: Job, chunk: Chunk, between: Callable[[], object] = lambda: None) -> Tagged:
    """Tag what is in a chunk; ``between`` is called after every few hundredths of a second."""
    done, parts = Tagged(), list[str]()

    def told(bad: Bad) -> bool:
        done.bad.append(bad)
        done.stopped = not (job.goes_on or bad.too_long)
        return not done.stopped

    def write(item: Item, found: Sequence[Result]) -> bool:
        try:
            parts.append(_render(tagger, job, item, found))
        except CannotHold as error:
            if not told(Bad(item.line, str(error))):
                done.bad = [bad for bad in done.bad if bad.line <= item.line]
                return False
        else:
            done.texts += len(found)
            done.tokens += sum(len(result.tokens) for result in found)
            scripts = (other_script(result.source, tagger.language.code) for result in found)
            done.misread.update(script for script in scripts if script)
        return True

    taken = ENTITIES if job.output_format == "jsonl" and job.entities_key is None else None
    found = read(chunk, told, unit=job.unit, max_bytes=job.max_bytes, taken=taken)
    for batch in batches(found):
        if not all(map(write, batch, tag_batch(tagger, batch))):
            break
        between()
    done.bad.sort(key=lambda bad: bad.line)
    done.written = "".join(parts).encode()
    return done


def batches(found: Iterable[Item]) -> Iterator[list[Item]]:
    """Group neighbouring items of one kind, texts or documents, until a batch is full."""
    batch: list[Item] = []
    size = 0
    for item in found:
        other = bool(batch) and isinstance(item.content, str) != isinstance(batch[0].content, str)
        if batch and (other or size + item.size > _BATCH_CHARACTERS or len(batch) == _BATCH_ITEMS):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch


def tag_batch(tagger: Tagger, batch: Sequence[Item]) -> list[list[Result]]:
    """Tag a batch of one kind; one result for a text, one for each sentence of a document."""
    texts = [item.content for item in batch if isinstance(item.content, str)]
    if texts:
        return [[result] for result in tagger.tag(texts)]
    return tagger.tag_documents([item.content for item in batch if not isinstance(item.content, str)])


def _render(tagger: Tagger, job: Job, item: Item, found: Sequence[Result]) -> str:
    if job.output_format == "conll":
        return conll_lines(item, found, job.wanted, tagger.lexicon.language)
    return json_lines(item, found, job.entities_key or ENTITIES, job.wanted)
