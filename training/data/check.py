"""The errors of a corpus, and remarks on it: ``fenestra data check``.

Errors are what :func:`fenestra.training.data.corpus.read_corpus` would refuse. Remarks are about what it reads without
error and a user may still want to know: Windows line ends, very long sentences, words tagged in two ways, labels that
look like slips, sentences that training and test share.
"""

from codecs import BOM_UTF8
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from fenestra.model.config import FeatureConfig
from fenestra.model.tags import split_tag
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.compressed import open_file
from fenestra.training.data.conll import split_lines
from fenestra.training.data.corpus import inspect_corpus
from fenestra.training.data.inspection import Inspection, Problem, Sentence, list_lines, list_problems
from fenestra.training.data.slips import slips
from fenestra.training.data.spans import spans
from fenestra.training.vectors.vectors import Coverage, WordVectors, coverage

LONG_SENTENCE = 200
"""Tokens from which on a sentence is remarked on."""
DUPLICATE_WORDS = 5
"""Shorter sentences recur by nature (datelines, scores) and are not counted as duplicates."""
_SHOWN = 5
_LINES = ("conll", "conllu")
"""Formats whose line ends are looked at."""


class Place(NamedTuple):
    """A line of a file."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Sentences of five words or more that occur again."""

    count: int
    conflicting: int
    """How many of them are tagged differently."""
    first: tuple[tuple[Place, Place], ...]
    """The first few: where the sentence stood before, and where again."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        shown = [[str(before), str(again)] for before, again in self.first]
        return {"count": self.count, "conflicting": self.conflicting, "first": shown}

    def __str__(self) -> str:
        shown = ", ".join(f"{before} ↔ {again}" for before, again in self.first)
        conflict = f", {self.conflicting:,} of them with other tags" if self.conflicting else ""
        return f"{self.count:,}{conflict}" + (f": {shown}" if shown else "")


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file holds."""

    path: str
    format: str
    scheme: str
    columns: int
    """Of a file of columns; else 0."""
    documents: int
    """Lines that begin a document; 0 if the file marks none."""
    sentences: int
    """Sentences without an error."""
    tokens: int
    labels: dict[str, int]
    """Entities of each label."""
    lengths: dict[int, int]
    """Length of an entity in tokens → how many there are."""
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]
    duplicates: Duplicates
    coverage: Coverage | None
    """How many words have a vector; None if no vectors were given."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "path": self.path,
            "format": self.format,
            "scheme": self.scheme,
            "columns": self.columns,
            "documents": self.documents,
            "sentences": self.sentences,
            "tokens": self.tokens,
            "labels": self.labels,
            "entity_lengths": {str(length): count for length, count in self.lengths.items()},
            "errors": [problem._asdict() for problem in self.problems],
            "remarks": list(self.remarks),
            "duplicates": self.duplicates.as_dict(),
            "coverage": self.coverage.as_dict() if self.coverage else None,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{label} {count:,}" for label, count in self.labels.items()) or "none"
        form = f"{self.columns} columns" if self.format == "conll" else self.format
        lines = [
            f"{self.path}: {self.sentences:,} sentences, {self.tokens:,} tokens, {form}, {self.scheme}",
            f"  entities: {counts}{self._lengths()}",
            *(f"  {line}" for line in str(self.coverage or "").splitlines()),
            *(f"  remark: {remark}" for remark in self.remarks),
        ]
        if self.duplicates.count:
            lines.append(f"  remark: sentences that occur again: {self.duplicates}")
        return "\n".join(lines)

    def _lengths(self) -> str:
        entities = sum(self.lengths.values())
        if not entities:
            return ""
        mean = sum(length * count for length, count in self.lengths.items()) / entities
        return f"; {mean:.2f} tokens long on average, {max(self.lengths)} at most"


class Overlap(NamedTuple):
    """What two files share."""

    before: str
    after: str
    duplicates: Duplicates

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"files": [self.before, self.after]} | self.duplicates.as_dict()


class Unseen(NamedTuple):
    """Entities of a file that do not occur with the same words and label in the training data."""

    path: str
    unseen: int
    entities: int
    by_label: dict[str, tuple[int, int]]
    """Label → unseen entities, all entities."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return self._asdict() | {"share": self.unseen / self.entities if self.entities else 0.0}

    def __str__(self) -> str:
        labels = ", ".join(f"{label} {unseen / total:.1%}" for label, (unseen, total) in self.by_label.items())
        share = self.unseen / self.entities if self.entities else 0.0
        return f"{self.path}: {share:.1%} of {self.entities:,} entities are new" + (f" ({labels})" if labels else "")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The findings about some files."""

    files: tuple[FileReport, ...]
    overlaps: tuple[Overlap, ...]
    """Pairs of files that share sentences."""
    unseen: tuple[Unseen, ...]
    """For each file, if training data was given to compare with."""

    @property
    def ok(self) -> bool:
        """Whether there are no errors; remarks do not count."""
        return not self.error_count

    @property
    def error_count(self) -> int:
        """How many errors there are in all files."""
        return sum(len(report.problems) for report in self.files)

    @property
    def errors(self) -> str:
        """The first errors, one ``path:line: message`` a line; empty if there are none."""
        return list_problems([(report.path, problem) for report in self.files for problem in report.problems])

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, with every error."""
        return {
            "ok": self.ok,
            "files": [report.as_dict() for report in self.files],
            "overlaps": [overlap.as_dict() for overlap in self.overlaps],
            "unseen": [unseen.as_dict() for unseen in self.unseen],
        }

    def __str__(self) -> str:
        lines = [str(report) for report in self.files]
        lines += [f"{pair.before} and {pair.after} share sentences: {pair.duplicates}" for pair in self.overlaps]
        lines += [str(unseen) for unseen in self.unseen]
        return "\n".join([*lines, "no errors"] if self.ok else [*lines, self.errors, f"errors: {self.error_count:,}"])


