"""Files of one token a line: CoNLL with any columns, and CoNLL-U.

    # sent_id = 1               a comment: begins with # and cannot be a token and its tag
    1  EU      NNP  B-ORG       the columns that the settings name, or the first and the last
    2  rejects VBZ  O

In CoNLL-U the word is FORM, and the tag stands in MISC (`NE=B-ORG`) or in a column. The lines of multi-word tokens
(1-2) and empty nodes (1.1) are left out: tags stand at words. `# newdoc` begins a document, as -DOCSTART- does.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fenestra.model.errors import DataError
from fenestra.model.tags import OUTSIDE
from fenestra.training.compressed import open_file
from fenestra.training.config import ReadingConfig
from fenestra.training.data.alignment import Output
from fenestra.training.data.conll import DOCSTART, columns, read_lines
from fenestra.training.data.inspection import Inspection, counted, list_lines
from fenestra.training.data.raw_sentences import RawSentence
from fenestra.training.data.schemes import could_be_tag, shown, tag_fault, write_in
from fenestra.training.data.spans import spans

CONLLU_COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
MISC_KEYS = ("NE", "NER", "ner", "Entity", "NamedEntity", "Name")
"""Where tags are looked for in MISC, unless a setting names the key."""
NEWDOC = re.compile(r"#\s*newdoc\b")
_COLUMN_NAMES = re.compile(r"#\s*global\.columns\s*=\s*(.*)")
_NOT_A_WORD = re.compile(r"\d+-\d+|\d+\.\d+")
"""The ID of a multi-word token or of an empty node."""
_BOM = "\ufeff"
_LINE_BREAKS = re.compile("[\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line elsewhere, and not here."""
_EMPTY = "_"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the cells of a file are."""

    width: int
    """Columns of the first line that is no comment; 0 if there is none."""
    header: int = 0
    """Line that holds the names of the columns; 0 if there is none."""
    word: int = 0
    tag: int = -1
    misc_key: str = ""
    """The key of the tag, where its column is MISC."""


@dataclass(slots=True)
class _Reader:
    """Reads one file, line by line."""

    found: Inspection
    options: ReadingConfig
    layout: _Layout
    sentence: RawSentence | None = None
    """The one whose words are being read."""
    document: int | None = None
    width_line: int = 0
    tags: set[str] = field(default_factory=set)
    """That are well-formed."""
    boms: list[int] = field(default_factory=list)
    comments: list[int] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    is_conllu: bool = field(init=False)
    least: int = field(init=False)
    """Columns that there must be."""
    sign: str = field(init=False)
    """What comments begin with."""

    def __post_init__(self) -> None:
        self.is_conllu = self.found.format == "conllu"
        self.least = max(2, *(place + 1 if place >= 0 else -place for place in (self.layout.word, self.layout.tag)))
        self.sign = "#" if self.options.comments in ("auto", "none") else self.options.comments

    def line(self, number: int, text: str, fault: str) -> None:
        """Take the next line."""
        if text.startswith(_BOM):
            text = text.lstrip(_BOM)
            self.boms.append(number)
        if text.startswith(self.sign) and not fault and self._is_comment(text):
            self.comments.append(number)
            if NEWDOC.match(text):
                self._new_document()
            return
        cells = columns(text)
        if not cells and not fault:
            self.end_sentence()
        elif not fault and cells[0] == DOCSTART:
            self._new_document()
        elif not fault and self.is_conllu and _NOT_A_WORD.fullmatch(cells[0]):
            self.left_out.append(number)
        elif number != self.layout.header:
            self._token(number, text, cells, fault)

    def end_sentence(self) -> None:
        """The sentence is complete, if there is one."""
        if self.sentence is not None:
            self.found.raw.append(self.sentence)
            self.sentence = None

    def notes(self) -> Iterator[str]:
        """What was left out."""
        if self.boms:
            yield f"byte order marks inside the file taken off: {list_lines(self.boms)}"
        if self.comments:
            yield f"comments left out: {list_lines(self.comments)}"
        if self.left_out:
            yield f"multi-word tokens and empty nodes left out: {list_lines(self.left_out)}"

    def _token(self, number: int, text: str, cells: Sequence[str], fault: str) -> None:
        found, sentence, word = self.found, self.sentence, self.layout.word
        if sentence is None:
            sentence = self.sentence = RawSentence(len(found.raw) if self.document is None else self.document, number)
        sound = not fault and len(cells) == found.columns >= self.least and cells[word] and text.splitlines() == [text]
        tag = self._tag(cells) if sound else ""
        if not sound or tag not in self.tags:  # few lines: the tags of a file soon have all been seen
            fault = fault or self._column_fault(cells)
            if not found.columns and len(cells) > 1:
                found.columns, self.width_line = len(cells), number
            if not fault:
                tag = self._tag(cells)
                fault = tag_fault(tag, bare=self.options.scheme == "IO")
            if fault:
                sentence.damaged = True
                found.problem(number, fault)
                return
            self.tags.add(tag)
        sentence.words.append(cells[word])
        sentence.tags.append(tag)
        sentence.lines.append(number)
        if self.is_conllu:
            sentence.spaces.append("SpaceAfter=No" not in cells[-1].split("|"))

    def _new_document(self) -> None:
        self.end_sentence()
        self.found.documents += 1
        self.document = len(self.found.raw)

    def _tag(self, cells: Sequence[str]) -> str:
        cell = cells[self.layout.tag]
        if not self.is_conllu:
            return cell
        if self.layout.misc_key:
            cell = _misc(cell).get(self.layout.misc_key, OUTSIDE)
        return OUTSIDE if cell == _EMPTY else cell

    def _is_comment(self, text: str) -> bool:
        """Whether a line with the sign of comments is one; a token # stays a token."""
        if self.options.comments != "auto":
            return self.options.comments != "none"
        if self.is_conllu:
            return True  # a token begins with its number
        cells = columns(text)
        if len(cells) < self.least or (self.layout.width and len(cells) != self.layout.width):
            return True
        tag = cells[self.layout.tag]
        if self.options.scheme == "IO":
            return tag != OUTSIDE and tag not in self.tags
        return not could_be_tag(tag)

    def _column_fault(self, cells: Sequence[str]) -> str:
        """What is wrong with the columns of a line."""
        layout, width = self.layout, self.found.columns
        count = counted(len(cells), "column")
        # In the first column such a sign may belong to the word; in another one it has joined two lines.
        if sign := _LINE_BREAKS.search("".join(cells[1:] if len(cells) > 1 and not layout.word else cells)):
            return f"holds U+{ord(sign.group()):04X} as if it ended a line, expected line feeds"
        if width and len(cells) != width:
            return f"{count}, expected {width} as in line {self.width_line}"
        if len(cells) < 2 == self.least:
            return f"{count}, expected at least 2: the word first, the tag last"
        if len(cells) < self.least:
            places = f"the word is column {layout.word}, the tag column {layout.tag}, counted from 0"
            return f"{count}, expected at least {self.least}: {places}"
        if not cells[layout.word]:
            return f"{f'column {layout.word}' if layout.word else 'the first column'} is empty, expected a word"
        return ""


