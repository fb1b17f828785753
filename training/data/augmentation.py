"""Sentences that are learnt from once more, in a writing that the corpus has too little of.

    as it is     Ada   Lovelace          met   Siemens   in   Berlin   .
    initials     A.    K.   Lovelace     met   Siemens   in   Berlin   .        or   Lovelace   A.   K.   met …
    foreign      Ada   Lovelace          の町   Siemens   駅   Berlin   。
    bare         Ada   Lovelace          or   Siemens   or   Berlin
    renamed      Kofi  Mensah   met   Nestlé   in   Oslo   .
    fragment     met   Siemens   in
    headline     Ada   Lovelace   Met   Siemens   in   Berlin

A copy keeps its entities, or the one that it is, and their labels, and is a document of its own. A renamed one has
other names of the same labels.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from random import Random

from fenestra.model.tags import OUTSIDE
from fenestra.model.text.language import Language
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.names import Names
from fenestra.training.data.packed import PackedSentences, pack_sentences
from fenestra.training.data.spans import Span, spans, write_tags

_LETTERS = "的一是不了人我在有他这中大来上国个到说们のにはをたがでてとしれさアイウエオカキクケコกขคงจชดตทนบปพมรลวสหอ"
_SIGNS = {".": "。", ",": "、", "!": "！", "?": "？", ":": "：", ";": "；", "(": "（", ")": "）"}
_LONGEST = 4  # letters of a made-up word
_SECOND = 0.6  # share of the persons with two initials
_BEFORE = 0.5  # share of those whose initials stand before the last name
_KEPT = 0.2  # share of the names of a renamed sentence that stay as they are
_ACRONYM = 5  # letters at most of a name that is in capitals because it is an acronym
_AROUND = 4  # words at most on each side of the name of a fragment
_CAPITALISED = 0.5  # share of the headlines that capitalise every word
_SMALL_WORDS = frozenset("a an and as at by for from in of on or over the to under with".split())
_LEFT_OUT = frozenset("a an the is are was were has have had be been".split())
_STOPS = frozenset(".!?,;:")

Change = Callable[[Sentence, Random], Sentence | None]


def augmented(sentences: Iterable[Sentence], share: float, change: Change, rng: Random) -> PackedSentences:
    """Changed copies of a share of the sentences; those that a change does not fit are passed over.

    A share above 1 makes several copies of a sentence, as different as the change makes them.
    """
    chosen = (
        sentence for sentence in sentences if share
        for _ in range(int(share) + (rng.random() < share % 1))
    )  # fmt: skip
    return pack_sentences(copy for sentence in chosen if (copy := change(sentence, rng)) is not None)


def with_initials(label: str, language: Language) -> Change:
    """Shorten the first names of persons of two words to initials, before the last name or behind it.

    The initials are tokens as the language has them: ``A.`` or ``A`` and ``.``.
    """

    def change(sentence: Sentence, rng: Random) -> Sentence | None:
        words: list[str] = []
        found: list[Span] = []
        end, changed = 0, False
        for span in spans(sentence.tags):
            words += sentence.words[end : span.start]
            name, end = list(sentence.words[span.start : span.end]), span.end
            if span.label == label and len(name) == 2 and all(map(_is_name, name)):
                letters = [_initial(name[0])]
                if rng.random() < _SECOND:
                    letters.append(_initial(rng.choice(sentence.words)))
                tokens = [[f"{letter}."] if language.keep_stops else [letter, "."] for letter in letters]
                short = list(chain.from_iterable(tokens))
                name, changed = [*short, name[1]] if rng.random() < _BEFORE else [name[1], *short], True
            found.append(Span(len(words), len(words) + len(name), span.label))
            words += name
        words += sentence.words[end:]
        return sentence._replace(words=tuple(words), tags=tuple(write_tags(found, len(words)))) if changed else None

    return change


def in_foreign_text(sentence: Sentence, rng: Random) -> Sentence | None:
    """Replace all that is outside of entities with made-up words of scripts that write without spaces."""
    if all(tag == OUTSIDE for tag in sentence.tags):
        return None
    words = (
        word if tag != OUTSIDE else _SIGNS.get(word, "".join(rng.choices(_LETTERS, k=rng.randint(1, _LONGEST))))
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
    )
    return sentence._replace(words=tuple(words))


def bare(sentence: Sentence, rng: Random) -> Sentence | None:
    """One of the entities and nothing else, as in the cell of a table."""
    found = spans(sentence.tags)
    if not found:
        return None
    start, end, label = rng.choice(found)
    tags = write_tags([Span(0, end - start, label)], end - start)
    return sentence._replace(words=sentence.words[start:end], tags=tuple(tags))


def renamed(names: Names) -> Change:
    """Put other names of the same label in the place of most names, in small letters or capitals where those are."""

    def change(sentence: Sentence, rng: Random) -> Sentence | None:
        words: list[str] = []
        found: list[Span] = []
        end, changed = 0, False
        for start, stop, label in spans(sentence.tags):
            words += sentence.words[end:start]
            name, end = sentence.words[start:stop], stop
            if rng.random() >= _KEPT and (other := names.draw(label, rng)):
                name, changed = _written_as(name, other), True
            found.append(Span(len(words), len(words) + len(name), label))
            words += name
        words += sentence.words[end:]
        return sentence._replace(words=tuple(words), tags=tuple(write_tags(found, len(words)))) if changed else None

    return change


def fragment(sentence: Sentence, rng: Random) -> Sentence | None:
    """One of the entities with up to four words on each side of it, without the stop at the end.

    Other entities are whole or not there; None if that is the whole sentence.
    """
    found = spans(sentence.tags)
    if not found:
        return None
    chosen = rng.choice(found)
    start = max(chosen.start - rng.randint(0, _AROUND), 0)
    end = min(chosen.end + rng.randint(0, _AROUND), len(sentence.words))
    start = next((span.start for span in found if span.start < start < span.end), start)
    end = next((span.end for span in found if span.start < end < span.end), end)
    while end > chosen.end and sentence.words[end - 1] in _STOPS:
        end -= 1
    while start < chosen.start and sentence.words[start] in _STOPS:
        start += 1
    if end - start == len(sentence.words):
        return None
    tags = write_tags(
        (Span(a - start, b - start, label) for a, b, label in found if start <= a and b <= end), end - start
    )
    return sentence._replace(words=sentence.words[start:end], tags=tuple(tags))


def headline(sentence: Sentence, rng: Random) -> Sentence | None:
    """Leave out articles, forms of to be and to have, and the stop at the end; capitalise every word, or leave it."""
    capitalised = rng.random() < _CAPITALISED
    last = len(sentence.words) - 1
    kept = [
        (word[:1].upper() + word[1:] if capitalised and tag == OUTSIDE and word not in _SMALL_WORDS else word, tag)
        for place, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True))
        if tag != OUTSIDE or not (word.lower() in _LEFT_OUT or (place == last and word in _STOPS))
    ]
    if all(tag == OUTSIDE for _, tag in kept):
        return None
    words, tags = zip(*kept, strict=True)
    return sentence._replace(words=words, tags=tags)


def _written_as(name: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """Another name, in small letters or in capitals if the first is."""
    text = " ".join(name)
    write = str.lower if text.islower() else str.upper if text.isupper() and len(text) > _ACRONYM else str
    return tuple(map(write, other))


def _is_name(word: str) -> bool:
    """Whether a word is written as the name of a person is."""
    return len(word) > 2 and word.isalpha() and word.istitle()


def _initial(word: str) -> str:
    """The first letter of a word as an initial; its like where a word has none."""
    letter = word[0].upper()
    return letter if letter.isalpha() and len(letter) == 1 else "A"
