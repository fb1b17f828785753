"""Annotated corpora: CoNLL-style files of any scheme → sentences of words and IOB2 tags.

Every fault is found before a run starts and named by ``path:line``. ``training/data/conll.py`` reads the columns of a
line; ``model/tags.py`` writes spans as tags.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from fenestra.model.errors import ConfigError, DataError
from fenestra.model.tags import OUTSIDE, split_tag
from fenestra.model.text.canonical import canonical
from fenestra.training import sources
from fenestra.training.config import DataConfig, ReadScheme
from fenestra.training.data.conll import DOCSTART, LONGEST_DOCUMENT, columns, open_bytes, read_lines
from fenestra.training.data.spans import Span, spans, write_tags

FileScheme = Literal["IOB1", "IOB2", "BIOES"]
FIRST_PROBLEMS = 20
"""How many problems a message lists."""

_TAG = re.compile(r"O|[BIES]-\S+")
_NO_NAMES: Mapping[str, str] = MappingProxyType({})


class Sentence(NamedTuple):
    """A sentence: as many IOB2 tags as words."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    document: int
    """The same for sentences of one document; where the file marks none, every sentence is its own."""
    line: int
    """Line of the first word in the file, from 1."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences to learn from or to be measured on."""

    name: str
    sentences: tuple[Sentence, ...]
    sha256: str
    """Of the file as it is on disk; of the files' digests where there are several."""
    parts: tuple["Corpus", ...] = ()
    """The corpora that were joined to this one."""

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return sum(len(sentence.words) for sentence in self.sentences)

    def words(self) -> Iterator[str]:
        """Every token, in order."""
        return chain.from_iterable(sentence.words for sentence in self.sentences)

    def canonical(self) -> "Corpus":
        """The same sentences in the words that a tagger looks up; see ``model/text/canonical.py``."""
        sentences = (sentence._replace(words=tuple(map(canonical, sentence.words))) for sentence in self.sentences)
        return replace(self, sentences=tuple(sentences))

    def label_counts(self) -> dict[str, int]:
        """How many entities of each label there are; labels in alphabetical order."""
        counts = Counter(span.label for sentence in self.sentences for span in spans(sentence.tags))
        return dict(sorted(counts.items()))


class Problem(NamedTuple):
    """What is wrong with a file, and in which line; 0 stands for the whole file."""

    line: int
    message: str


@dataclass(slots=True)
class RawSentence:
    """A sentence as the file has it: tags in the file's scheme, one token a line from ``line`` on."""

    document: int
    line: int
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    damaged: bool = False
    """Whether a line of it could not be read, so that the order of its tags cannot be checked."""


@dataclass(slots=True)
class Inspection:
    """A file as it was read, with all its errors."""

    path: Path
    raw: list[RawSentence] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    """Those without a problem of their own, in IOB2."""
    problems: list[Problem] = field(default_factory=list)
    scheme: FileScheme = "IOB2"
    columns: int = 0
    documents: int = 0
    """How many ``-DOCSTART-`` lines there are."""


def read_corpus(
    path: Path,
    *,
    scheme: ReadScheme = "auto",
    labels: Collection[str] | None = None,
    rename: Mapping[str, str] = _NO_NAMES,
    drop_mentions: bool = False,
) -> Corpus:
    """Read a corpus; plain text or gzip, UTF-8.

    Args:
        path: one token a line; the word is the first column, the tag the last.
        scheme: how the file writes spans. ``auto`` takes ``S-`` or ``E-`` for BIOES, a ``B-`` that does not directly
            follow its own label for IOB2 (IOB1 writes ``B-`` only there), and anything else for IOB1.
        labels: the labels that may be left after renaming; None allows all.
        rename: label → label; ``O`` drops the label's entities.
        drop_mentions: leave out ``@name``, and ``@`` with the token after it. Entities shrink by what is left out.

    Raises:
        DataError: the file cannot be read, or lines of it are malformed or tagged against the scheme: the first
            twenty, one ``path:line: what, and what was expected`` a line.
        ConfigError: a label is renamed to one that is not in ``labels``.
    """
    found = inspect_corpus(path, scheme=scheme, labels=labels, rename=rename)
    if found.problems:
        raise DataError(list_problems([(str(path), problem) for problem in found.problems]))
    sentences = found.sentences
    if drop_mentions:
        sentences = [kept for sentence in sentences if (kept := _without_mentions(sentence)).words]
    return Corpus(str(path), tuple(sentences), _file_sha256(path))


