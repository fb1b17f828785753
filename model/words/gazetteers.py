"""What reference works say of a word by itself: its cluster, and the name lists (gazetteers) that hold it.

    clusters    a path in the tree of Brown clusters, ``Monday`` → ``0101011011``: words that stand among the same
                neighbours have long paths in common, so a short beginning of it is a coarse class and a long one a
                fine class (Brown et al., Computational Linguistics 18, 1992; as features: Miller et al., NAACL 2004)
    lists       the kinds of names a word is, or is part of, in a gazetteer: ``Paris`` → ``city first``

Both are functions of one word, and so free at serving time like all of its row.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import repeat

from fenestra.model.progress import Pause, no_pause, split_in_pieces


@dataclass(frozen=True, slots=True)
class Gazetteers:
    """Words, and what is known of each. A word is looked up as it is written, in small letters, and capitalised."""

    clusters: Mapping[str, str] = field(default_factory=dict)
    """Word → path, of ``0`` and ``1``."""
    lists: Mapping[str, str] = field(default_factory=dict)
    """Word → kinds of names, in alphabetical order, a space between."""

    def fields(self, word: str, prefixes: Iterable[int]) -> dict[str, str]:
        """Values of a word by field name; empty where nothing is known of it.

        >>> Gazetteers({"monday": "0101"}, {"Paris": "city first"}).fields("PARIS", (2, 4))
        {'cluster2': '', 'cluster4': '', 'lists': 'city first'}
        """
        path = _find(self.clusters, word)
        return {f"cluster{size}": path[:size] for size in prefixes} | {"lists": _find(self.lists, word)}


NO_GAZETTEERS = Gazetteers()
"""For a model that knows words by their letters and vectors only."""


def _find(known: Mapping[str, str], word: str) -> str:
    """What is known of a word, or of it in other letters."""
    if not known:
        return ""
    return known.get(word) or known.get(word.lower()) or known.get(word.title(), "")


def to_lines(known: Mapping[str, str]) -> str:
    """Write values with all of their words: ``value<TAB>word<TAB>word…`` a line.

    >>> print(to_lines({"Monday": "0101", "Paris": "0011", "Tuesday": "0101"}).expandtabs(8), end="")
    0011    Paris
    0101    Monday  Tuesday
    """
    words: dict[str, list[str]] = {}
    for word, value in known.items():
        words.setdefault(value, []).append(word)
    return "".join("\t".join([value, *words[value]]) + "\n" for value in sorted(words))


def from_lines(text: str, pause: Pause = no_pause) -> dict[str, str]:
    """Read what :func:`to_lines` wrote; ``pause`` is called after every piece of it.

    Raises:
        ValueError: a line has no word, or a word comes twice; or the last line has no end.
    """
    known: dict[str, str] = {}
    number = begin = 0
    while begin < len(text):
        number += 1
        end = text.find("\n", begin)
        if end < 0:
            raise ValueError(f"line {number}: has no end")
        tab = text.find("\t", begin, end)
        if tab <= begin:
            raise ValueError(f"line {number}: expected a value and words, with tabs between")
        value = text[begin:tab]
        for words in split_in_pieces(text, "\t", tab + 1, end):
            if not all(words):
                raise ValueError(f"line {number}: expected a value and words, with tabs between")
            before = len(known)
            known.update(zip(words, repeat(value), strict=False))
            if len(known) != before + len(words):
                raise ValueError(f"line {number}: lists a word twice")
            pause()
        begin = end + 1
    return known
