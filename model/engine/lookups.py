"""All that a model knows by name, in one table that the kernel looks words up in.

The same as :class:`fenestra.model.words.lexicon.Lexicon`, of plain words (``model/text/plain.py``). It is made when a
model is loaded, in some hundredths of a second; nothing writes to it afterwards, so forked processes share it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenestra.model.engine.library import DECLARED, Array, Kernel, Structure
from fenestra.model.text.plain import ODD, characters
from fenestra.model.text.sentences import roles
from fenestra.model.words.lexicon import UNKNOWN, Lexicon

_CONSTANTS = DECLARED.constants
_FIELD = _CONSTANTS["STRING_FIELD"]
_MOST_FIELDS, _MOST_GRAM_KINDS = 64, 16  # as in words.c
_AFFIX = re.compile(r"(prefix|suffix|cluster)(\d+)")
_PARTICLE = re.compile(r"'[^\W\d_]+|[^\W\d_]+'[^\W\d_]+")  # by itself, or as any word
_OVER = 8  # bytes behind the strings that the kernel may read


class Lookups(NamedTuple):
    """What the kernel's functions take."""

    how: Structure
    strings: Structure


class _Keys:
    """Strings of all kinds, on their way into a table."""

    def __init__(self) -> None:
        self.strings: list[Iterable[str]] = []
        self.values: list[Array] = []
        self.kinds: list[Array] = []

    def add(self, kind: int, keys: Iterable[str], values: Sequence[int] | Array) -> None:
        """Add strings of a kind with their values."""
        self.strings.append(keys)
        self.values.append(np.asarray(values, np.int32))
        self.kinds.append(np.full(len(values), kind, np.uint8))

    def index(self, kernel: Kernel) -> Structure:
        """The table. A string with a line break is left out: no plain word has one."""
        keys = list(chain.from_iterable(self.strings))
        kind, value = np.concatenate(self.kinds), np.concatenate(self.values)
        joined = np.frombuffer("\n".join(keys).encode("utf-8", "surrogatepass"), np.uint8)
        ends = np.flatnonzero(joined == ord("\n"))
        if len(ends) != len(keys) - 1:
            whole, kept = np.array(["\n" not in key for key in keys]), _Keys()
            kept.strings, kept.values, kept.kinds = [[k for k in keys if "\n" not in k]], [value[whole]], [kind[whole]]
            return kept.index(kernel)
        at = np.concatenate([[0], ends - np.arange(len(ends)), [len(joined) - len(ends)]]).astype(np.int64)
        letters = np.zeros(int(at[-1]) + _OVER, np.uint8)
        letters[: at[-1]] = joined[joined != ord("\n")]
        places = 1 << (2 * len(keys)).bit_length()
        place = np.zeros((places, 4), np.uint32)
        place[:, 2] = _CONSTANTS["EMPTY"]
        strings = DECLARED.structures["Strings"](bytes=letters, place=place, places=places)
        kernel.long.index_strings(strings, at, kind, value, len(keys))
        return strings


def lookups_of(kernel: Kernel, lexicon: Lexicon) -> Lookups:
    """Put a lexicon into a table."""
    config, names, of, keys = lexicon.features, list(lexicon.field_rows), lexicon.language, _Keys()
    if config.vectors:
        keys.add(_CONSTANTS["STRING_VECTOR"], lexicon.vector_rows, np.fromiter(lexicon.vector_rows.values(), np.int32))
    kind_F: list[int] = []
    size_F: list[int] = []
    clusters: list[tuple[int, Mapping[str, int]]] = []
    no_list = UNKNOWN
    for place, name in enumerate(names):
        rows, affix = lexicon.field_rows[name], _AFFIX.fullmatch(name)
        what, size = affix.groups() if affix else (name, 0)
        kind_F.append(_CONSTANTS[f"FIELD_{what.upper()}"])
        size_F.append(len(clusters) if what == "cluster" else int(size))
        if what == "cluster":
            clusters.append((int(size), rows))
        elif what == "lists":
            known, no_list = lexicon.gazetteers.lists, rows.get("", UNKNOWN)
            keys.add(_CONSTANTS["STRING_LISTS"], known, [rows.get(value, UNKNOWN) for value in known.values()])
        else:
            keys.add(_FIELD + place, rows, np.fromiter(rows.values(), np.int32))
    cluster_rows = _add_clusters(keys, lexicon.gazetteers.clusters if clusters else {}, clusters)
    listed = roles(of).listed
    keys.add(_CONSTANTS["STRING_ROLE"], listed, list(listed.values()))
    own, odd = _CONSTANTS["STOP_IS_ITS_OWN"], _CONSTANTS["STOP_IS_ODD"]
    stopped = dict.fromkeys(of.numbered, odd) | dict.fromkeys((*of.titles, *of.abbreviations), own)
    stopped = (stopped if of.keep_stops else {}) | {"www": odd}
    keys.add(_CONSTANTS["STRING_STOPPED"], stopped, list(stopped.values()))
    clitics = sorted({clitic.lower() for clitic in of.clitics})
    keys.add(_CONSTANTS["STRING_CLITIC"], clitics, [1] * len(clitics))
    keys.add(_CONSTANTS["STRING_PARTICLE"], of.particles, [1] * len(of.particles))

    read, sizes = characters(of), config.ngram_sizes if config.ngram else ()
    is_small = len(names) <= _MOST_FIELDS and len(sizes) <= _MOST_GRAM_KINDS
    can_cut = all(map(str.isascii, clitics)) and all(map(_PARTICLE.fullmatch, of.particles))
    how = DECLARED.structures["Lookups"](
        **read._replace(bits=read.bits | np.uint32(0 if is_small and can_cut else ODD))._asdict(),
        keep_stops=int(of.keep_stops), longest_clitic=max(map(len, clitics), default=0),
        vectors=int(config.vectors), word_field=names.index("word") if "word" in names else -1,
        fields=len(names), kind_F=np.array(kind_F or [0], np.int64), size_F=np.array(size_F or [0], np.int64),
        no_list=no_list, cluster_fields=len(clusters), cluster_rows=cluster_rows,
        gram_sizes=np.array(sizes or [0], np.int64), gram_kinds=len(sizes), gram_buckets=max(config.ngram_buckets, 1),
    )  # fmt: skip
    return Lookups(how, keys.index(kernel))


def _add_clusters(
    keys: _Keys, known: Mapping[str, str], fields: Sequence[tuple[int, Mapping[str, int]]]
) -> NDArray[np.int32]:
    """Add the words that have a cluster; returns the rows of each cluster's beginnings, those of no cluster first."""
    number: dict[str, int] = {}
    places = [number.setdefault(path, len(number)) for path in known.values()]
    keys.add(_CONSTANTS["STRING_CLUSTER"], known, places)
    rows: list[list[Any]] = [[row_of.get(path[:size], UNKNOWN) for size, row_of in fields] for path in ("", *number)]
    return np.array(rows, np.int32).reshape(len(rows), len(fields))
