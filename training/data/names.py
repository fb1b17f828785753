"""Names by label, to put in the place of others: those of the corpora, and those of name lists.

A name of the corpora is drawn as often as any other, however often the corpora have it, so that the rare ones come up;
it has to begin with a capital or a figure. Of lists, each kind is drawn as often. Where the best known come first, a
name is the likelier the further up it stands: as likely to be among the first √n as among the others of a list of n. Of
the other lists, half of the draws are names of one word: people say ``Siemens`` where lists say ``Siemens AG``, too. An
organisation that is called as people are by their first name (``Elon``, ``Leon``) is not drawn.
Persons are made of a first and a last name; some of them of one that is also a place's, as ``Paris Hilton``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Self

from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import spans

Name = tuple[str, ...]
"""The words of a name."""

_LABELS = {
    "person": ("per", "pers", "person"),
    "place": ("loc", "location", "place", "gpe"),
    "organisation": ("org", "organisation", "organization", "corporation", "company"),
}
"""The usual names of a label, in small letters."""
_KINDS = {"place": ("city", "country", "region"), "organisation": ("company", "brand")}
_BEST_KNOWN_FIRST = ("city", "first", "last")
_CITIES = 3_000  # places that most readers know: the first of the cities, all countries and regions
_ALIKE = 0.2  # share of the persons of lists with a first or a last name that is also one of these
_ALONE = 0.25  # share of the persons of lists that are a last name or a first name alone
_SHORT = 0.5  # share of the names of lists in no order that are of one word
_LEAST, _FIRM = 4, 0.9  # mentions at least, and share of a name's mentions in silver text that have the same label


def usual_label(of: str, labels: Iterable[str]) -> str | None:
    """The label of persons, places or organisations, by its usual names; None if there is none.

    >>> usual_label("person", ["LOC", "PER"]), usual_label("place", ["Disease"])
    ('PER', None)
    """
    return next((label for label in labels if label.lower() in _LABELS[of]), None)


@dataclass(frozen=True, slots=True)
class Names:
    """Names to draw from, by label."""

    mentions: Mapping[str, Sequence[Name]]
    """Of the corpora; each once."""
    lists: Mapping[str, Sequence[Name]]
    """Of each kind, the names, as its list has them."""
    short: Mapping[str, Sequence[Name]]
    """Those of one word."""
    alike: Mapping[str, Sequence[Name]]
    """First names, and last ones, that are also the name of a well-known place, in the order of their lists."""
    kinds: Mapping[str | None, Sequence[str]]
    """The kinds of each label that there are."""
    person: str | None
    """The label of persons, if there are lists of first and last names."""
    listed: float
    """Share of the names that are drawn from lists, where there are both."""

    @classmethod
    def collect(
        cls,
        gold: Iterable[Sentence],
        silver: Iterable[Sentence],
        phrases: Mapping[str, Sequence[str]],
        labels: Sequence[str],
        listed: float,
    ) -> Self:
        """Collect the names of corpora and lists.

        Args:
            gold: all of whose names count.
            silver: labelled by machine: names count that come four times or more, nearly always with the same label.
            phrases: kind of name → names, their words parted by spaces.
            labels: the labels of the model.
            listed: share of the names that are drawn from lists.
        """
        mentions: dict[str, dict[Name, None]] = {label: dict.fromkeys(_mentions(gold, label)) for label in labels}
        for label, name in _firm(silver):
            mentions.setdefault(label, {})[name] = None
        lists = {kind: tuple(tuple(name.split(" ")) for name in names) for kind, names in phrases.items() if names}
        first = frozenset(lists.get("first", ()))
        for kind in _KINDS["organisation"]:
            if others := tuple(name for name in lists.pop(kind, ()) if name not in first):
                lists[kind] = others
        short = {kind: tuple(name for name in names if len(name) == 1) for kind, names in lists.items()}
        places = {
            name for kind in _KINDS["place"] for name in lists.get(kind, ())[: _CITIES if kind == "city" else None]
        }
        alike = {kind: tuple(filter(places.__contains__, lists.get(kind, ()))) for kind in ("first", "last")}
        kinds = {usual_label(of, labels): [kind for kind in found if kind in lists] for of, found in _KINDS.items()}
        person = usual_label("person", labels) if {"first", "last"} <= lists.keys() else None
        return cls({label: tuple(of) for label, of in mentions.items()}, lists, short, alike, kinds, person, listed)

    def draw(self, label: str, rng: Random) -> Name | None:
        """A name with this label; None if there is none."""
        mentions, kinds = self.mentions.get(label, ()), self.kinds.get(label, ())
        if (kinds or label == self.person) and (not mentions or rng.random() < self.listed):
            return self._person(rng) if label == self.person else self.of(rng.choice(kinds), rng)
        return rng.choice(mentions) if mentions else None

    def _person(self, rng: Random) -> Name:
        draw = rng.random()
        if draw < _ALONE:
            return self.of("last" if draw < _ALONE / 2 else "first", rng)
        alike = rng.choice(("first", "last")) if rng.random() < _ALIKE else ""
        return tuple(
            word
            for kind in ("first", "last")
            for word in (
                _best_known(self.alike[kind], rng) if kind == alike and self.alike[kind] else self.of(kind, rng)
            )
        )

    def of(self, kind: str, rng: Random) -> Name:
        """A name of a kind of the lists."""
        names, short = self.lists[kind], self.short[kind]
        if kind in _BEST_KNOWN_FIRST:
            return _best_known(names, rng)
        return rng.choice(short if short and rng.random() < _SHORT else names)


def _best_known(names: Sequence[Name], rng: Random) -> Name:
    """A name of a list whose best known come first; log-uniform in its place."""
    return names[int((len(names) + 1) ** rng.random()) - 1]


def _mentions(sentences: Iterable[Sentence], label: str) -> Iterable[Name]:
    """The names with a label that begin with a capital or a figure, so that they can stand in any text."""
    found = (s.words[start:end] for s in sentences for start, end, of in spans(s.tags) if of == label)
    return (name for name in found if name[0][0].isupper() or name[0][0].isdigit())


def _firm(sentences: Iterable[Sentence]) -> Iterable[tuple[str, Name]]:
    """The names that come often and nearly always with the same label, and that label."""
    counts: dict[Name, Counter[str]] = {}
    for sentence in sentences:
        for start, end, label in spans(sentence.tags):
            counts.setdefault(sentence.words[start:end], Counter())[label] += 1
    for name, labels in counts.items():
        label, often = labels.most_common(1)[0]
        if often >= _LEAST and often >= _FIRM * labels.total() and name[0][0].isupper():
            yield label, name