def read_columns(found: Inspection, options: ReadingConfig) -> None:
    """Read the lines of a CoNLL or CoNLL-U file, and note the malformed ones.

    Raises:
        DataError: the file cannot be opened, or has no column of a name that the settings give.
    """
    reader = _Reader(found, options, _layout(found, options))
    with open_file(found.path) as stream:
        for number, text, fault, *_ in read_lines(stream):
            reader.line(number, text, fault)
    reader.end_sentence()
    found.notes += reader.notes()


def is_conllu(line: str) -> bool:
    """Whether the first line of a file that is no comment is one of CoNLL-U: ten columns, the first a number."""
    cells = line.split("\t")
    return len(cells) == len(CONLLU_COLUMNS) and re.fullmatch(r"\d+(?:[-.]\d+)?", cells[0]) is not None


def write_conll_file(output: Output) -> bytes:
    """word<TAB>tag; -DOCSTART- begins each document, if one of them has several sentences.

    Raises:
        DataError: a word cannot be written so that it is read back.
    """
    lines: list[str] = []
    marked = output.marked
    for document in output.documents:
        if marked:
            lines.append(f"{DOCSTART}\tO\n\n")
        for words, tags, _ in document:
            for word, tag in zip(words, write_in(spans(tags), len(tags), output.scheme), strict=True):
                lines.append(f"{_writable(word)}\t{tag}\n")
            lines.append("\n")
    return "".join(lines).encode()


def write_conllu(output: Output) -> bytes:
    """CoNLL-U with the tags in MISC, as NE=B-PER; `# newdoc` begins each document, if one has several sentences.

    Raises:
        DataError: a word cannot be written so that it is read back.
    """
    lines: list[str] = []
    number = 0
    marked = output.marked
    for place, document in enumerate(output.documents, 1):
        for first, (words, tags, spaces) in enumerate(document):
            number += 1
            if marked and not first:
                lines.append(f"# newdoc id = {place}\n")
            text = "".join(f"{word} " if space else word for word, space in zip(words, spaces, strict=True)).rstrip()
            lines.append(f"# sent_id = {number}\n# text = {text}\n")
            written = write_in(spans(tags), len(tags), output.scheme)
            for position, (word, tag, space) in enumerate(zip(words, written, spaces, strict=True), 1):
                misc = f"NE={tag}" if space else f"NE={tag}|SpaceAfter=No"
                lines.append("\t".join([str(position), _writable(word), *[_EMPTY] * 7, misc]) + "\n")
            lines.append("\n")
    return "".join(lines).encode()


