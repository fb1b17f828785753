"""Read vector files with gensim, with errors that name the line, which gensim does not.

    word2vec-text   "V D", then a line per word: the word and D numbers; also fastText's .vec
    word2vec        "V D", then per word its bytes, a space, D binary float32
    glove           as word2vec-text without the first line
    fasttext        fastText's .bin
    kv              gensim's own; a pickle, so opening one runs whatever code is in it

The first three may be compressed, as ``NAME.gz``.

V words · D width of a vector
"""

import contextlib
import difflib
import logging
import pickle
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import gensim.downloader
import numpy as np
from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_vectors
from numpy.typing import NDArray

from fenestra.model.errors import ConfigError, DataError, RunError
from fenestra.training.config import VectorFormat
from fenestra.training.data.conll import open_bytes
from fenestra.training.vectors import fasttext as fasttext_files

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_HEADER = re.compile(rb"[ \t]*(\d+)[ \t]+(\d+)[ \t\r]*\n")
_NUMBER = re.compile(rb"[-+0-9.einfaEINFA]+")
_SUFFIXES: dict[str, VectorFormat] = {".kv": "kv", ".model": "kv", ".wordvectors": "kv"}
_PEEK = 4096  # bytes
_LARGEST = float(np.finfo(np.float32).max)
_DEFLATE = 1032  # times smaller at best
_DAMAGED = (ValueError, EOFError, OSError, struct.error, zlib.error, AssertionError, MemoryError, ArithmeticError)


def load_file(path: Path, form: VectorFormat = "auto", *, allow_pickle: bool = False) -> KeyedVectors:
    """Load a vector file.

    Args:
        path: the file.
        form: its format; ``auto`` detects it from name and first bytes.
        allow_pickle: open ``kv`` files too.

    Raises:
        ConfigError: the file is a pickle and pickles are not allowed.
        DataError: the file is missing, truncated or malformed, or holds a number that is not finite;
            ``path:line: …`` in the text formats.
    """
    with open_bytes(path) as stream:
        try:
            head = stream.read(_PEEK)
        except _DAMAGED as error:
            raise DataError(f"{path}: truncated or damaged ({error})") from error
    form = _detect(path, head) if form == "auto" else form
    if form == "kv":
        found = _load_pickle(path, allow_pickle=allow_pickle)
    elif form in ("glove", "word2vec-text"):
        found = _load_text(path, head, header=form == "word2vec-text")
    else:
        found = _load_binary(path, head, form)
    different = len(found.key_to_index)  # gensim leaves empty rows at the end for words that occur twice
    found.index_to_key, found.vectors = found.index_to_key[:different], found.vectors[:different]
    _check_table(path, found)
    return found


def load_from_gensim(name: str, form: VectorFormat = "auto", *, allow_pickle: bool = False) -> KeyedVectors:
    """Load vectors through gensim's downloader, which keeps what it fetched.

    Only the data file is used. gensim would also import a Python file that comes with it.

    Raises:
        ConfigError: gensim has no vectors of this name.
        RunError: they could not be downloaded.
        DataError: as :func:`load_file`.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr), _quiet():  # gensim draws its progress on standard output
            path = Path(gensim.downloader.load(name, return_path=True))
    except ValueError as error:
        if "Incorrect" not in str(error):
            raise RunError(_unreachable(name, error)) from error
        raise ConfigError(f"vectors.source: gensim has no vectors called {name!r}{_near_names(name)}") from error
    except Exception as error:  # gensim raises plain Exception when a checksum differs
        raise RunError(_unreachable(name, error)) from error
    return load_file(path, form, allow_pickle=allow_pickle)


def keyed_vectors(words: Sequence[str], vectors_VD: NDArray[np.float32]) -> KeyedVectors:
    """Make gensim's table of words and vectors without copying the numbers.

    Raises:
        ValueError: not one vector a word, or a word occurs twice.
    """
    rows = {word: row for row, word in enumerate(words)}
    if vectors_VD.ndim != 2 or not len(rows) == len(words) == len(vectors_VD):
        raise ValueError(f"{len(words)} words, {len(rows)} of them different, for a table of shape {vectors_VD.shape}")
    made = KeyedVectors(vectors_VD.shape[1])
    made.index_to_key, made.key_to_index, made.vectors = list(words), rows, vectors_VD
    return made


def _detect(path: Path, head: bytes) -> VectorFormat:
    """Detect the format of a file from its name and first bytes."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    last = suffixes[-1] if suffixes else ""
    if last in _SUFFIXES or _PICKLE.match(head):
        return "kv"
    if head.startswith(fasttext_files.MAGIC):
        return "fasttext"
    header = _HEADER.match(head)
    if not header:
        return "glove"
    if last in (".txt", ".vec"):
        return "word2vec-text"
    numbers = head[header.end() :].split(b"\n")[0].split(b" ")[1:4]
    return "word2vec-text" if numbers and all(map(_NUMBER.fullmatch, numbers)) else "word2vec"


def _load_pickle(path: Path, *, allow_pickle: bool) -> KeyedVectors:
    if not allow_pickle:
        raise ConfigError(
            f"{path}: is a pickle, and opening a pickle runs whatever code is in it; if you trust where it comes from, "
            "set vectors.allow_pickle=true, or save it with save_word2vec_format and use that"
        )
    try:
        with _quiet():
            found = KeyedVectors.load(str(path))
    except (pickle.UnpicklingError, AttributeError, ImportError, LookupError, TypeError, *_DAMAGED) as error:
        raise DataError(f"{path}: cannot be opened as gensim's KeyedVectors ({error})") from error
    found = getattr(found, "wv", found)  # of a whole Word2Vec or FastText model
    if not isinstance(found, KeyedVectors):
        raise DataError(f"{path}: holds a {type(found).__name__}, expected gensim's KeyedVectors")
    return found