def check_corpus(
    paths: Sequence[Path],
    *,
    against: Sequence[Path] = (),
    vectors: WordVectors | None = None,
    labels: Collection[str] | None = None,
    **reading: Any,  # noqa: ANN401 - validated by inspect_corpus
) -> CheckResult:
    """Look at annotated files, each for itself and next to the others.

    Args:
        paths: the files.
        against: the training data; it is checked too, and the files' entities and sentences are looked for in it.
        vectors: whose coverage to measure.
        labels: the labels that may occur; None allows all.
        reading: how all of the files are read, fields of :class:`fenestra.training.config.ReadingConfig`.

    Raises:
        DataError: a file cannot be opened.
        ConfigError: a field of ``reading`` is wrong.
    """
    trained = {path: inspect_corpus(path, labels=labels, **reading) for path in against}
    others = {path: inspect_corpus(path, labels=labels, **reading) for path in paths if path not in trained}
    files = [*trained.values(), *others.values()]
    lexicon = Lexicon.of(FeatureConfig(case=0), vectors.words, {}) if vectors else None
    pairs = [Overlap(str(a.path), str(b.path), _shared(a, b)) for a, b in combinations(files, 2)]
    return CheckResult(
        tuple(_report(found, lexicon) for found in files),
        tuple(pair for pair in pairs if pair.duplicates.count),
        tuple(_unseen(found, trained.values()) for found in others.values()) if trained else (),
    )


def _report(found: Inspection, lexicon: Lexicon | None) -> FileReport:
    words = [word for sentence in found.sentences for word in sentence.words]
    entities = [span for sentence in found.sentences for span in spans(sentence.tags)]
    return FileReport(
        path=str(found.path),
        format=found.format,
        scheme=found.scheme,
        columns=found.columns,
        documents=found.documents,
        sentences=len(found.sentences),
        tokens=len(words),
        labels=dict(sorted(Counter(span.label for span in entities).items())),
        lengths=dict(sorted(Counter(span.end - span.start for span in entities).items())),
        problems=tuple(found.problems),
        remarks=(*_byte_remarks(found), *found.notes, *_sentence_remarks(found), *slips(found)),
        duplicates=_repeated(found),
        coverage=coverage(lexicon, words) if lexicon else None,
    )


