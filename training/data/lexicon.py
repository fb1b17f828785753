"""The lexicon of a corpus: what of it a model knows by name."""

from collections import Counter
from collections.abc import Iterable, Sequence

from fenestra.model.config import FeatureConfig
from fenestra.model.text.language import Language
from fenestra.model.words.gazetteers import NO_GAZETTEERS, Gazetteers
from fenestra.model.words.lexicon import Lexicon, field_values

_PHONE_DIGITS = 7


def build_lexicon(
    features: FeatureConfig,
    vector_words: Sequence[str],
    corpus: Iterable[str],
    min_count: int,
    gazetteers: Gazetteers = NO_GAZETTEERS,
    of: Language | None = None,
) -> Lexicon:
    """Number the vectors' words, and the feature values that occur at least ``min_count`` times in a corpus.

    The corpus is of canonical words, or says how often each comes. Its texts are of the language ``of``, English when
    omitted.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in features.widths()}
    for word, count in Counter(corpus).items():
        values = field_values(word, features, gazetteers)
        for name, counter in counts.items():
            counter[values[name]] += count
    known = {
        name: [value for value in sorted(counter) if counter[value] >= min_count] for name, counter in counts.items()
    }
    return Lexicon.of(features, vector_words, known, gazetteers, of)


def is_contact(word: str) -> bool:
    """Whether a word could be how to reach somebody: a mail or web address, a telephone or account number.

    >>> [is_contact(word) for word in ("ada@x.org", "www.x.org", "713-555-3989", "Ada", "1996")]
    [True, True, True, False, False]
    """
    return "@" in word[1:] or "://" in word or word.startswith("www.") or sum(map(str.isdigit, word)) >= _PHONE_DIGITS
