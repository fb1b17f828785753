"""Character offsets and tokens: annotated texts → tagged sentences, and sentences → texts.

Tokens and sentences of a text are those of ``model/text``, so that training sees the words that serving sees, unless
the file brings its own. A span that begins or ends inside a token cannot be written as tags: it is counted, shown, and
widened, left out or refused.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

from fenestra.model.text.language import Language, language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import Token, tokenize
from fenestra.training.config import Misaligned
from fenestra.training.data.inspection import Annotation, Inspection, Sentence, Text
from fenestra.training.data.raw_sentences import RawSentence
from fenestra.training.data.schemes import WriteScheme, shown
from fenestra.training.data.spans import Span, spans, write_tags

_EXAMPLES = 3
_BETWEEN_SENTENCES = "\n\n"
"""Ends a sentence whatever stands around it (``model/text/sentences.py``)."""


@dataclass(slots=True)
class Misfits:
    """Spans that tags cannot write as they are: the text of each, and how to show it."""

    total: int = 0
    """All spans."""
    inside_tokens: list[tuple[Text, str]] = field(default_factory=list)
    """Those that do not fall on token borders."""
    blank: list[tuple[Text, str]] = field(default_factory=list)
    """Those without a token."""
    overlapping: list[tuple[Text, str]] = field(default_factory=list)
    """Those with a token of a longer span, or of an earlier one of the same length."""

    def notes(self, misaligned: Misaligned) -> Iterator[str]:
        """One remark for each kind that there is."""
        became = {"expand": "; tags widen them to whole tokens", "drop": "; tags leave them out", "refuse": ""}
        for found, what, then in (
            (self.inside_tokens, "do not fall on token borders", became[misaligned]),
            (self.blank, "hold nothing but blanks", "; tags leave them out"),
            (self.overlapping, "overlap a longer span", "; tags leave them out"),
        ):
            if found:
                examples = "; ".join(f"{place_of(text)}: {quoted}" for text, quoted in found[:_EXAMPLES])
                more = "; …" if len(found) > _EXAMPLES else ""
                yield f"spans that {what}: {len(found):,} of {self.total:,}{then} ({examples}{more})"


def tag_texts(found: Inspection, misaligned: Misaligned) -> None:
    """Make tagged sentences of the texts that were read; a text is a document."""
    misfits = Misfits()
    for text in found.texts:
        text.language = found.language
        document = len(found.raw)
        for words, tags, _ in tagged_sentences(text, misaligned, misfits):
            found.raw.append(RawSentence(document, text.line, words, tags))
    found.notes += misfits.notes(misaligned)
    if misaligned == "refuse":
        for text, quoted in misfits.inside_tokens:
            found.problem(text.line, f"{quoted}: does not fall on token borders", text.file)


class TaggedSentence(NamedTuple):
    """A sentence of a text."""

    words: list[str]
    tags: list[str]
    """In IOB2."""
    spaces: list[bool]
    """Whether something stands between each word and the next; true of the last."""


@dataclass(frozen=True, slots=True)
class Output:
    """What is to be written."""

    texts: Sequence[Text]
    documents: Sequence[Sequence[TaggedSentence]] = ()
    """The sentences of each text, for formats of tokens."""
    scheme: WriteScheme = "IOB2"
    """For formats of tags."""

    @property
    def marked(self) -> bool:
        """Whether documents have to be marked: one of them has several sentences."""
        return any(len(document) > 1 for document in self.documents)


def tagged_sentences(text: Text, misaligned: Misaligned, misfits: Misfits) -> Iterator[TaggedSentence]:
    """The sentences of a text with their tags; a sentence does not end inside a span."""
    sentences = tokens_of(text)
    tokens = [token for sentence in sentences for token in sentence]
    tags = write_tags(_token_spans(text, tokens, misaligned, misfits), len(tokens))
    begin = 0
    for end in accumulate(map(len, sentences)):
        if end > begin and not (end < len(tags) and tags[end].startswith("I-")):
            part = tokens[begin:end]
            spaces = [*(before.end < after.start for before, after in pairwise(part)), True]
            yield TaggedSentence([token.text for token in part], tags[begin:end], spaces)
            begin = end


def tokens_of(text: Text) -> list[list[Token]]:
    """The tokens of a text by sentences: those of its file, or of the tokenizer."""
    if text.sentences is not None:
        return text.sentences
    of = language(text.language)
    return split_sentences(text.text, tokenize(text.text, of), of)


def split_sentences(text: str, tokens: list[Token], of: Language) -> list[list[Token]]:
    """The tokens of a text in a language by sentences."""
    lengths = sentence_lengths(text, tokens, of)
    return [tokens[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True)]


def text_of(sentences: Sequence[Sentence], raw: Sequence[RawSentence]) -> Text:
    """The sentences of a document as one text: words parted by spaces, sentences by an empty line.

    Args:
        sentences: of one document.
        raw: the same as the file had them; where they say what has no space behind it, there is none.
    """
    parts: list[str] = []
    tokens: list[list[Token]] = []
    annotations: list[Annotation] = []
    offset = 0
    for sentence, source in zip(sentences, raw, strict=True):
        spaces = source.spaces or [True] * len(sentence.words)
        placed: list[Token] = []
        for word, space in zip(sentence.words, spaces, strict=True):
            placed.append(Token(word, offset, offset + len(word)))
            parts.append(f"{word} " if space else word)
            offset += len(parts[-1])
        if spaces[-1]:  # none at the end
            parts[-1] = sentence.words[-1]
            offset -= 1
        annotations += [
            Annotation(placed[start].start, placed[end - 1].end, label) for start, end, label in spans(sentence.tags)
        ]
        tokens.append(placed)
        parts.append(_BETWEEN_SENTENCES)
        offset += len(_BETWEEN_SENTENCES)
    return Text("".join(parts[:-1]), annotations, sentences[0].line, "", tokens)


def _token_spans(text: Text, tokens: Sequence[Token], misaligned: Misaligned, misfits: Misfits) -> list[Span]:
    """The spans as tokens, without overlap; longer ones choose their tokens first."""
    starts, ends = [token.start for token in tokens], [token.end for token in tokens]
    taken = bytearray(len(tokens))
    kept: list[Span] = []
    for start, end, label in sorted(text.annotations, key=lambda span: (span.start - span.end, span.start)):
        misfits.total += 1
        start, end = trimmed(text.text, start, end)
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        quoted = f"{label} {shown(text.text[start:end])}"
        if first >= last:
            misfits.blank.append((text, quoted))
            continue
        if (starts[first], ends[last - 1]) != (start, end):
            misfits.inside_tokens.append((text, f"{quoted} in {shown(text.text[starts[first] : ends[last - 1]])}"))
            if misaligned != "expand":
                continue
        if any(taken[first:last]):
            misfits.overlapping.append((text, quoted))
            continue
        taken[first:last] = b"\x01" * (last - first)
        kept.append(Span(first, last, label))
    return kept


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The same part of a text without the blanks at its ends; unchanged where it is nothing but blanks."""
    piece = text[start:end]
    if not piece.strip():
        return start, end
    return end - len(piece.lstrip()), start + len(piece.rstrip())


def place_of(text: Text) -> str:
    """Where a text stands, as remarks name it."""
    return f"{text.file}:{text.line}" if text.file else f"line {text.line}"
