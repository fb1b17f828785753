"""Pretrained word vectors: from any source that gensim reads → words and one float32 table.

Only words and numbers are read. Formats that can carry code, such as gensim's own ``.kv``, are refused unless the
configuration allows them. ``training/vectors/formats.py`` reads the files.

V words · D width of a vector · N rows that are measured · R rows of a table that words share
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray

from fenestra.model import checkpoint
from fenestra.model.bundled import DEFAULT, bundled_model
from fenestra.model.errors import ConfigError, DataError, InputError
from fenestra.model.suggest import near
from fenestra.model.text.canonical import canonical
from fenestra.model.words.lexicon import UNKNOWN, Lexicon
from fenestra.training import sources
from fenestra.training.config import VectorsConfig, publishable_source
from fenestra.training.vectors.pca import compress
from fenestra.training.vectors.quantise import VectorTable

if TYPE_CHECKING:  # gensim takes most of a second to import, and fetched sets do without it
    from gensim.models import KeyedVectors

Table = NDArray[np.float32]

_MISSING_SHOWN = 20
_SPELLINGS = 100_000  # words, the most frequent first, among which near spellings are looked for


@dataclass(frozen=True, slots=True)
class WordVectors:
    """Words and their vectors, as they are before they are standardised."""

    name: str
    words: list[str]
    vectors_VD: Table
    sha256: str
    """Fingerprint of the words and the numbers before they were compressed; the same whatever format they came in."""
    licence: str = ""
    """Licence and origin, where they are known."""

    @property
    def width(self) -> int:
        """D, the width of a vector."""
        return int(self.vectors_VD.shape[1])


class Found(NamedTuple):
    """How many words have a vector as they are written, when lower-cased, or not at all."""

    as_written: int
    lowered: int
    missing: int

    @property
    def total(self) -> int:
        """How many words there are."""
        return sum(self)

    @property
    def share(self) -> float:
        """The share of words that have a vector, in [0, 1]; 0 if there are no words."""
        return (self.as_written + self.lowered) / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many words of a text have a vector. Check it first: a coverage of 40 % means the wrong vectors or casing."""

    tokens: Found
    types: Found
    missing: tuple[tuple[str, int], ...]
    """The most frequent words without a vector, with their counts."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "tokens": self.tokens._asdict() | {"share": self.tokens.share},
            "types": self.types._asdict() | {"share": self.types.share},
            "missing": [{"word": word, "count": count} for word, count in self.missing],
        }

    def __str__(self) -> str:
        lines = [
            f"{name}: {found.share:.1%} of {found.total:,} have a vector "
            f"({found.as_written:,} as written, {found.lowered:,} lower-cased, {found.missing:,} missing)"
            for name, found in (("tokens", self.tokens), ("distinct words", self.types))
        ]
        if self.missing:
            lines.append("missing most often: " + " ".join(f"{word} {count:,}," for word, count in self.missing)[:-1])
        return "\n".join(lines)


def load_vectors(config: VectorsConfig, first: Iterable[str] = ()) -> WordVectors:
    """Load the vectors that a configuration names.

    Args:
        config: source, format, how many words to keep.
        first: words of the training corpus. With ``limit``, the vectors they will be looked up by (as written, else
            lower-cased) are kept before all others.

    Returns:
        The words in the order of the source, those of ``first`` in front if ``limit`` cut anything off.
        A word that occurs twice has its first vector.

    Raises:
        ConfigError: the source or the format is unknown, or the file is a pickle and ``allow_pickle`` is off.
        DataError: a file is missing, truncated or malformed, ``path:line: …`` in the text formats.
        CheckpointError: the source is a checkpoint and it cannot be loaded.
        InputError: the source is a known set that has not been fetched.
        RunError: gensim's downloader failed.
    """
    words, vectors_VD, licence, rows_V = _read(config)
    kept = _writable(words)
    if 0 < config.limit < len(kept):
        kept = _order(words, kept, first)[: config.limit]
    if rows_V is not None or kept != list(range(len(words))):
        words, vectors_VD = [words[place] for place in kept], vectors_VD[kept if rows_V is None else rows_V[kept]]
    read = fingerprint(words, vectors_VD)
    if config.width:
        if config.width > vectors_VD.shape[1]:
            raise ConfigError(f"vectors.width: expected at most the vectors' own, {vectors_VD.shape[1]}")
        vectors_VD = compress(vectors_VD, config.width)
    return WordVectors(publishable_source(config.source), words, vectors_VD, read, licence)


def fingerprint(words: Sequence[str], vectors_VD: Table) -> str:
    """The sha256 of words and numbers, as hex digits."""
    digest = hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass"))
    digest.update(f"\n{vectors_VD.shape}\n".encode())
    digest.update(np.ascontiguousarray(vectors_VD, dtype="<f4").data)
    return digest.hexdigest()


def standardise(vectors_VD: Table, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Table:
    """Shift and scale every dimension to mean 0 and variance 1 over some rows.

    Args:
        vectors_VD: the table.
        rows: which rows to measure, counted from 0; a row named twice counts twice. All of them if none is named.

    Returns:
        A new table of shape (V, D), float32. A dimension that is constant over the rows is shifted and not scaled.
    """
    return standardiser(vectors_VD, rows)(vectors_VD)


def standardiser(vectors_VD: Table, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Callable[[Table], Table]:
    """:func:`standardise` as a function that can be applied to any rows of the table."""
    measured_ND = vectors_VD[np.asarray(rows, dtype=np.int64)] if len(rows) else vectors_VD
    if not measured_ND.size:
        return np.copy
    mean_D = measured_ND.mean(axis=0, dtype=np.float64)
    deviation_D = measured_ND.std(axis=0, dtype=np.float64)
    # rounding leaves a constant dimension a deviation of about 1e-8 of its value
    constant_D = deviation_D <= np.maximum(1e-6 * np.abs(measured_ND).max(axis=0), np.finfo(np.float32).tiny)
    scale_D = np.where(constant_D, 1.0, deviation_D)
    shift_D, divisor_D = mean_D.astype(np.float32), scale_D.astype(np.float32)
    return lambda some_ND: (some_ND - shift_D) / divisor_D


def coverage(lexicon: Lexicon, words: Iterable[str]) -> Coverage:
    """Look up every word of a text as the tagger will, and count.

    Args:
        lexicon: knows which words have a vector.
        words: all tokens, repetitions included; or how often each word comes.
    """
    counts: Counter[str] = Counter()
    for word, count in Counter(words).items():
        counts[canonical(word)] += count
    missing = {word: count for word, count in counts.items() if lexicon.vector_row(word) == UNKNOWN}
    written = [word for word in counts if word in lexicon.vector_rows]
    types = Found(len(written), len(counts) - len(written) - len(missing), len(missing))
    tokens, exact, lost = counts.total(), sum(counts[word] for word in written), sum(missing.values())
    often = sorted(missing.items(), key=lambda item: (-item[1], item[0]))[:_MISSING_SHOWN]
    return Coverage(Found(exact, tokens - exact - lost, lost), types, tuple(often))


def neighbours(vectors: "WordVectors | KeyedVectors", word: str, n: int = 10) -> list[tuple[str, float]]:
    """Find the words whose vectors point most nearly the same way.

    The measure is cosine similarity, cos(a, b) = a·b / (‖a‖ ‖b‖), in [-1, 1]; a vector of zeros is at 0 from all.

    Args:
        vectors: where to look.
        word: looked up as it is written, else in lower case, in title case, or in capitals.
        n: how many, at most.

    Returns:
        Words and similarities, the nearest first; the word itself is not among them.

    Raises:
        InputError: the word has no vector; names words of a similar spelling.
    """
    if isinstance(vectors, WordVectors):
        words, vectors_VD = vectors.words, vectors.vectors_VD
    else:
        words, vectors_VD = vectors.index_to_key, vectors.vectors
    row = _find_row(words, word)
    length_V = np.linalg.norm(vectors_VD, axis=1)
    length_V[length_V == 0] = np.inf
    cosine_V = (vectors_VD @ vectors_VD[row]) / (length_V * length_V[row])
    cosine_V[row] = -np.inf
    nearest = np.argsort(-cosine_V, kind="stable")[: max(0, min(n, len(words) - 1))]
    return [(words[place], float(cosine_V[place])) for place in nearest]


class _Source(NamedTuple):
    """The words and vectors of a source, and its licence where that is known."""

    words: list[str]
    vectors_RD: Table
    licence: str = ""
    rows_V: NDArray[np.uint32] | None = None
    """The row of each word where words share rows; word i has row i otherwise."""


def _read(config: VectorsConfig) -> _Source:
    kind, _, rest = config.source.partition(":")
    if config.source == "none":
        return _Source([], np.zeros((0, 0), dtype=np.float32))
    if config.source in sources.available("vectors"):
        return _read_fetched(config.source)
    if kind == "bundled":
        return _read_bundled(rest or DEFAULT)
    if kind == "checkpoint" and rest:
        return _read_checkpoint(Path(rest))
    from fenestra.training.vectors.formats import load_file, load_from_gensim

    gensim = kind == "gensim" and rest
    load = partial(load_from_gensim, rest) if gensim else partial(load_file, Path(config.source))
    found = load(config.format, allow_pickle=config.allow_pickle, not_utf8=config.not_utf8)
    return _Source(found.index_to_key, np.ascontiguousarray(found.vectors, dtype=np.float32))


def _read_fetched(name: str) -> _Source:
    folder = sources.cached(name)
    if folder is None:
        raise InputError(f"vectors.source: {name} is not fetched yet; run: fenestra data fetch {name}")
    described = sources.provenance(folder)
    try:
        words, vectors_RD, rows_V = sources.read_shared_set(folder)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: damaged ({error}); run: fenestra data fetch {name} --force") from error
    return _Source(words, vectors_RD, f"{described['title']}. {described['licence']}", rows_V)


def _read_bundled(name: str) -> _Source:
    try:
        folder = bundled_model(name)
    except InputError as error:
        raise InputError(f"vectors.source: {error}") from None
    licence = checkpoint.read_extra(folder, "report.json")["vectors"]["licence"]
    return _read_checkpoint(folder, f"Of the bundled model {folder.name}: {licence}")


def _read_checkpoint(folder: Path, licence: str = "") -> _Source:
    """The vectors of a trained model: standardised and quantised as it has them."""
    words = list(checkpoint.load(folder).lexicon.vector_rows)
    with safetensors.safe_open(folder / "weights.safetensors", framework="pt") as file:
        table = VectorTable(file.get_tensor("vectors.codes"), file.get_tensor("vectors.scale"))
    with torch.inference_mode():
        vectors_VD = table(torch.arange(1, len(words) + 1))
    return _Source(words, vectors_VD.numpy(), licence)


def _writable(words: Sequence[str]) -> list[int]:
    """Rows of the words that can stand on a line of a checkpoint's list; a token never equals any other."""
    return [row for row, word in enumerate(words) if word and "\n" not in word]


def _order(words: Sequence[str], rows: Sequence[int], first: Iterable[str]) -> list[int]:
    """Put the rows first that the words of ``first`` will be looked up by; both parts keep the order of the source."""
    known = set(words)
    wanted = {word if word in known else word.lower() for word in first}
    return sorted(rows, key=lambda row: words[row] not in wanted)


def _find_row(words: Sequence[str], word: str) -> int:
    for form in (word, word.lower(), word.title(), word.upper()):
        try:
            return words.index(form)
        except ValueError:
            continue
    lowered = word.lower()
    candidates = [one for one in words[:_SPELLINGS] if abs(len(one) - len(word)) <= 2 and one[:1] == lowered[:1]]
    alike = near(lowered, candidates, n=5)
    raise InputError(f"{word!r} has no vector" + (f"; there are {', '.join(alike)}" if alike else ""))