def inspect_corpus(
    path: Path,
    *,
    scheme: ReadScheme = "auto",
    labels: Collection[str] | None = None,
    rename: Mapping[str, str] = _NO_NAMES,
) -> Inspection:
    """Read a file to its end even if it has errors; arguments as for :func:`read_corpus`.

    Raises:
        DataError: the file cannot be opened.
        ConfigError: as :func:`read_corpus`.
    """
    _check_targets(rename, labels)
    found = Inspection(path)
    _parse(found)
    whole = (sentence.tags for sentence in found.raw if not sentence.damaged)
    found.scheme = detect_scheme(whole) if scheme == "auto" else scheme
    unknown: dict[str, list[int]] = {}
    for sentence in found.raw:
        illegal = [] if sentence.damaged else list(_transition_faults(sentence.tags, found.scheme))
        found.problems += [Problem(sentence.line + position, message) for position, message in illegal]
        named = _rename(sentence, rename, labels, unknown)
        if not sentence.damaged and not illegal:
            tags = tuple(write_tags(named, len(sentence.words)))
            found.sentences.append(Sentence(tuple(sentence.words), tags, sentence.document, sentence.line))
    found.problems += [_unknown_label(label, lines, labels or ()) for label, lines in unknown.items()]
    if not found.raw and not found.problems:
        found.problems.append(Problem(0, "holds no sentence; expected a word and its tag on each line"))
    found.problems.sort()
    return found


def read_corpora(names: Sequence[str], data: DataConfig, labels: Collection[str] | None) -> Corpus:
    """Read several corpora as one; documents of different files keep different numbers.

    Args:
        names: files, or ``NAME:SPLIT`` of fetched corpora.
        data: where relative files start, and how the files are read.
        labels: the labels that the model knows; None allows all.

    Raises:
        DataError: as :func:`read_corpus`, for the first corpus that has a problem.
        ConfigError: as :func:`read_corpus`.
    """
    corpora = [
        read_corpus(
            find_corpus(name, Path(data.root)),
            scheme=data.scheme,
            labels=labels,
            rename=data.rename,
            drop_mentions=data.leaves_out_mentions(name),
        )
        for name in names
    ]
    return join_corpora(" + ".join(names), corpora)


def join_corpora(name: str, corpora: Sequence[Corpus]) -> Corpus:
    """Concatenate corpora; documents of different corpora keep different numbers."""
    sentences: list[Sentence] = []
    documents = 0
    for corpus in corpora:
        sentences += [sentence._replace(document=documents + sentence.document) for sentence in corpus.sentences]
        documents = sentences[-1].document + 1 if sentences else 0
    digests = [corpus.sha256 for corpus in corpora]
    sha256 = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return Corpus(name, tuple(sentences), sha256, tuple(corpora))


def documents_of(sentences: Sequence[Sentence]) -> list[list[tuple[str, ...]]]:
    """The words of a corpus by documents; a long document is split where ``fenestra tag`` splits it."""
    documents: list[list[tuple[str, ...]]] = []
    before, tokens = None, 0
    for sentence in sentences:
        if sentence.document != before or tokens > LONGEST_DOCUMENT:
            documents.append([])
            before, tokens = sentence.document, 0
        documents[-1].append(sentence.words)
        tokens += len(sentence.words)
    return documents


