"""Text that keeps a model from forgetting while it learns from few corrections: it is taught what it says of it itself.

Whatever its sentences mean, they show the network windows of all kinds (rehearsal: Robins, Connection Science 7, 1995).
A file of the user's own is best. Besides, and without one, there is what comes along for a language:

    short texts     made of the patterns of configs/contexts/LANGUAGE.txt and of the model's own name lists
    sample          the sentences of data/sample, written for this project; English
    variants        of both: half of the words are others of their Brown clusters, if the model has these. They are
                    seldom sense, but have the same neighbours: ``The lawyer called Ito`` → ``The nurse urged Abe``
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from random import Random
from typing import NamedTuple

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.tags import OUTSIDE
from fenestra.model.text.canonical import canonical
from fenestra.training.config import DataConfig
from fenestra.training.data.contexts import Contexts
from fenestra.training.data.corpus import read_corpus
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.names import Names
from fenestra.training.data.unlabelled import read_unlabelled

MOST_TOKENS, MOST_ASKED = 120_000, 20_000
"""Of what is replayed, and of what is asked, so that learning takes seconds."""
_ROOT = Path(__file__).resolve().parents[1]
_SAMPLE = _ROOT.parent / "data" / "sample"
_SAMPLE_LANGUAGE = "en"
_SAMPLE_LEARNT, _SAMPLE_ASKED = ("train",), ("dev", "test")
_ASKED = 8  # every eighth sentence, where there is no text apart
_CONTEXTS = {"en": "english.txt", "ru": "russian.txt"}
_MADE, _VARIED = 4_000, 6_000  # short texts, and variants
_MADE_ALONE = 12_000  # short texts where there are no variants
_SWAPPED = 0.5  # share of the words of a variant that are others


class Replay(NamedTuple):
    """Sentences with every tag O, each a document of its own."""

    learnt: list[Sentence]
    """To learn from."""
    asked: list[Sentence]
    """To tell what was forgotten: as unlike the others as can be had."""
    written: bool
    """Whether people wrote some of it, and not all is made up."""


def replay(start: Checkpoint, file: Path | None, rng: Random) -> Replay:
    """Text to replay; none if nothing fits the model.

    Args:
        start: the model that is to learn.
        file: of the user: a text a line (``.txt``), or a corpus, whose tags are not looked at.
        rng: draws.

    Raises:
        DataError: the file cannot be read, or holds no text.
    """
    own, made = _own(start, file) if file else [], _made(start, rng)
    rng.shuffle(own)
    asked = own[::_ASKED] or _sample(start, _SAMPLE_ASKED) or made[::_ASKED]
    known = {sentence.words for sentence in asked}
    coming_along = [s for s in _sample(start, _SAMPLE_LEARNT) + made if s.words not in known]
    others = coming_along + list(_varied(coming_along, start.lexicon.gazetteers.clusters, rng))
    rng.shuffle(others)
    learnt = [sentence for sentence in own if sentence.words not in known] + others
    written = bool(own or _sample(start, _SAMPLE_LEARNT))
    return Replay(_apart(_first(learnt, MOST_TOKENS)), _apart(_first(asked, MOST_ASKED)), written)


def name_lists(start: Checkpoint) -> dict[str, list[str]]:
    """The names of one word that a model knows from lists, by kind."""
    lists: dict[str, list[str]] = {}
    for word, kinds in start.lexicon.gazetteers.lists.items():
        for kind in kinds.split():
            lists.setdefault(kind, []).append(word)
    return lists


def _own(start: Checkpoint, file: Path) -> list[Sentence]:
    data = DataConfig(train=(str(file),), dev=(str(file),), language=start.lexicon.language.code)
    return list(read_unlabelled([str(file.absolute())], data).sentences)


def _sample(start: Checkpoint, splits: Sequence[str]) -> list[Sentence]:
    """The sentences that come along, of a model of their language."""
    if start.lexicon.language.code != _SAMPLE_LANGUAGE:
        return []
    corpora = [read_corpus(_SAMPLE / f"{split}.conll").canonical() for split in splits]
    return [_untagged(sentence) for corpus in corpora for sentence in corpus.sentences]


def _made(start: Checkpoint, rng: Random) -> list[Sentence]:
    """Short texts, for a model that has the labels and the lists that their patterns name."""
    name, labels, lists = _CONTEXTS.get(start.lexicon.language.code), start.config.labels, name_lists(start)
    path = _ROOT / "configs" / "contexts" / (name or "")
    if name is None or not {"LOC", "ORG", "PER"} <= set(labels) or not Contexts.kinds(path) <= lists.keys():
        return []
    contexts = Contexts.read(path, labels, lists)
    names = Names.collect((), (), lists, labels, 1.0)
    count = _MADE if start.lexicon.gazetteers.clusters else _MADE_ALONE
    made = (contexts.make(names, rng) for _ in range(count))
    return [_untagged(s._replace(words=tuple(map(canonical, s.words)))) for s in made if s.words]


def _varied(sentences: Sequence[Sentence], clusters: Mapping[str, str], rng: Random) -> Iterator[Sentence]:
    """Sentences in which words are others of their clusters; of the frequent ones, which stand first, rather."""
    if not clusters or not sentences:
        return
    by_path = sorted(clusters, key=clusters.__getitem__)
    members = {path: list(words) for path, words in groupby(by_path, key=clusters.__getitem__)}

    def swap(word: str) -> str:
        path = clusters.get(word)
        if path is None or rng.random() >= _SWAPPED:
            return word
        words = members[path]
        return words[int((len(words) + 1) ** rng.random()) - 1]

    for _ in range(_VARIED):
        sentence = rng.choice(sentences)
        yield sentence._replace(words=tuple(map(swap, sentence.words)))


def _untagged(sentence: Sentence) -> Sentence:
    return sentence._replace(tags=(OUTSIDE,) * len(sentence.words))


def _apart(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The same, each a document of its own."""
    return [sentence._replace(document=number) for number, sentence in enumerate(sentences)]


def _first(sentences: Sequence[Sentence], most: int) -> list[Sentence]:
    """The first sentences, with so many tokens together at most."""
    kept, tokens = [], 0
    for sentence in sentences:
        tokens += len(sentence.words)
        if tokens > most:
            break
        kept.append(sentence)
    return kept
