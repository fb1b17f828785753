"""Tagged texts as lines of a file.

jsonl   one object a line: what came in, and `entities` as in the answers of the service
conll   token<TAB>IOB2 tag, a blank line after each sentence
"""

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from fenestra.cli.bulk.reading import Item
from fenestra.model.errors import DataError, InputError
from fenestra.model.results import Entity, Result, TaggedToken
from fenestra.model.suggest import did_you_mean
from fenestra.model.tags import OUTSIDE
from fenestra.model.text.language import Language
from fenestra.model.text.sentences import sentence_lengths
from fenestra.model.text.tokens import Token
from fenestra.training.data.conll import DOCSTART, iter_conll_words, write_conll

_READ_OTHERWISE = re.compile(rf"[\s\0#\ufeff]|{re.escape(DOCSTART)}")  # what a reader of CoNLL files may take for more
_SHORT_SENTENCE = 10_000  # characters; a longer one may hold a word that is too long for a line
_SHORT_WORD = 64  # characters; of longer words nothing is remembered


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entities are wanted: as the fields `labels` and `min_score` of the service."""

    labels: frozenset[str] | None = None
    """Of these labels only; None is all."""
    min_score: float = 0.0
    """Of at least this score, in [0, 1]."""

    def __call__(self, entity: Entity) -> bool:
        """Whether an entity is wanted."""
        return entity.score >= self.min_score and (self.labels is None or entity.label in self.labels)

    def check(self, known: Sequence[str]) -> None:
        """Refuse labels that a model does not have: an empty result would look like an answer.

        Raises:
            InputError: names one, and the labels that there are.
        """
        if unknown := sorted((self.labels or frozenset()).difference(known)):
            hint = did_you_mean(unknown[0], known)
            raise InputError(f"--labels: {unknown[0]!r} is unknown to this model; it knows {', '.join(known)}{hint}")


class CannotHold(Exception):
    """A word would be read back as something else. Says which."""


def json_lines(item: Item, found: Sequence[Result], key: str, wanted: Wanted) -> str:
    """What came in, and the entities; the marks of documents in a CoNLL file are no texts."""
    if item.content == [[DOCSTART]] and not item.record:
        return ""
    lines = []
    for place, result in enumerate(found):
        record = item.record or {"tokens": item.content[place]}
        entities = [
            {"start": start, "end": end, "label": label, "text": text, "score": round(score, 6)}
            for start, end, label, text, score in filter(wanted, result)
        ]
        lines.append(json.dumps({**record, key: entities}, ensure_ascii=False) + "\n")
    return "".join(lines)


def conll_lines(item: Item, found: Sequence[Result], wanted: Wanted, of: Language) -> str:
    """One token a line; a text falls into the sentences that the tagger saw in it.

    Raises:
        CannotHold: a word of a text or of an object would be read back as something else.
    """
    written = io.StringIO(newline="")
    for result in found:
        unwanted = [entity for entity in result if not wanted(entity)]
        for tokens in _sentences(item, result, of):
            words = [token.text for token in tokens]
            if item.record:  # what was read from a CoNLL file can be written to one
                _check_words(words)
            write_conll(written, [words], [_tags(tokens, unwanted)])
    return written.getvalue()


def _tags(tokens: Sequence[TaggedToken], unwanted: Sequence[Entity]) -> list[str]:
    """The tags of tokens, and O for those of some entities."""
    dropped = {start for entity in unwanted for start in range(entity.start, entity.end)}
    return [OUTSIDE if token.start in dropped else token.tag for token in tokens]


def _check_words(words: Sequence[str]) -> None:
    """Refuse words that would be read back as something else; raises CannotHold."""
    together = "".join(words)
    if len(together) < _SHORT_SENTENCE and not _READ_OTHERWISE.search(together):  # as nearly all sentences
        return
    for word in words:
        if any(character in word for character in "\t\r\n"):
            raise CannotHold("a word holds a tab or a line break, which conll output cannot")
        if not (_is_read_back(word) if len(word) <= _SHORT_WORD else _is_read_back.__wrapped__(word)):
            raise CannotHold(f"{word[:40]!r} would not be read back as this word from conll output")


@lru_cache(1 << 14)
def _is_read_back(word: str) -> bool:
    """Whether the reader of CoNLL files gives a word as it was written, wherever it stands."""
    words = [word, "x", word]
    written = io.StringIO(newline="")
    write_conll(written, [words], [[OUTSIDE] * len(words)])
    try:
        return list(iter_conll_words(io.BytesIO(written.getvalue().encode()), "")) == [words]
    except DataError:
        return False


def _sentences(item: Item, result: Result, of: Language) -> Iterator[Sequence[TaggedToken]]:
    """The tokens of a result, sentence by sentence as the tagger parted them; none of them is empty."""
    tokens = result.tokens
    if isinstance(item.content, str):
        lengths = sentence_lengths(item.content, [Token(token.text, token.start, token.end) for token in tokens], of)
    else:
        lengths = [len(tokens)] if tokens else []
    for length, end in zip(lengths, accumulate(lengths), strict=True):
        yield tokens[end - length : end]
