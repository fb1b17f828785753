"""Annotated corpora: files of any format and scheme → sentences of words and IOB2 tags.

Every fault is found before a run starts and named by ``path:line``. ``training/data/formats/`` reads the files;
``training/data/schemes.py`` knows how tags write spans.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate, chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from fenestra.model.errors import ConfigError, DataError
from fenestra.model.suggest import did_you_mean
from fenestra.model.tags import OUTSIDE
from fenestra.model.text.canonical import canonical
from fenestra.training import sources
from fenestra.training.config import DataConfig, ReadingConfig, validated
from fenestra.training.data.alignment import tag_texts
from fenestra.training.data.conll import LONGEST_DOCUMENT
from fenestra.training.data.formats import FORMATS, detect_format
from fenestra.training.data.inspection import Inspection, Problem, Sentence, list_lines, list_problems
from fenestra.training.data.packed import PackedSentences, join_sentences, pack_sentences
from fenestra.training.data.raw_sentences import RawSentence
from fenestra.training.data.schemes import (
    FileScheme,
    detect_scheme,
    plain,
    read_spans,
    shown,
    transition_faults,
    with_advice,
)
from fenestra.training.data.slips import called_outside
from fenestra.training.data.spans import Span, spans, write_tags

_NO_NAMES: Mapping[str, str] = MappingProxyType({})
_READING = TypeAdapter(ReadingConfig)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences to learn from or to be measured on."""

    name: str
    sentences: Sequence[Sentence]
    sha256: str
    """Of the file as it is on disk; of the files' digests where there are several."""
    parts: tuple["Corpus", ...] = ()
    """The corpora that were joined to this one."""
    notes: tuple[str, ...] = ()
    """What was left out or changed in reading, each with the name of its file."""

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return sum(len(sentence.words) for sentence in self.sentences)

    def words(self) -> Iterator[str]:
        """Every token, in order."""
        return chain.from_iterable(sentence.words for sentence in self.sentences)

    def word_counts(self) -> Counter[str]:
        """How often each word comes, in the order of appearance."""
        return pack_sentences(self.sentences).word_counts()

    def canonical(self) -> "Corpus":
        """The same sentences in the words that a tagger looks up; see ``model/text/canonical.py``."""
        return replace(self, sentences=pack_sentences(self.sentences).in_words(canonical))

    def label_counts(self) -> dict[str, int]:
        """How many entities of each label there are; labels in alphabetical order."""
        counts = Counter(span.label for sentence in self.sentences for span in spans(sentence.tags))
        return dict(sorted(counts.items()))


def read_corpus(
    path: Path,
    *,
    labels: Collection[str] | None = None,
    rename: Mapping[str, str] = _NO_NAMES,
    drop_mentions: bool = False,
    **reading: Any,  # noqa: ANN401 - validated
) -> Corpus:
    """Read a corpus of any format; plain or compressed, UTF-8.

    Args:
        path: a file or folder.
        labels: the labels that may be left after renaming; None allows all.
        rename: label → label; ``O`` drops the label's entities.
        drop_mentions: leave out ``@name``, and ``@`` with the token after it. Entities shrink by what is left out.
        reading: fields of :class:`fenestra.training.config.ReadingConfig`. Where ``scheme`` is ``auto``, prefixes that
            only one scheme has decide; without them, a ``B-`` that does not directly follow its own label makes it IOB2
            (IOB1 writes ``B-`` only there), and anything else IOB1.

    Raises:
        DataError: the file cannot be read, or lines of it are malformed or tagged against the scheme: the first
            twenty, one ``path:line: what, and what was expected`` a line.
        ConfigError: a label is renamed to one that is not in ``labels``, or a field of ``reading`` is wrong.
    """
    found = inspect_corpus(path, labels=labels, rename=rename, **reading)
    if found.problems:
        raise DataError(list_problems([(str(path), problem) for problem in found.problems]))
    sentences = found.sentences
    if drop_mentions:
        sentences = pack_sentences(kept for sentence in sentences if (kept := _without_mentions(sentence)).words)
    notes = tuple(f"{path}: {note}" for note in found.notes)
    return Corpus(str(path), sentences, sha256_of(path), notes=notes)


def inspect_corpus(
    path: Path,
    *,
    labels: Collection[str] | None = None,
    rename: Mapping[str, str] = _NO_NAMES,
    **reading: Any,  # noqa: ANN401 - validated
) -> Inspection:
    """Read a file to its end even if it has errors; arguments as for :func:`read_corpus`.

    Raises:
        DataError: the file cannot be opened.
        ConfigError: as :func:`read_corpus`.
    """
    options = validated(_READING, reading, "data")
    _check_targets(rename, labels)
    found = Inspection(path, detect_format(path) if options.format == "auto" else options.format, options.language)
    FORMATS[found.format].read(found, options)
    tag_texts(found, options.misaligned)
    if not found.texts:  # whose tags we wrote
        whole = (sentence.tags for sentence in found.raw if not sentence.damaged)
        found.scheme = detect_scheme(whole) if options.scheme == "auto" else options.scheme
    unknown: dict[str, list[int]] = {}
    found.sentences = pack_sentences(_sound_sentences(found, rename, labels, unknown))
    if outside := unknown.pop(OUTSIDE, ()):
        found.notes.append(called_outside(OUTSIDE, len(outside)))
    found.problems += [_unknown_label(label, lines, labels or ()) for label, lines in unknown.items()]
    if not found.raw and not found.problems:
        expected = "; expected a word and its tag on each line" if found.format == "conll" else ""
        found.problem(0, f"holds no sentence{expected}")
    if found.scheme == "lenient":
        found.notes += _mended(found.raw)
    found.problems.sort(key=lambda problem: (problem.file, problem.line))
    return found