def _layout(found: Inspection, options: ReadingConfig) -> _Layout:
    """Find out where the word and the tag are, from the settings and the beginning of the file."""
    width, header, names = _look(found, options)
    known = {name.lower(): place for place, name in enumerate(names)}
    word = tag = key = None
    if options.word_column != "auto":
        word = _place(options.word_column, known)
        if word is None:
            raise _unknown(found, "word_column", options.word_column, names)
    if options.tag_column != "auto":
        tag = _place(options.tag_column, known)
        if tag is None and "misc" in known:
            tag, key = known["misc"], str(options.tag_column)
        elif tag is None:
            raise _unknown(found, "tag_column", options.tag_column, names)
    if found.format == "conllu":
        word = known.get("form", 1) if word is None else word
        if "misc" in known and tag in (None, known["misc"]) and key is None:
            tag, key = known["misc"], _misc_key(found, known["misc"])
    return _Layout(width, header, word or 0, -1 if tag is None else tag, key or "")


def _look(found: Inspection, options: ReadingConfig) -> tuple[int, int, Sequence[str]]:
    """Look at a file to its first line of tokens: its columns, the line of a header, the names of the columns."""
    names: Sequence[str] = CONLLU_COLUMNS if found.format == "conllu" else ()
    wanted = {str(c).lower() for c in (options.word_column, options.tag_column) if c != "auto" and _index(c) is None}
    with open_file(found.path) as stream:
        for number, text, fault, *_ in read_lines(stream):
            text = text.lstrip(_BOM)
            if match := _COLUMN_NAMES.fullmatch(text):
                names = match[1].split()
            cells = columns(text)
            if fault or len(cells) < 2 or text.startswith("#") or cells[0] == DOCSTART:
                continue
            if wanted and not names and wanted <= {cell.lower() for cell in cells}:
                return len(cells), number, cells
            return len(cells), 0, names
    return 0, 0, names


def _place(column: int | str, known: Mapping[str, int]) -> int | None:
    """The index of a column that a setting gives by index or by name; None if no column is called so."""
    index = _index(column)
    return known.get(str(column).lower()) if index is None else index


def _index(column: int | str) -> int | None:
    """A column as an index, if it is one: ``3``, ``-1``, ``"3"``."""
    return int(column) if re.fullmatch(r"-?\d{1,4}", str(column)) else None


def _unknown(found: Inspection, setting: str, column: int | str, names: Sequence[str]) -> DataError:
    known = f"expected an index, or one of {', '.join(names)}" if names else "expected an index: it names no columns"
    return DataError(f"{found.path}: no column is called {shown(str(column))} (data.{setting}), {known}")


def _misc_key(found: Inspection, place: int) -> str:
    """The key of MISC that holds tags in this file; the first of those that are known if none does."""
    present: dict[str, bool] = {}
    with open_file(found.path) as stream:
        for _, text, *_ in read_lines(stream):
            cells = text.split("\t")
            for key, value in _misc(cells[place] if place < len(cells) else "").items():
                if key in MISC_KEYS:
                    present[key] = present.get(key, False) or could_be_tag(value)
    ranked = sorted(present, key=lambda key: (not present[key], MISC_KEYS.index(key)))
    if not ranked:
        keys = ", ".join(f"{key}=" for key in MISC_KEYS)
        raise DataError(
            f"{found.path}: no tag in MISC ({keys}); name the key or the column of the tag: tag_column (--tag-column)"
        )
    return ranked[0]


def _misc(cell: str) -> dict[str, str]:
    """The pairs of MISC: ``NE=B-PER|SpaceAfter=No``."""
    return dict(part.split("=", 1) for part in cell.split("|") if "=" in part)


def _writable(word: str) -> str:
    """A word that reads back as it is.

    Raises:
        DataError: it does not.
    """
    if not word.strip(" ") or word != word.strip(" ") or re.search(r"[\t\r\n]", word) or word[0] == _BOM:
        raise DataError(f"the word {shown(word)} cannot be written to a file of columns")
    if word == DOCSTART:
        raise DataError(f"the word {DOCSTART} cannot be written: it would be read as the begin of a document")
    return word
