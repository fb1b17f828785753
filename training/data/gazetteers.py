"""Word clusters and name lists: from a fetched set or a file to the table that the model uses.

clusters    ``word<TAB>path``, a path of 0 and 1; the most frequent words first
lists       ``kind<TAB>name``; names of one word only, because words are looked up one by one
"""

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from fenestra.model.config import FeatureConfig
from fenestra.model.errors import ConfigError, DataError, InputError
from fenestra.model.words.gazetteers import Gazetteers
from fenestra.training import sources
from fenestra.training.config import ReferenceConfig
from fenestra.training.sources.source import Kind

_PATH = re.compile("[01]+")
_KIND = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class ReferenceWorks:
    """The table, and its sources."""

    known: Gazetteers
    sha256: dict[str, str]
    """Of each file that was read: clusters, lists."""
    licences: tuple[str, ...]
    """Title and licence of each fetched set."""


def load_reference(config: ReferenceConfig, features: FeatureConfig, first: Collection[str]) -> ReferenceWorks:
    """Read what the features need.

    Args:
        config: the sources.
        features: of the model.
        first: words of the training corpus; their clusters are kept before others where there is a limit.

    Raises:
        ConfigError: a source is unknown.
        InputError: a set has not been fetched.
        DataError: a file is missing or malformed, by ``path:line``.
    """
    clusters: dict[str, str] = {}
    lists: dict[str, set[str]] = {}
    sha256, licences = {}, []
    if features.cluster:
        path, licence = _find("clusters", config.clusters, "clusters", "clusters.tsv")
        clusters = _limited(_read_clusters(path), config.limit, first)
        sha256["clusters"] = hashlib.sha256(path.read_bytes()).hexdigest()
        licences.append(licence)
    if features.lists:
        for number, source in enumerate(config.all_lists):
            path, licence = _find("lists", source, "lexicon", "phrases.tsv")
            _read_lists(path, lists)
            sha256[f"lists{number or ''}"] = hashlib.sha256(path.read_bytes()).hexdigest()
            licences.append(licence)
    kinds = {name: " ".join(sorted(of)) for name, of in lists.items()}
    return ReferenceWorks(Gazetteers(clusters, kinds), sha256, tuple(filter(None, licences)))


def read_names(config: ReferenceConfig) -> dict[str, list[str]]:
    """The names of the lists by kind, words parted by spaces, in the order of the files; none without lists.

    Raises:
        ConfigError, InputError, DataError: as :func:`load_reference`.
    """
    names: dict[str, list[str]] = {}
    for source in config.all_lists:
        path, _ = _find("lists", source, "lexicon", "phrases.tsv")
        for _, kind, name in _cells(path):
            names.setdefault(kind, []).append(name)
    return names


def _find(field: str, source: str, kind: Kind, name: str) -> tuple[Path, str]:
    """The file of a source, and its licence if that is known."""
    known = sources.available(kind)
    if source not in known:
        if Path(source).is_file():
            return Path(source), ""
        raise ConfigError(f"reference.{field}: {source!r} is neither a file nor one of {', '.join(known)}")
    folder = sources.cached(source)
    if folder is None:
        raise InputError(f"reference.{field}: {source} is not fetched yet; run: fenestra data fetch {source}")
    about = sources.provenance(folder)
    return folder / name, f"{about['title']}. {about['licence']}"


def _read_clusters(path: Path) -> dict[str, str]:
    """Word → path, in the order of the file; of a word that comes twice, the first."""
    known: dict[str, str] = {}
    for number, word, bits in _cells(path):
        if not _PATH.fullmatch(bits):
            raise DataError(f"{path}:{number}: expected a path of 0 and 1, got {bits[:40]!r}")
        known.setdefault(word, bits)
    return known


def _read_lists(path: Path, kinds: dict[str, set[str]]) -> None:
    """Add the kinds of names that are a word alone to those of the word."""
    for number, kind, name in _cells(path):
        if not _KIND.fullmatch(kind):
            raise DataError(f"{path}:{number}: expected a kind of name, one word, got {kind[:40]!r}")
        if " " not in name:
            kinds.setdefault(name, set()).add(kind)


def _cells(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number and two cells of every line."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not any(lines):
        raise DataError(f"{path}: is empty, expected two cells with a tab between on each line")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        first, tab, second = line.rstrip("\r").partition("\t")
        if not (first and tab and second) or "\t" in second:
            raise DataError(f"{path}:{number}: expected two cells with a tab between")
        yield number, first, second


def _limited(known: dict[str, str], limit: int, first: Collection[str]) -> dict[str, str]:
    """Keep this many words, those of a corpus before others; 0 keeps all."""
    if not 0 < limit < len(known):
        return known
    wanted = {form for word in first for form in (word, word.lower(), word.title())}
    kept = sorted(known, key=lambda word: word not in wanted)[:limit]
    return {word: known[word] for word in kept}
