"""The formats that are known, and how a file's is told from its name and its contents.

docs/formats.md has the same table for people.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fenestra.model.errors import InputError
from fenestra.training.compressed import open_file, stem
from fenestra.training.config import FormatName, ReadingConfig
from fenestra.training.data.alignment import Output
from fenestra.training.data.conll import DOCSTART
from fenestra.training.data.formats.brat import is_brat, read_brat, write_brat
from fenestra.training.data.formats.columns import is_conllu, read_columns, write_conll_file, write_conllu
from fenestra.training.data.formats.hugging_face import (
    read_hf_jsonl,
    read_hf_parquet,
    table_files,
    write_hf_jsonl,
    write_hf_parquet,
)
from fenestra.training.data.formats.label_studio import read_label_studio, write_label_studio
from fenestra.training.data.formats.offsets import (
    read_offsets,
    write_doccano,
    write_jsonl,
    write_prodigy,
    write_spacy_json,
)
from fenestra.training.data.formats.records import first_record, unix_lines
from fenestra.training.data.formats.spacy_docs import read_spacy, write_spacy
from fenestra.training.data.inspection import Inspection

_LOOKED_AT = 1 << 20
"""Bytes of a file that its format is told from."""


@dataclass(frozen=True, slots=True)
class CorpusFormat:
    """A format of corpora."""

    title: str
    suffixes: tuple[str, ...]
    """Of files; the first format of a suffix is the one that it means."""
    read: Callable[[Inspection, ReadingConfig], None]
    """Fills ``raw`` or, with character offsets, ``texts``."""
    write: Callable[[Output], bytes | dict[str, bytes]]
    """The contents of a file, or of the files of a folder by their names."""
    has_tokens: bool = True
    """Whether it stores tokens and tags; a format of texts and spans does not."""


FORMATS: Mapping[FormatName, CorpusFormat] = {
    "conll": CorpusFormat(
        "one token a line, columns", (".conll", ".iob", ".bio", ".iob2", ".bioes", ".tsv", ".txt"), read_columns,
        write_conll_file,
    ),
    "conllu": CorpusFormat("CoNLL-U, tags in MISC or a column", (".conllu", ".conllup"), read_columns, write_conllu),
    "doccano": CorpusFormat("doccano's JSONL", (".jsonl",), read_offsets, write_doccano, has_tokens=False),
    "prodigy": CorpusFormat("Prodigy's JSONL", (".jsonl",), read_offsets, write_prodigy, has_tokens=False),
    "jsonl": CorpusFormat("the JSONL of `fenestra tag`", (".jsonl",), read_offsets, write_jsonl, has_tokens=False),
    "spacy-json": CorpusFormat(
        "spaCy's (text, entities) as JSON", (".json", ".jsonl"), read_offsets, write_spacy_json, has_tokens=False
    ),
    "label-studio": CorpusFormat(
        "Label Studio's JSON export", (".json",), read_label_studio, write_label_studio, has_tokens=False
    ),
    "brat": CorpusFormat("a folder of .txt and .ann files", (), read_brat, write_brat, has_tokens=False),
    "hf-jsonl": CorpusFormat("Hugging Face rows as JSONL", (".jsonl", ".json"), read_hf_jsonl, write_hf_jsonl),
    "hf-parquet": CorpusFormat(
        "Hugging Face rows as Parquet", (".parquet", ".arrow"), read_hf_parquet, write_hf_parquet
    ),
    "spacy": CorpusFormat("spaCy's DocBin", (".spacy",), read_spacy, write_spacy),
}  # fmt: skip


def detect_format(path: Path) -> FormatName:
    """Tell the format of a file or folder from its name and its contents; ``conll`` if nothing tells another.

    Raises:
        DataError: it cannot be opened.
    """
    if is_brat(path):
        return "brat"
    if path.is_dir():
        return "hf-parquet" if table_files(path) else "conll"
    suffix = stem(path.name).suffix.lower()
    for name in ("conllu", "hf-parquet", "spacy"):
        if suffix in FORMATS[name].suffixes:
            return name
    with open_file(path) as stream:
        try:
            data = stream.read(_LOOKED_AT)
        except OSError:
            return "conll"  # which reads it again, and says what is wrong
    if data.startswith((b"PAR1", b"ARROW1")):
        return "hf-parquet"
    text = unix_lines(data.decode("utf-8-sig", "replace"))
    is_json = suffix in {".json", ".jsonl", ".ndjson"}
    if is_json or text.lstrip().startswith(('{"', "[{", "[[", '["', "{\n", "[\n")):
        return _json_format(first_record(text), "doccano" if is_json else "conll")
    lines = (line for line in text.split("\n") if line.strip() and not line.startswith(("#", DOCSTART)))
    return "conllu" if is_conllu(next(lines, "")) else "conll"


def target_format(path: Path) -> FormatName:
    """Tell the format of a file to write from its name, such as ``x.conllu`` or ``x.doccano.jsonl``.

    A name without a suffix is a folder for brat.

    Raises:
        InputError: several formats, or none, end so.
    """
    *_, before, suffix = ("", "", *Path(path.name.removesuffix(".gz")).suffixes)
    for name in FORMATS:
        if before == f".{name}":
            return name
    if not suffix:
        return "brat"
    found = [name for name, form in FORMATS.items() if suffix.lower() in form.suffixes]
    if len(found) == 1:
        return found[0]
    what = f"{suffix} may be {', '.join(found)}" if found else f"no format ends in {suffix}"
    raise InputError(f"{path}: {what}; name one: --to {'|'.join(found or FORMATS)}")


def _json_format(value: Any, otherwise: FormatName) -> FormatName:  # noqa: ANN401 - whatever the file holds
    """Tell the format of a JSON file from its first record."""
    match value:
        case [str(), dict()]:
            return "spacy-json"
        case {"data": dict()} | {"annotation_id": _}:
            return "label-studio"
        case {"tokens": [*_], "entities": [*_]}:
            return "jsonl"
        case {"tokens": [*_], "text": str(), "spans": [*_]}:
            return "prodigy"
        case {"tokens": [*_]} | {"words": [*_]} | {"ner_tags": _}:
            return "hf-jsonl"
        case {"text": str()}:
            return _of_text(value)
        case {"annotations": [*_]}:
            return "spacy-json"
    return otherwise


def _of_text(record: Mapping[str, Any]) -> FormatName:
    """Tell the format of a record with a text from its spans."""
    match record:
        case {"spans": [*_]}:
            return "prodigy"
        case {"entities": [{"start": _}, *_]}:
            return "jsonl"
    lists = [value[0] for value in record.values() if isinstance(value, list) and value]
    return "label-studio" if any(isinstance(span, dict) and "labels" in span for span in lists) else "doccano"
