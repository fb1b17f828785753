"""The most-frequent-tag baseline: every word gets the tag it most often had in training.

    training     Paris B-LOC, Paris B-LOC, Paris B-PER, the O
    test         the O   Paris B-LOC   Texas O             (never seen: O)

It uses no context and knows no unseen word, so its score shows how far memorising alone goes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fenestra.model.tags import OUTSIDE
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import convert


@dataclass(frozen=True, slots=True)
class Baseline:
    """Word, as it is written → its most frequent tag. Words whose tag is ``O`` are left out."""

    tags: Mapping[str, str]

    def predict(self, sentences: Iterable[Sequence[str]]) -> list[list[str]]:
        """Tag sentences of words; an ``I-X`` that continues nothing becomes ``B-X``, so the result is legal IOB2.

        >>> Baseline({"New": "B-LOC", "York": "I-LOC"}).predict([["New", "York"], ["in", "York"]])
        [['B-LOC', 'I-LOC'], ['O', 'B-LOC']]
        """
        return [convert([self.tags.get(word, OUTSIDE) for word in words], "IOB2") for words in sentences]


def fit(sentences: Iterable[Sentence]) -> Baseline:
    """Count the tags of every word; of equally frequent ones, the one that was seen first wins."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts[word][tag] += 1
    best = {word: count.most_common(1)[0][0] for word, count in counts.items()}
    return Baseline({word: tag for word, tag in best.items() if tag != OUTSIDE})
