"""All that a model knows by name, in one table that the kernel looks words up in.

The same as :class:`fenestra.model.words.lexicon.Lexicon`, of plain words (``model/text/plain.py``). It is made when a
model is loaded, in a tenth of a second; nothing writes to it afterwards, so forked processes share it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fenestra.model.engine.library import DECLARED, Array, Kernel, Structure
from fenestra.model.text.plain import ODD, characters
from fenestra.model.text.sentences import roles
from fenestra.model.words.gazetteers import Gazetteers
from fenestra.model.words.lexicon import UNKNOWN, Lexicon

_CONSTANTS = DECLARED.constants
_FIELD = _CONSTANTS["STRING_FIELD"]
_MOST_FIELDS, _MOST_GRAM_KINDS = 64, 16  # as in words.c
_AFFIX = re.compile(r"(prefix|suffix|cluster)(\d+)")
_PARTICLE = re.compile(r"'[^\W\d_]+|[^\W\d_]+'[^\W\d_]+")  # by itself, or as any word
Value = TypeVar("Value")
_OVER = 8  # bytes behind the strings that the kernel may read


class Names(Mapping[str, Value]):
    """The strings of a kind, in the order that they came in, and what each is worth."""

    def __init__(self, table: "Table", kind: int, begin: int, values: Sequence[Value]) -> None:
        """Those that have begun to come in with a string; ``values`` are of the numbers in the table."""
        self.table = table
        self._kind, self._begin, self._values = kind, begin, values

    def __getitem__(self, key: str) -> Value:
        found = self.table.find(self._kind, key)
        if found is None:
            raise KeyError(key)
        return self._values[found]

    def __iter__(self) -> Iterator[str]:
        return self.table.read(self._begin, self._begin + len(self))

    def __len__(self) -> int:
        return self.table.counts[self._kind]


class Table:
    """Strings of all kinds, in the table that the kernel looks them up in."""

    def __init__(self, kernel: Kernel, parts: Sequence[tuple[int, Iterable[str], Sequence[int] | Array]]) -> None:
        """Put strings in: kind, strings and numbers of each kind."""
        self._kernel = kernel
        self.counts = {kind: len(numbers) for kind, _, numbers in parts}
        """How many strings of each kind there are."""
        keys = list(chain.from_iterable(strings for _, strings, _ in parts))
        kind = np.repeat(np.array([kind for kind, _, _ in parts], np.uint8), list(self.counts.values()))
        value = np.concatenate([np.asarray(numbers, np.int32) for _, _, numbers in parts])
        joined = np.frombuffer("\n".join(keys).encode("utf-8", "surrogatepass"), np.uint8)
        ends = np.flatnonzero(joined == ord("\n"))
        if len(ends) == len(keys) - 1:
            joined, ends = joined[joined != ord("\n")], ends - np.arange(len(ends))
            at = np.concatenate([[0], ends, [len(joined)]])
        else:  # a string has a line break
            parted = [key.encode("utf-8", "surrogatepass") for key in keys]
            joined, at = np.frombuffer(b"".join(parted), np.uint8), np.cumsum([0, *map(len, parted)])
        self._at = at.astype(np.uint32)
        self._bytes = np.zeros(len(joined) + _OVER, np.uint8)
        self._bytes[: len(joined)] = joined
        places = 1 << (len(keys) * 3 // 2).bit_length()
        place = np.zeros((places, 4), np.uint32)
        place[:, 2] = _CONSTANTS["EMPTY"]
        self.strings = DECLARED.structures["Strings"](bytes=self._bytes, place=place, places=places)
        """As the kernel has them."""
        twice = kernel.long.index_strings(self.strings, self._at, kind, value, len(keys))
        if twice >= 0:
            raise ValueError(f"{keys[twice]!r} is there twice")
        self.lexicon: tuple[object, ...] = ()
        """What tells the lexicon that it holds from others."""
        self.lookups: Lookups | None = None
        """It and what goes with it."""

    def find(self, kind: int, key: str) -> int | None:
        """The number of a string of a kind."""
        encoded = key.encode("utf-8", "surrogatepass")
        if len(encoded) >= _CONSTANTS["EMPTY"]:
            return None
        padded = np.frombuffer(bytearray(encoded + bytes(_OVER)), np.uint8)
        found = self._kernel.short.string_value(self.strings, kind, padded, len(encoded))
        return None if found < 0 else int(found)

    def read(self, begin: int, end: int) -> Iterator[str]:
        """The strings from one place to before another."""
        letters, at = self._bytes.tobytes(), self._at[begin : end + 1].tolist()
        return (letters[first:last].decode("utf-8", "surrogatepass") for first, last in pairwise(at))


class Lookups(NamedTuple):
    """How words are looked up, for the kernel; and the lexicon that this is of, in much less memory."""

    how: Structure
    strings: Structure
    lexicon: Lexicon


def lookups_of(kernel: Kernel, lexicon: Lexicon) -> Lookups:
    """Put a lexicon into a table; one that is in a table already stays there."""
    known = lexicon.vector_rows.table if isinstance(lexicon.vector_rows, Names) else None
    if known is not None and known.lookups is not None and known.lexicon == _identity(lexicon):
        return known.lookups
    config, names, of = lexicon.features, list(lexicon.field_rows), lexicon.language
    clusters, lists = lexicon.gazetteers.clusters, lexicon.gazetteers.lists
    paths, kinds = _Distinct(clusters.values()), _Distinct(lists.values())
    own, odd = _CONSTANTS["STOP_IS_ITS_OWN"], _CONSTANTS["STOP_IS_ODD"]
    stopped = dict.fromkeys(of.numbered, odd) | dict.fromkeys((*of.titles, *of.abbreviations), own)
    stopped = (stopped if of.keep_stops else {}) | {"www": odd}
    listed, clitics = roles(of).listed, dict.fromkeys(map(str.lower, of.clitics), 1)
    particles = dict.fromkeys(of.particles, 1)
    kind_F = [_kind_of(name) for name in names]
    parts: list[tuple[int, Iterable[str], Sequence[int] | Array]] = [
        (_CONSTANTS["STRING_VECTOR"], lexicon.vector_rows, _numbers(lexicon.vector_rows)),
        (_CONSTANTS["STRING_CLUSTER"], clusters, paths.numbers),
        (_CONSTANTS["STRING_LISTS"], lists, kinds.numbers),
        *((_FIELD + place, rows, _numbers(rows)) for place, rows in enumerate(lexicon.field_rows.values())),
        (_CONSTANTS["STRING_ROLE"], listed, list(listed.values())),
        (_CONSTANTS["STRING_STOPPED"], stopped, list(stopped.values())),
        (_CONSTANTS["STRING_CLITIC"], clitics, list(clitics.values())),
        (_CONSTANTS["STRING_PARTICLE"], particles, list(particles.values())),
    ]  # fmt: skip
    table = Table(kernel, parts)

    sizes, read = config.ngram_sizes if config.ngram else (), characters(of)
    is_small = len(names) <= _MOST_FIELDS and len(sizes) <= _MOST_GRAM_KINDS
    can_cut = all(map(str.isascii, clitics)) and all(map(_PARTICLE.fullmatch, of.particles))
    by_size = [
        (size, lexicon.field_rows[name]) for name, (what, size) in zip(names, kind_F, strict=True) if what == "cluster"
    ]
    column = iter(range(len(by_size)))
    kept_lists = lexicon.field_rows.get("lists", {})
    how = DECLARED.structures["Lookups"](
        **read._replace(bits=read.bits | np.uint32(0 if is_small and can_cut else ODD))._asdict(),
        keep_stops=int(of.keep_stops), longest_clitic=max(map(len, clitics), default=0),
        vectors=int(config.vectors), word_field=names.index("word") if "word" in names else -1, fields=len(names),
        kind_F=np.array([_CONSTANTS[f"FIELD_{what.upper()}"] for what, _ in kind_F] or [0], np.int64),
        size_F=np.array([next(column) if what == "cluster" else size for what, size in kind_F] or [0], np.int64),
        cluster_fields=len(by_size),
        cluster_rows=np.array(
            [[row_of.get(path[:size], UNKNOWN) for size, row_of in by_size] for path in ("", *paths)], np.int32
        ).reshape(1 + len(paths), len(by_size)),
        list_rows=np.array([kept_lists.get(value, UNKNOWN) for value in ("", *kinds)], np.int32),
        gram_sizes=np.array(sizes or [0], np.int64), gram_kinds=len(sizes), gram_buckets=max(config.ngram_buckets, 1),
    )  # fmt: skip

    begins = dict(zip([kind for kind, _, _ in parts], np.cumsum([0, *table.counts.values()]).tolist(), strict=False))

    def view(kind: int, values: Sequence[Any]) -> Names[Any]:
        return Names(table, kind, begins[kind], values)

    rows = range(1 << 31)  # a row is its own value
    small = replace(
        lexicon,
        vector_rows=view(_CONSTANTS["STRING_VECTOR"], rows),
        field_rows={name: view(_FIELD + place, rows) for place, name in enumerate(names)},
        gazetteers=Gazetteers(
            view(_CONSTANTS["STRING_CLUSTER"], list(paths)), view(_CONSTANTS["STRING_LISTS"], list(kinds))
        ),
    )
    table.lexicon = _identity(small)
    table.lookups = lookups = Lookups(how, table.strings, small)
    return lookups


def _identity(lexicon: Lexicon) -> tuple[object, ...]:
    """What makes a lexicon in a table that and no other."""
    known = lexicon.gazetteers
    parts = (lexicon.vector_rows, known.clusters, known.lists, *lexicon.field_rows.values())
    return (lexicon.features, lexicon.language, tuple(lexicon.field_rows), *map(id, parts))


class _Distinct(dict[str, int]):
    """Values by number."""

    def __init__(self, values: Iterable[str]) -> None:
        super().__init__()
        self.numbers = [self.setdefault(value, len(self)) for value in values]
        """The number of each."""


def _numbers(rows: Mapping[str, int]) -> Array:
    return np.fromiter(rows.values(), np.int32, len(rows))


def _kind_of(name: str) -> tuple[str, int]:
    """What a field looks at, and how many characters of it."""
    affix = _AFFIX.fullmatch(name)
    return (affix[1], int(affix[2])) if affix else (name, 0)
