"""Hugging Face: rows of `tokens` and `ner_tags`, as JSONL, Parquet or Arrow.

Tags are strings, or numbers whose names stand in the features: inside a Parquet or Arrow file, in
`dataset_info.json` or `dataset_infos.json` beside it, or in the setting `class_names`. Sentences with the same
`document` are one document; the column is ours, and other tools keep it.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fenestra.model.errors import DataError
from fenestra.model.tags import OUTSIDE
from fenestra.training.config import ReadingConfig
from fenestra.training.data.alignment import Output
from fenestra.training.data.formats.offsets import is_unicode, json_lines, short
from fenestra.training.data.formats.records import Record, read_bytes, read_records
from fenestra.training.data.inspection import Inspection, list_lines
from fenestra.training.data.raw_sentences import RawSentence
from fenestra.training.data.schemes import tag_fault, write_in
from fenestra.training.data.spans import spans

_WORDS, _TAGS = ("tokens", "words"), ("ner_tags", "ner", "tags")
_INFO = ("dataset_info.json", "dataset_infos.json")
_TABLES = (".parquet", ".arrow")
_ROWS = 1000
"""Rows of a table that are made Python values at once."""


def read_hf_jsonl(found: Inspection, options: ReadingConfig) -> None:
    """Read rows of a JSONL file."""
    _read_rows(found, options, read_records(found), {})


def read_hf_parquet(found: Inspection, options: ReadingConfig) -> None:
    """Read rows of a Parquet or Arrow file, or of the files of one split in a folder.

    Raises:
        DataError: a file cannot be opened, or the folder holds no table, or several splits.
    """
    files = table_files(found.path)
    if not files:
        raise DataError(f"{found.path}: holds no .parquet or .arrow file")
    splits = sorted({file.stem.partition("-")[0] for file in files})
    if len(splits) > 1:
        raise DataError(f"{found.path}: holds several splits ({', '.join(splits)}); name the files of one")
    for file in files:
        data = read_bytes(file, found)
        rows, names = _read_table(found, file, data)
        _read_rows(found, options, (Record(number, row) for number, row in enumerate(rows, 1)), names)


def table_files(path: Path) -> list[Path]:
    """The tables of a folder, or the file itself."""
    return sorted(file for file in path.iterdir() if file.suffix in _TABLES) if path.is_dir() else [path]


def _read_table(found: Inspection, file: Path, data: bytes) -> tuple[Iterator[Any], Mapping[str, Any]]:
    """The rows of a file, and the features that it describes."""
    import pyarrow
    from pyarrow import ipc, parquet

    try:
        source = pyarrow.BufferReader(data)
        if data[:4] == b"PAR1":
            table = parquet.read_table(source)
        elif data[:6] == b"ARROW1":
            table = ipc.open_file(source).read_all()
        else:
            table = ipc.open_stream(source).read_all()
        described = (table.schema.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(described).get("info", {}).get("features") or {}
    except (pyarrow.ArrowException, OSError, ValueError, AttributeError) as error:
        found.problem(0, f"not a Parquet or Arrow table ({' '.join(str(error).split())[:120]})")
        return iter(()), {}
    rows = (row for batch in table.to_batches(_ROWS) for row in batch.to_pylist())
    return rows, features if isinstance(features, dict) else {}


def _read_rows(
    found: Inspection, options: ReadingConfig, records: Iterable[Record], features: Mapping[str, Any]
) -> None:
    names: Sequence[str] | None = None
    documents: dict[str, int] = {}
    blank: list[int] = []
    for line, row in records:
        if not isinstance(row, Mapping):
            found.problem(line, "expected a row with tokens and ner_tags")
            continue
        word_key, tag_key = _key(row, options.word_column, _WORDS), _key(row, options.tag_column, _TAGS)
        words: Any = row.get(word_key)
        tags: Any = row.get(tag_key)
        if fault := _row_fault(word_key, tag_key, words, tags):
            found.problem(line, fault)
            continue
        if names is None and any(isinstance(tag, int) for tag in tags):
            names = options.class_names or _class_names(features.get(tag_key)) or _described(found.path, tag_key)
        try:
            written = [_named(tag, names or ()) for tag in tags]
        except ValueError as error:
            found.problem(line, f"{tag_key}: {error}")
            continue
        faults = {fault for tag in written if (fault := tag_fault(tag, bare=options.scheme == "IO"))}
        for fault in sorted(faults):
            found.problem(line, fault)
        kept = [(word, tag) for word, tag in zip(words, written, strict=True) if word.strip()]
        if len(kept) < len(words):
            blank.append(line)
        if kept:
            document = row.get("document")
            place = len(found.raw) if document is None else documents.setdefault(str(document), len(found.raw))
            sentence = RawSentence(place, line, [word for word, _ in kept], [tag for _, tag in kept], bool(faults))
            found.raw.append(sentence)
    found.documents += len(documents)
    if blank:
        found.notes.append(f"tokens without a sign left out: {list_lines(blank)}")


def _key(row: Mapping[str, Any], column: int | str, known: Sequence[str]) -> str:
    """The key of a row that a setting names, or the first that is known."""
    return next((key for key in known if key in row), known[0]) if column == "auto" else str(column)


def _row_fault(word_key: str, tag_key: str, words: Any, tags: Any) -> str:  # noqa: ANN401 - whatever the file holds
    if not isinstance(words, list) or not all(isinstance(word, str) and is_unicode(word) for word in words):
        return f"{word_key}: expected a list of words, got {short(words)}"
    if not isinstance(tags, list):
        return f"{tag_key}: expected a list of tags, got {short(tags)}"
    if len(words) != len(tags):
        return f"{tag_key}: {len(tags)} tags, expected {len(words)}, as many as {word_key}"
    return ""


def _named(tag: object, names: Sequence[str]) -> str:
    """A tag by its name.

    Raises:
        ValueError: it has none.
    """
    if isinstance(tag, str):
        return tag
    if not isinstance(tag, int) or isinstance(tag, bool):
        raise ValueError(f"a tag is {short(tag)}, expected a string or a number")
    if not names:
        raise ValueError("numbers without names; name the tags in their order: class_names (--class-names)")
    if not 0 <= tag < len(names):
        raise ValueError(f"tag {tag}, expected 0 to {len(names) - 1}: {', '.join(names)[:100]}")
    return names[tag]


def _described(path: Path, key: str) -> Sequence[str]:
    """The names of tags in the description beside a file; empty if there is none."""
    folder = path if path.is_dir() else path.parent
    for file in (folder / name for name in _INFO):
        if not file.is_file():
            continue
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{file}: not JSON ({error})") from error
        for info in (found, *found.values()) if isinstance(found, dict) else ():
            features = info.get("features") if isinstance(info, dict) else None
            if isinstance(features, dict) and (names := _class_names(features.get(key))):
                return names
    return ()


def _class_names(feature: object) -> Sequence[str]:
    """The names in the feature of a column: a list of a ClassLabel, in any of the ways to write one."""
    match feature:
        case {"names": [*names]} if all(isinstance(name, str) for name in names):
            return names
        case {"feature": inner} | [inner]:
            return _class_names(inner)
    return ()


def write_hf_jsonl(output: Output) -> bytes:
    """A row a line, with tags as strings: JSONL has no place for the names of numbers."""
    return json_lines(_rows(output))


def write_hf_parquet(output: Output) -> bytes:
    """A Parquet file, with tags as numbers and their names in the features."""
    import pyarrow
    from pyarrow import parquet

    rows = list(_rows(output))
    names = [OUTSIDE, *sorted({tag for row in rows for tag in row["ner_tags"]} - {OUTSIDE}, key=_by_label)]
    numbers = {name: number for number, name in enumerate(names)}
    value = {"dtype": "string", "_type": "Value"}
    features: dict[str, Any] = {
        "tokens": {"feature": value, "_type": "Sequence"},
        "ner_tags": {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"},
    }
    columns = {
        "tokens": pyarrow.array([row["tokens"] for row in rows], pyarrow.list_(pyarrow.string())),
        "ner_tags": pyarrow.array(
            [[numbers[tag] for tag in row["ner_tags"]] for row in rows], pyarrow.list_(pyarrow.int64())
        ),
    }
    if rows and "document" in rows[0]:
        columns["document"] = pyarrow.array([row["document"] for row in rows], pyarrow.int64())
        features["document"] = {"dtype": "int64", "_type": "Value"}
    table = pyarrow.table(columns).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def _rows(output: Output) -> Iterator[dict[str, Any]]:
    marked = output.marked
    for place, document in enumerate(output.documents):
        for words, tags, _ in document:
            row = {"tokens": words, "ner_tags": write_in(spans(tags), len(tags), output.scheme)}
            yield row | {"document": place} if marked else row


def _by_label(tag: str) -> tuple[str, str]:
    prefix, _, label = tag.partition("-")
    return label, prefix