def _byte_remarks(found: Inspection) -> Iterator[str]:
    """What reading tolerates silently: byte order mark, line ends, blanks at the end of a line."""
    if found.format not in _LINES:
        return
    places: dict[str, list[int]] = {
        "Windows line ends (CRLF) in": [],
        "old Mac line ends (CR) in": [],
        "spaces or tabs at the end of": [],
    }
    windows, old_mac, blanks = places.values()
    raw, bom = b"\n", False
    with open_file(found.path) as stream:
        try:
            for number, raw in enumerate(split_lines(stream), 1):
                bom = bom or (number == 1 and raw.startswith(BOM_UTF8))
                if raw.endswith((b"\r", b"\r\n")):
                    (windows if raw.endswith(b"\n") else old_mac).append(number)
                if raw.rstrip(b"\r\n").endswith((b" ", b"\t")):
                    blanks.append(number)
        except OSError:
            pass  # reported as an error elsewhere
    if bom:
        yield "begins with a byte order mark"
    yield from (f"{what} {list_lines(numbers)}" for what, numbers in places.items() if numbers)
    if not raw.endswith((b"\n", b"\r")):
        yield "no line break at the end of the file"


def _sentence_remarks(found: Inspection) -> Iterator[str]:
    if found.documents:
        marks = {"conll": "-DOCSTART- lines", "conllu": "newdoc lines"}.get(found.format, "values of document")
        yield f"{found.documents:,} {marks}, taken as document boundaries"
    if found.sentences and not any(spans(sentence.tags) for sentence in found.sentences):
        yield "holds no entity; training on it alone, or deciding by it alone, is refused"
    elif found.sentences and found.scheme not in ("IOB2", "lenient"):
        yield f"tagged {found.scheme}, converted to IOB2"
    long = [sentence.line for sentence in found.sentences if len(sentence.words) > LONG_SENTENCE]
    if long:
        yield f"more than {LONG_SENTENCE} tokens in the sentence at {list_lines(long)}"
    ambiguous = _ambiguous(found.sentences)
    if ambiguous:
        shown = "; ".join(f"{word}: {', '.join(f'{a} {n}' for a, n in uses)}" for word, uses in ambiguous[:_SHOWN])
        yield f"{len(ambiguous):,} words occur under more than one label ({shown})"


def _ambiguous(sentences: Iterable[Sentence]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Words inside entities of different labels, with how often each; the most ambiguous first."""
    uses: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            label = split_tag(tag)[1]
            if label and word[:1].isalnum():
                uses[word][label] += 1
    several = [(word, counter.most_common()) for word, counter in uses.items() if len(counter) > 1]
    return sorted(several, key=lambda item: (-item[1][1][1], item[0]))


def _repeated(found: Inspection) -> Duplicates:
    """Sentences that occur again in the same file."""
    seen: dict[tuple[str, ...], Sentence] = {}
    pairs = []
    for sentence in _long_enough(found.sentences):
        before = seen.setdefault(sentence.words, sentence)
        if before is not sentence:
            pairs.append((before, sentence))
    return _duplicates(str(found.path), str(found.path), pairs)


def _shared(before: Inspection, after: Inspection) -> Duplicates:
    """Sentences of one file that occur in an earlier one."""
    seen: dict[tuple[str, ...], Sentence] = {}
    for sentence in _long_enough(before.sentences):
        seen.setdefault(sentence.words, sentence)
    pairs = [(seen[again.words], again) for again in _long_enough(after.sentences) if again.words in seen]
    return _duplicates(str(before.path), str(after.path), pairs)


def _long_enough(sentences: Iterable[Sentence]) -> Iterator[Sentence]:
    return (sentence for sentence in sentences if len(sentence.words) >= DUPLICATE_WORDS)


def _duplicates(before: str, after: str, pairs: Sequence[tuple[Sentence, Sentence]]) -> Duplicates:
    shown = ((Place(before, first.line), Place(after, again.line)) for first, again in pairs[:_SHOWN])
    return Duplicates(len(pairs), sum(first.tags != again.tags for first, again in pairs), tuple(shown))


def _unseen(found: Inspection, trained: Iterable[Inspection]) -> Unseen:
    known = {entity for corpus in trained for entity in _entities(corpus)}
    total = Counter(label for label, _ in _entities(found))
    new = Counter(label for label, words in _entities(found) if (label, words) not in known)
    by_label = {label: (new[label], total[label]) for label in sorted(total)}
    return Unseen(str(found.path), new.total(), total.total(), by_label)


def _entities(found: Inspection) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Label and words of every entity."""
    for sentence in found.sentences:
        for start, end, label in spans(sentence.tags):
            yield label, sentence.words[start:end]