def without_tags(corpus: Corpus) -> Corpus:
    """The same text with every tag O. Document numbers become negative, so that no other document has the same."""
    sentences = tuple(s._replace(tags=(OUTSIDE,) * len(s.words), document=-1 - s.document) for s in corpus.sentences)
    return Corpus(corpus.name, sentences, corpus.sha256)


def find_corpus(name: str, root: Path) -> Path:
    """Find the file of a corpus: ``NAME:SPLIT`` in the cache of fetched corpora, anything else from ``root`` on.

    Raises:
        DataError: the corpus is not fetched yet, or has no such split.
    """
    known, colon, split = name.partition(":")
    if not colon or known not in sources.available("corpus"):
        return root / name
    folder = sources.cached(known)
    if folder is None:
        raise DataError(f"{name}: not fetched yet; run: fenestra data fetch {known}")
    path = folder / f"{split}.conll"
    if not path.is_file():
        splits = ", ".join(sorted(file.stem for file in folder.glob("*.conll")))
        raise DataError(f"{name}: no such split; expected one of {splits}")
    return path


def detect_scheme(sentences: Iterable[Sequence[str]]) -> FileScheme:
    """Detect from its tags how a file writes spans; a file without any ``B-`` is IOB1.

    >>> detect_scheme([["I-PER", "I-PER", "O", "I-LOC", "B-LOC"]]), detect_scheme([["B-PER", "I-PER"]])
    ('IOB1', 'IOB2')
    """
    neighbours = {pair for tags in sentences for pair in pairwise((OUTSIDE, *tags))}
    split = [(split_tag(before), split_tag(tag)) for before, tag in neighbours]
    if any(prefix in "ES" for _, (prefix, _) in split):
        return "BIOES"
    return "IOB2" if any(prefix == "B" and last != label for (_, last), (prefix, label) in split) else "IOB1"


def list_problems(problems: Sequence[tuple[str, Problem]]) -> str:
    """One ``path:line: message`` a line for the first twenty, and how many more there are."""
    lines = [f"{path}:{line}: {message}" if line else f"{path}: {message}" for path, (line, message) in problems]
    more = len(lines) - FIRST_PROBLEMS
    return "\n".join(lines[:FIRST_PROBLEMS] + ([f"… and {more:,} more"] if more > 0 else []))


def _parse(found: Inspection) -> None:
    """Read the lines of the file, and note the malformed ones."""
    sentence: RawSentence | None = None
    document: int | None = None
    width_line = 0
    tags: set[str] = set()  # that are well-formed
    with open_bytes(found.path) as stream:
        for number, text, fault in read_lines(stream):
            cells = columns(text)
            if not fault and (not cells or cells[0] == DOCSTART):
                sentence = None
                if cells:
                    found.documents += 1
                    document = len(found.raw)
                continue
            if sentence is None:
                sentence = RawSentence(len(found.raw) if document is None else document, number)
                found.raw.append(sentence)
            if fault or len(cells) != found.columns or not cells[0] or cells[-1] not in tags:
                fault = fault or _column_fault(cells, found.columns, width_line) or _tag_fault(cells[-1])
                if not found.columns and len(cells) > 1:
                    found.columns, width_line = len(cells), number
                if fault:
                    sentence.damaged = True
                    found.problems.append(Problem(number, fault))
                    continue
                tags.add(cells[-1])
            sentence.words.append(cells[0])
            sentence.tags.append(cells[-1])


def _column_fault(cells: Sequence[str], width: int, width_line: int) -> str:
    """What is wrong with the number of columns; ``width`` is that of an earlier line, 0 if there is none."""
    count = f"{len(cells)} column{'s' if len(cells) > 1 else ''}"
    if width and len(cells) != width:
        return f"{count}, expected {width} as in line {width_line}"
    if len(cells) < 2:
        return f"{count}, expected at least 2: the word first, the tag last"
    return "" if cells[0] else "the first column is empty, expected a word"


def _tag_fault(tag: str) -> str:
    if _TAG.fullmatch(tag):
        return ""
    return f"{_shown(tag)} is not a tag, expected O, B-LABEL or I-LABEL (in BIOES also E-LABEL, S-LABEL)"


