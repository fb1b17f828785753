"""A corpus of one format written in another: ``fenestra data convert``.

Between formats of texts and spans nothing changes but how they are written. Where tokens are needed, they are those of
the file, or else those of our tokenizer. Where a text is needed, it is the words of a document, parted by spaces, with
an empty line between sentences.
"""

import gzip
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from fenestra.model.errors import DataError, InputError
from fenestra.model.storage import replace_durably, storage_error, sync_folder
from fenestra.training.config import FormatName
from fenestra.training.data.alignment import Misfits, Output, TaggedSentence, tagged_sentences, text_of
from fenestra.training.data.corpus import inspect_corpus
from fenestra.training.data.formats import FORMATS, target_format
from fenestra.training.data.inspection import Inspection, Text, counted, list_problems
from fenestra.training.data.schemes import WriteScheme
from fenestra.training.data.spans import spans, touching


class Conversion(NamedTuple):
    """What was written."""

    path: Path
    format: FormatName
    texts: int
    """Texts, or documents; sentences, where the corpus marks no documents."""
    labels: dict[str, int]
    """Spans of each label."""
    notes: tuple[str, ...]
    """What was left out or changed."""

    def __str__(self) -> str:
        labels = ", ".join(f"{label} {count:,}" for label, count in self.labels.items()) or "none"
        return f"{self.path}: {counted(self.texts, 'text')}, {self.format}\n  entities: {labels}"


def convert_corpus(
    source: Path,
    target: Path,
    *,
    to: FormatName | None = None,
    to_scheme: WriteScheme = "IOB2",
    **reading: Any,  # noqa: ANN401 - validated
) -> Conversion:
    """Read a corpus and write it in another format, whole or not at all.

    Args:
        source: a file or folder.
        target: a new file, or for brat a new folder; gzipped if it ends in ``.gz``.
        to: format of the target; by its name when omitted.
        to_scheme: how tags write spans, in formats of tags.
        reading: fields of :class:`fenestra.training.config.ReadingConfig`.

    Raises:
        DataError: the source cannot be read, or holds what the target format cannot write; as of ``read_corpus``.
        InputError: the target is taken or in no folder, or its name does not tell its format.
        ConfigError: a field of ``reading`` is wrong.
        StorageError: the disk refused.
    """
    to = to or target_format(target)
    if target.exists():
        raise InputError(f"{target}: is taken; expected the name of a new file or folder")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    found = inspect_corpus(source, **reading)
    if found.problems:
        raise DataError(list_problems([(str(source), problem) for problem in found.problems]))
    texts = found.texts or list(_texts(found))
    notes = list(found.notes)
    documents: Sequence[Sequence[TaggedSentence]] = ()
    if FORMATS[to].has_tokens:
        documents = [list(tagged_sentences(text, reading.get("misaligned", "expand"), Misfits())) for text in texts]
        labels = Counter(span.label for document in documents for one in document for span in spans(one.tags))
        notes += _melted(documents) if to_scheme == "IO" else ()
    else:
        labels = Counter(span.label for text in texts for span in text.annotations)
    content = FORMATS[to].write(Output(texts, documents, to_scheme))
    _write(target, content)
    return Conversion(target, to, len(texts), dict(sorted(labels.items())), tuple(notes))


def _texts(found: Inspection) -> Iterator[Text]:
    """The documents of a format of tokens, as texts with tokens."""
    pairs = zip(found.sentences, found.raw, strict=True)
    for _, document in groupby(pairs, key=lambda pair: pair[0].document):
        sentences, raw = zip(*document, strict=True)
        yield text_of(sentences, raw)


def _melted(documents: Sequence[Sequence[TaggedSentence]]) -> Iterator[str]:
    count = sum(len(touching(spans(sentence.tags))) for document in documents for sentence in document)
    if count:
        yield f"entities joined to the one before, of the same label, which IO cannot part: {count:,}"


def _write(target: Path, content: bytes | dict[str, bytes]) -> None:
    """Put a file or a folder in its place in one step."""
    if isinstance(content, bytes):
        replace_durably(target, gzip.compress(content, mtime=0) if target.suffix == ".gz" else content)
        return
    draft = target.with_name(f".{target.name}.new")
    try:
        draft.mkdir()
        for name, data in content.items():
            (draft / name).write_bytes(data)
        draft.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise storage_error(target, sum(map(len, content.values())), error) from error
