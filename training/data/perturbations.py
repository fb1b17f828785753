"""Perturbed copies of a text, to train on and to measure robustness: text as it is written outside of edited sources.

    as it is        Ada   Lovelace   met   Siemens   ,   in   Berlin   .
    lower           ada   lovelace   met   siemens   ,   in   berlin   .
    upper           ADA   LOVELACE   MET   SIEMENS   ,   IN   BERLIN   .
    typos           Ada   Lovelaec   met   Siemens   ,   in   Berlin   .
    unpunctuated    Ada   Lovelace   met   Siemens       in   Berlin
    alone           as it is, without the rest of its document

Each is a function of a sentence that keeps its entities and their labels. A measurement applies one to a corpus
(:func:`vary`); training may apply them to a share of the sentences.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from types import MappingProxyType

from fenestra.model.tags import OUTSIDE
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.packed import PackedSentences, pack_sentences

SEED = 1
"""Seed of the typing errors in measurements, so that all models are measured on the same text."""
TYPO_SHARE = 0.1
"""Share of the words that are long enough that get a typing error."""
ALONE = "alone"
DESCRIPTION = (
    "In lower all words are in small letters, in upper in capitals; typos has one typing error in each of "
    f"{TYPO_SHARE:.0%} of the words of four letters or more; unpunctuated lacks the tokens outside of entities that "
    "have no letter or digit; alone is every sentence by itself, as if it were posted so."
)
"""What the variants are, for readers of their figures."""

_BY_WORD: Mapping[str, Callable[[str], str]] = MappingProxyType({"lower": str.lower, "upper": str.upper})
_SHORTEST = 4  # letters of a word that may get one: a shorter word may become another word
_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each half a key further to the right than the one above


def lower(sentence: Sentence) -> Sentence:
    """All words in small letters, as in chats and searches. A word may become longer, and never empty."""
    return sentence._replace(words=tuple(word.lower() for word in sentence.words))


def upper(sentence: Sentence) -> Sentence:
    """All words in capital letters, as in headlines and forms. A word may become longer (``ß`` → ``SS``)."""
    return sentence._replace(words=tuple(word.upper() for word in sentence.words))


def typos(sentence: Sentence, rng: Random, share: float = TYPO_SHARE) -> Sentence:
    """Put one typing error each into some of the words of four letters or more.

    Args:
        sentence: what to write.
        rng: decides which words, and which errors (:func:`mistyped`).
        share: of the words that are long enough, in [0, 1]: the probability of each to get an error.
    """
    return sentence._replace(
        words=tuple(
            mistyped(word, rng) if sum(map(str.isalpha, word)) >= _SHORTEST and rng.random() < share else word
            for word in sentence.words
        )
    )


def unpunctuated(sentence: Sentence) -> Sentence | None:
    """Leave out tokens without a letter or digit, as hurried writers do; inside an entity they stay.

    Returns:
        None if nothing is left.
    """
    kept = [
        (word, tag)
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
        if tag != OUTSIDE or any(map(str.isalnum, word))
    ]
    if not kept:
        return None
    words, tags = zip(*kept, strict=True)  # IOB2 opens every entity with B, so neighbouring entities stay apart
    return sentence._replace(words=words, tags=tags)


def mistyped(word: str, rng: Random) -> str:
    """Type a word with one error: two neighbours swapped, a letter lost, doubled, or the key beside it hit.

    All four are equally likely where they are possible, and so is each place in the word; only letters take part.
    A letter keeps its case. The result differs from the word, unless the word has no letter.

    Source: the four kinds of Damerau, Communications of the ACM 7 (1964), 171–176, with insertion as doubling.
    """
    letters = [place for place, character in enumerate(word) if character.isalpha()]
    swaps = [place for place in letters if place + 1 in letters and word[place] != word[place + 1]]
    keys = [place for place in letters if word[place].lower() in _NEIGHBOURS]
    possible: list[tuple[Callable[[str, int, Random], str], list[int]]] = [
        (_swap, swaps), (_lose, letters if len(word) > 1 else []), (_double, letters), (_hit_beside, keys)
    ]  # fmt: skip
    possible = [(change, places) for change, places in possible if places]
    if not possible:
        return word
    change, places = rng.choice(possible)
    return change(word, rng.choice(places), rng)


def vary(name: str, sentences: Iterable[Sentence], seed: int = SEED) -> list[Sentence]:
    """Apply one of :data:`VARIANTS` to a corpus; sentences of which nothing is left are dropped.

    Args:
        name: of the variant.
        sentences: of the corpus.
        seed: of the random choices; the same seed and sentences give the same text.

    Raises:
        KeyError: there is no such variant.
    """
    return list(varied(name, sentences, seed))


def varied(name: str, sentences: Iterable[Sentence], seed: int = SEED) -> Iterator[Sentence]:
    """As :func:`vary`, one sentence at a time."""
    change, rng = VARIANTS[name], Random(seed)
    found = (kept for sentence in sentences if (kept := change(sentence, rng)) is not None)
    yield from isolated_one_by_one(found) if name == ALONE else found


def packed_variant(name: str, sentences: PackedSentences, seed: int) -> PackedSentences:
    """As :func:`vary`, packed; what changes word by word is changed in the list of distinct words."""
    change = _BY_WORD.get(name)
    return sentences.in_words(change) if change else pack_sentences(varied(name, sentences, seed))


def isolated(sentences: Iterable[Sentence]) -> list[Sentence]:
    """The same sentences, each a document of its own."""
    return list(isolated_one_by_one(sentences))


def isolated_one_by_one(sentences: Iterable[Sentence]) -> Iterator[Sentence]:
    """As :func:`isolated`, one sentence at a time."""
    return (sentence._replace(document=-1 - number) for number, sentence in enumerate(sentences))


VARIANTS: Mapping[str, Callable[[Sentence, Random], Sentence | None]] = MappingProxyType(
    {
        "lower": lambda sentence, _rng: lower(sentence),
        "upper": lambda sentence, _rng: upper(sentence),
        "typos": typos,
        "unpunctuated": lambda sentence, _rng: unpunctuated(sentence),
        ALONE: lambda sentence, _rng: sentence,
    }
)
"""All perturbations by name."""


def _swap(word: str, place: int, _rng: Random) -> str:
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _lose(word: str, place: int, _rng: Random) -> str:
    return word[:place] + word[place + 1 :]


def _double(word: str, place: int, _rng: Random) -> str:
    return word[: place + 1] + word[place:]


def _hit_beside(word: str, place: int, rng: Random) -> str:
    letter = word[place]
    hit = rng.choice(_NEIGHBOURS[letter.lower()])
    return word[:place] + (hit.upper() if letter.isupper() else hit) + word[place + 1 :]


def _neighbours() -> dict[str, str]:
    """The keys around each letter of an American keyboard, in alphabetical order."""
    where = {key: (x + y / 2, y) for y, row in enumerate(_KEY_ROWS) for x, key in enumerate(row)}
    return {
        key: "".join(
            sorted(other for other, (u, v) in where.items() if other != key and abs(u - x) <= 1 and abs(v - y) <= 1)
        )
        for key, (x, y) in where.items()
    }


_NEIGHBOURS = _neighbours()