def _transition_faults(tags: Sequence[str], scheme: FileScheme) -> Iterator[tuple[int, str]]:
    """Find the tags of a sentence that its scheme does not allow where they stand: position, and what is wrong."""
    for position, (before, tag) in enumerate(pairwise((OUTSIDE, *tags, OUTSIDE))):
        if before == tag == OUTSIDE:
            continue
        (last, last_label), (prefix, label) = split_tag(before), split_tag(tag)
        if scheme == "BIOES" and last in "BI" and not (prefix in "IE" and label == last_label):
            yield position - 1, f"{_shown(before)} is not closed, expected I-{last_label} or E-{last_label} after it"
        elif prefix in "ES" and scheme != "BIOES":
            yield position, f"{_shown(tag)} in a file tagged {scheme}, expected only O, B-LABEL and I-LABEL"
        elif prefix == "B" and scheme == "IOB1" and last_label != label:
            yield (
                position,
                f"{_shown(tag)} after {_shown(before)} in a file tagged IOB1, expected B- only after its own label",
            )
        elif prefix in "IE" and scheme != "IOB1" and (last not in "BI" or last_label != label):
            where = f"after {_shown(before)}" if position else "at the start of a sentence"
            change = "the label changes inside an entity" if last in "BI" else "no entity is open"
            yield position, f"{_shown(tag)} {where}: {change}, expected B-{label} first"


def _rename(
    sentence: RawSentence, rename: Mapping[str, str], labels: Collection[str] | None, unknown: dict[str, list[int]]
) -> list[Span]:
    """The spans of a sentence under their new labels; notes the lines of unknown labels."""
    named = []
    for start, end, label in spans(sentence.tags):
        target = rename.get(label, label)
        if target == OUTSIDE:
            continue
        if labels is not None and target not in labels:
            unknown.setdefault(label, []).append(sentence.line + start)
        named.append(Span(start, end, target))
    return named


def _unknown_label(label: str, lines: Sequence[int], labels: Collection[str]) -> Problem:
    count = f"{len(lines):,} entit{'ies' if len(lines) > 1 else 'y'} of this label"
    return Problem(
        lines[0],
        f"unknown label {_shown(label)} ({count}), expected {', '.join(sorted(labels))}; "
        "--rename LABEL=O leaves one out (in a job: data.rename)",
    )


def _check_targets(rename: Mapping[str, str], labels: Collection[str] | None) -> None:
    """Refuse a renaming that makes a label which the model does not have."""
    for label, target in rename.items():
        if labels is not None and target != OUTSIDE and target not in labels:
            raise ConfigError(f"data.rename: {label} → {target}, expected O or one of {', '.join(sorted(labels))}")


def _without_mentions(sentence: Sentence) -> Sentence:
    """Leave out user names; entities shrink or vanish with them."""
    kept = [not dropped for dropped in _mentions(sentence.words)]
    if all(kept):
        return sentence
    before = list(accumulate(kept, initial=0))  # old position → new one
    moved = (Span(before[start], before[end], label) for start, end, label in spans(sentence.tags))
    words = tuple(word for word, keep in zip(sentence.words, kept, strict=True) if keep)
    tags = write_tags((span for span in moved if span.end > span.start), len(words))
    return sentence._replace(words=words, tags=tuple(tags))


def _mentions(words: Sequence[str]) -> list[bool]:
    """Which words are user names: ``@name``, or ``@`` and the word after it; an ``@`` at the end stays."""
    found = [len(word) > 1 and word[0] == "@" for word in words]
    position = 0
    while position < len(words) - 1:
        if words[position] == "@":
            found[position] = found[position + 1] = True
            position += 1
        position += 1
    return found


def _shown(text: str) -> str:
    """A piece of a file as a message quotes it: short, and without control characters."""
    return repr(text) if len(text) <= 40 else repr(text[:40]) + "…"


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
