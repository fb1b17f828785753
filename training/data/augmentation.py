"""Sentences that are learnt from once more, in a writing that the corpus has too little of.

    as it is     Ada   Lovelace          met   Siemens   in   Berlin   .
    initials     A.    K.   Lovelace     met   Siemens   in   Berlin   .        or   Lovelace   A.   K.   met …
    foreign      Ada   Lovelace          の町   Siemens   駅   Berlin   。
    bare         Ada   Lovelace          or   Siemens   or   Berlin

A copy keeps its entities, or the one that it is, and their labels, and is a document of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from random import Random

from fenestra.model.tags import OUTSIDE
from fenestra.model.text.language import Language
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import Span, spans, write_tags

_PERSONS = ("per", "pers", "person")
_LETTERS = "的一是不了人我在有他这中大来上国个到说们のにはをたがでてとしれさアイウエオカキクケコกขคงจชดตทนบปพมรลวสหอ"
_SIGNS = {".": "。", ",": "、", "!": "！", "?": "？", ":": "：", ";": "；", "(": "（", ")": "）"}
_LONGEST = 4  # letters of a made-up word
_SECOND = 0.6  # share of the persons with two initials
_BEFORE = 0.5  # share of those whose initials stand before the last name

Change = Callable[[Sentence, Random], Sentence | None]


def person_label(labels: Iterable[str]) -> str | None:
    """The label of persons, by its usual names; None if there is none.

    >>> person_label(["LOC", "PER"]), person_label(["Disease"])
    ('PER', None)
    """
    return next((label for label in labels if label.lower() in _PERSONS), None)


def augmented(sentences: Sequence[Sentence], share: float, change: Change, rng: Random) -> list[Sentence]:
    """Changed copies of a share of the sentences, in [0, 1]; those that a change does not fit are passed over."""
    chosen = (sentence for sentence in sentences if share and rng.random() < share)
    return [copy for sentence in chosen if (copy := change(sentence, rng)) is not None]


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


def _is_name(word: str) -> bool:
    """Whether a word is written as the name of a person is."""
    return len(word) > 2 and word.isalpha() and word.istitle()


def _initial(word: str) -> str:
    """The first letter of a word as an initial; its like where a word has none."""
    letter = word[0].upper()
    return letter if letter.isalpha() and len(letter) == 1 else "A"