def _sound_sentences(
    found: Inspection, rename: Mapping[str, str], labels: Collection[str] | None, unknown: dict[str, list[int]]
) -> Iterator[Sentence]:
    """The sentences without a problem; notes the problems, and the lines of unknown labels."""
    broken = 0
    for sentence in found.raw:
        illegal = [] if sentence.damaged else list(transition_faults(sentence.tags, found.scheme))
        for position, message in illegal:
            found.problem(sentence.line_of(position), message if broken else with_advice(message))
            broken += 1
        named = _rename(sentence, found.scheme, rename, labels, unknown)
        if not sentence.damaged and not illegal:
            tags = tuple(write_tags(named, len(sentence.words)))
            yield Sentence(tuple(sentence.words), tags, sentence.document, sentence.line)


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
    reading = {field.name: getattr(data, field.name) for field in fields(ReadingConfig)}
    corpora = [
        read_corpus(
            find_corpus(name, Path(data.root)),
            labels=labels,
            rename=data.rename,
            drop_mentions=data.leaves_out_mentions(name),
            **reading,
        )
        for name in names
    ]
    return join_corpora(" + ".join(names), corpora)


def join_corpora(name: str, corpora: Sequence[Corpus]) -> Corpus:
    """Concatenate corpora; documents of different corpora keep different numbers."""
    parts: list[PackedSentences] = []
    documents = 0
    for corpus in corpora:
        part = pack_sentences(corpus.sentences)
        parts.append(replace(part, document_S=part.document_S + documents) if documents else part)
        documents = int(parts[-1].document_S[-1]) + 1 if len(part) else documents
    digests = [corpus.sha256 for corpus in corpora]
    sha256 = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    notes = tuple(chain.from_iterable(corpus.notes for corpus in corpora))
    return Corpus(name, join_sentences(parts), sha256, tuple(corpora), notes)


def documents_of(sentences: Sequence[Sentence]) -> list[list[tuple[str, ...]]]:
    """The words of a corpus by documents; a long document is split where ``fenestra tag`` splits it."""
    packed = pack_sentences(sentences)
    words = (sentence.words for sentence in packed)
    return [list(islice(words, count)) for count in sentences_of_documents(packed)]


def sentences_of_documents(sentences: PackedSentences) -> list[int]:
    """How many sentences each document has, of those that :func:`documents_of` makes."""
    documents: list[int] = []
    before, tokens = None, 0
    for document, length in zip(sentences.document_S.tolist(), sentences.length_S.tolist(), strict=True):
        if document != before or tokens > LONGEST_DOCUMENT:
            documents.append(0)
            before, tokens = document, 0
        documents[-1] += 1
        tokens += length
    return documents


def without_tags(corpus: Corpus) -> Corpus:
    """The same text with every tag O. Document numbers become negative, so that no other document has the same."""
    sentences = pack_sentences(corpus.sentences)
    outside = replace(sentences, tags=(OUTSIDE,) * len(sentences.tags), document_S=-1 - sentences.document_S)
    return Corpus(corpus.name, outside, corpus.sha256)


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
        files = sorted(file.stem for file in folder.glob("*.conll"))
        splits = ", ".join(files)
        raise DataError(f"{name}: no such split; expected one of {splits}{did_you_mean(split, files)}")
    return path


def _rename(
    sentence: RawSentence,
    scheme: FileScheme,
    rename: Mapping[str, str],
    labels: Collection[str] | None,
    unknown: dict[str, list[int]],
) -> list[Span]:
    """The spans of a sentence under their new labels; notes the lines of unknown labels, and of one called O."""
    named = []
    for start, end, label in read_spans(sentence.tags, scheme):
        target = rename.get(label, label)
        if target == OUTSIDE and label in rename:
            continue
        if target == OUTSIDE or (labels is not None and target not in labels):
            unknown.setdefault(label, []).append(sentence.line_of(start))
        if target != OUTSIDE:
            named.append(Span(start, end, target))
    return named


def _mended(raw: Iterable[RawSentence]) -> Iterator[str]:
    """How many tags of a file that is read leniently do not continue what they say they do."""
    lines = []
    for sentence in raw:
        tags = [plain(tag, "lenient") for tag in sentence.tags]
        scheme = detect_scheme([tags])
        lines += [sentence.line_of(at) for at, _ in transition_faults(tags, "IOB2" if scheme == "IOB1" else scheme)]
    if lines:
        yield f"tags of a broken sequence read as conlleval does: {list_lines(lines)}"


def _unknown_label(label: str, lines: Sequence[int], labels: Collection[str]) -> Problem:
    count = f"{len(lines):,} entit{'ies' if len(lines) > 1 else 'y'} of this label"
    return Problem(
        lines[0],
        f"unknown label {shown(label)} ({count}), expected {', '.join(sorted(labels))}{did_you_mean(label, labels)}; "
        "data.rename of a job, or evaluate --rename LABEL=O, leaves one out",
    )


def _check_targets(rename: Mapping[str, str], labels: Collection[str] | None) -> None:
    """Refuse a renaming that makes a label which the model does not have."""
    for label, target in rename.items():
        if labels is not None and target != OUTSIDE and target not in labels:
            known = f"{', '.join(sorted(labels))}{did_you_mean(target, labels)}"
            raise ConfigError(f"data.rename: {label} → {target}, expected O or one of {known}")


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


def sha256_of(path: Path) -> str:
    """Of a file; of the names and digests of its files, if it is a folder."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path).as_posix()} {sha256_of(file)}" for file in files]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
