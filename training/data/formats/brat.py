"""brat's standoff format: a folder of texts, `NAME.txt`, each with its spans beside it in `NAME.ann`.

T1	PER 0 3	Ada            a span: its label, where it begins and ends in code points, its text
T2	PER 0 3;8 12	Ada King   of two pieces: read as one, from the first to the last, and counted
R1	knows Arg1:T1 Arg2:T2   relations, events, attributes, notes: left out, and counted
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fenestra.model.errors import DataError
from fenestra.training.config import ReadingConfig
from fenestra.training.data.alignment import Output
from fenestra.training.data.formats.offsets import add_span, located, short
from fenestra.training.data.formats.records import read_text, unix_lines
from fenestra.training.data.inspection import Inspection, Text

_SPAN = re.compile(r"T\S*\t(\S+) (\d{1,9} \d{1,9}(?:;\d{1,9} \d{1,9})*)\t(.*)")
_OTHER = re.compile(r"[REAMN#*]\S*\s")


def read_brat(found: Inspection, options: ReadingConfig) -> None:
    """Read a folder of texts and spans, or one text and its spans.

    Raises:
        DataError: there is no such folder, or a text has no spans beside it.
    """
    folder, names = _documents(found.path)
    pieces: list[str] = []
    other: Counter[str] = Counter()
    for name in names:
        file = f"{name}.ann"
        lines = read_text(folder / file, found, file).split("\n")
        content = read_text(folder / f"{name}.txt", found, f"{name}.txt", as_it_is=True)
        text = Text(content if _fits(content, lines) else unix_lines(content), [], 1, file)
        for number, line in enumerate(lines, 1):
            text.line = number
            if _OTHER.match(line):
                other[line[0]] += 1
            elif line.strip():
                _add(found, text, line, options, pieces)
        text.line = 1
        found.texts.append(text)
    became = {"expand": "read as one", "drop": "left out", "refuse": "refused"}[options.misaligned]
    if pieces:
        found.notes.append(f"spans of several pieces {became}: {len(pieces):,} ({'; '.join(pieces[:3])})")
    if other:
        found.notes.append(
            f"lines that mark no span left out: {other.total():,} (relations, events, attributes, notes)"
        )


def _documents(path: Path) -> tuple[Path, list[str]]:
    """The folder, and the names of its documents, in order."""
    if path.suffix in {".ann", ".txt"} and not path.is_dir():
        return path.parent, [path.stem]
    try:
        folder = sorted(entry.relative_to(path) for entry in path.rglob("*.ann"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not folder:
        raise DataError(f"{path}: holds no .ann file; expected a folder of NAME.txt and NAME.ann")
    return path, [entry.with_suffix("").as_posix() for entry in folder]


def _fits(content: str, lines: Sequence[str]) -> bool:
    """Whether offsets count both signs of a Windows line end, as brat itself does; other tools count one."""
    spans = (match.groups() for line in lines if "\r" in content and (match := _SPAN.fullmatch(line)))
    pieces = ((*offsets.split(), quoted) for _, offsets, quoted in spans if ";" not in offsets)
    return all(
        located(content, int(start), int(end), quoted) == (int(start), int(end)) for start, end, quoted in pieces
    )


def _add(found: Inspection, text: Text, line: str, options: ReadingConfig, pieces: list[str]) -> None:
    """Add the span of a line, or note what is wrong with it."""
    match = _SPAN.fullmatch(line)
    if not match:
        expected = "expected T1<TAB>LABEL START END<TAB>TEXT"
        found.problem(text.line, f"{short(line)} is no span; {expected}", text.file)
        return
    label, offsets, quoted = match.groups()
    places = [tuple(map(int, piece.split())) for piece in offsets.split(";")]
    if len(places) == 1:
        add_span(found, text, {"start": places[0][0], "end": places[0][1], "label": label, "text": quoted})
        return
    pieces.append(f"{text.file}:{text.line}: {label} {short(quoted)}")
    if options.misaligned == "refuse":
        found.problem(text.line, f"{label} {short(quoted)} has {len(places)} pieces, expected one", text.file)
    elif options.misaligned == "expand":
        first, last = min(start for start, _ in places), max(end for _, end in places)
        add_span(found, text, [first, last, label])


def is_brat(path: Path) -> bool:
    """Whether this is a folder that holds spans of brat, or a file of them."""
    return any(path.rglob("*.ann")) if path.is_dir() else path.suffix == ".ann"


def write_brat(output: Output) -> dict[str, bytes]:
    """The files of a folder for brat: its documents are numbered, its labels are in annotation.conf."""
    width = len(str(len(output.texts)))
    labels = sorted({span.label for text in output.texts for span in text.annotations})
    sections = ["[entities]", *labels, "", "[relations]", "", "[events]", "", "[attributes]", ""]
    files = {"annotation.conf": "\n".join(sections).encode()}
    for number, text in enumerate(output.texts, 1):
        files[f"{number:0{width}}.txt"] = text.text.encode()
        files[f"{number:0{width}}.ann"] = "".join(_lines(text)).encode()
    return files


def _lines(text: Text) -> Iterator[str]:
    for number, (start, end, label) in enumerate(text.annotations, 1):
        quoted = re.sub(r"[\r\n\t]", " ", text.text[start:end])
        yield f"T{number}\t{label} {start} {end}\t{quoted}\n"