def _load_binary(path: Path, head: bytes, form: VectorFormat) -> KeyedVectors:
    try:
        with _quiet(), np.errstate(all="ignore"):
            if form == "fasttext":
                return _load_fasttext(path)
            _check_size(path, head)
            return KeyedVectors.load_word2vec_format(str(path.absolute()), binary=True)
    except DataError:
        raise
    except (NotImplementedError, LookupError, TypeError, *_DAMAGED) as error:
        raise DataError(f"{path}: truncated or damaged {form} file ({error})") from error


def _load_fasttext(path: Path) -> KeyedVectors:
    if path.suffix.lower() == ".gz":
        raise DataError(f"{path}: a compressed fastText model, expected it uncompressed (gunzip)")
    fasttext_files.check_fasttext(path)
    return load_facebook_vectors(str(path.absolute()))


def _check_size(path: Path, head: bytes) -> None:
    """Refuse a file that is too small for what its first line announces, before memory is allocated for it."""
    header = _HEADER.match(head)
    if not header or int(header[2]) < 1:
        raise DataError(f"{path}: expected a first line with the number of words and the width of their vectors")
    words, width = int(header[1]), int(header[2])
    room = path.stat().st_size * (_DEFLATE if path.suffix.lower() == ".gz" else 1)
    if words * (4 * width + 1) > room:
        raise DataError(f"{path}: truncated, the first line promises {words:,} words with {width:,} numbers each")


def _load_text(path: Path, head: bytes, *, header: bool) -> KeyedVectors:
    """Load a text format; gensim reads it once every line is known to be right."""
    if header and not _HEADER.match(head):
        raise DataError(f"{path}:1: expected the number of words and the width of their vectors")
    _check_text(path, header=header)
    try:
        with _quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # gensim leaves a file without a first line open
            return KeyedVectors.load_word2vec_format(str(path.absolute()), binary=False, no_header=not header)
    except _DAMAGED as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _check_text(path: Path, *, header: bool) -> None:
    """Check every line of a text format: gensim does not name the wrong line, and accepts a vector of a single number.

    Raises:
        DataError: names the first line that is not a word and as many finite numbers as the others have.
    """
    promised, width, number = 0, 0, 0
    for number, line in _lines(path):
        if header and number == 1:
            promised, width = (int(value) for value in line.split())
            continue
        try:
            found = _count_numbers(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        width = width or found
        if found != width or not width:
            expected = f"{width:,} as {'the first line says' if header else 'in line 1'}" if width else "at least 1"
            raise DataError(f"{path}:{number}: a word with {found:,} numbers, expected {expected}")
    words = number - header
    if words < 1 or (header and words != promised):
        expected = f"{promised:,} as the first line says" if header else "at least 1"
        place = f"{path}:{number}" if number else str(path)
        raise DataError(f"{place}: the file ends after {max(0, words):,} words, expected {expected}")


def _count_numbers(line: bytes) -> int:
    """How many numbers follow the word, split as gensim splits them.

    Raises:
        ValueError: the line is not UTF-8, or holds a value that is not a finite float32.
    """
    try:
        word, *values = line.rstrip().decode("utf-8").split(" ")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of the line is 0x{line[error.start]:02x}, expected UTF-8") from error
    numbers = np.array([float(value) for value in values], dtype=np.float64)
    finite = np.abs(numbers) <= _LARGEST
    if not finite.all():
        place = int(np.argmin(finite))
        raise ValueError(f"number {place + 1} of {word[:40]!r} is {values[place][:40]}, expected a finite float32")
    return len(values)


def _check_table(path: Path, found: KeyedVectors) -> None:
    """What must hold whatever the format: words are strings, one finite vector each."""
    table = found.vectors
    if not isinstance(table, np.ndarray) or table.ndim != 2 or len(table) != len(found.index_to_key):
        raise DataError(f"{path}: expected one vector for each of {len(found.index_to_key):,} words")
    if not all(isinstance(word, str) for word in found.index_to_key):
        raise DataError(f"{path}: a key is not a string, expected words")
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        word = found.index_to_key[int(np.argmin(finite))]
        raise DataError(f"{path}: the vector of {word[:40]!r} holds a number that is not finite")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, plain or gzip, counted from 1."""
    number = 0
    with open_bytes(path) as stream:
        try:
            for number, line in enumerate(stream, start=1):
                yield number, line
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{path}:{number + 1}: truncated or damaged file ({error})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep gensim's log to itself: a line for each duplicate word, a traceback for a network that is not there."""
    logger = logging.getLogger("gensim")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _unreachable(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"gensim's downloader could not get {name} ({reason}); without it, fetch vectors with "
        "`fenestra data fetch glove`, or name a file"
    )


def _near_names(name: str) -> str:
    """Names like it that gensim has, for a message."""
    try:
        with _quiet():
            names = list(gensim.downloader.info(name_only=True)["models"])
    except (ValueError, OSError, KeyError):
        return ""
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    return f"; there are {', '.join(near or names)}"
