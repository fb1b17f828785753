"""Read vector files, with errors that name the line or the word.

    word2vec-text   "V D", then a line per word: the word and D numbers; also fastText's .vec
    word2vec        "V D", then per word its bytes, a space, D binary float32
    glove           as word2vec-text without the first line
    fasttext        fastText's .bin; read by gensim
    kv              gensim's own; a pickle, so opening one runs whatever code is in it

The first three may be compressed by gzip, bzip2 or xz (zstd from Python 3.14), or be the one file in a zip archive.
What is odd and read all the same (a mark of byte order, words with blanks, words that occur again) is logged.

V words · D width of a vector
"""

import contextlib
import logging
import pickle
import re
import struct
import sys
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import gensim.downloader
import numpy as np
from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_vectors

from fenestra.model.errors import ConfigError, DataError, RunError
from fenestra.model.suggest import near
from fenestra.training.compressed import is_compressed, open_file, stem
from fenestra.training.config import NotUtf8, VectorFormat
from fenestra.training.vectors import fasttext as fasttext_files
from fenestra.training.vectors.table import remark
from fenestra.training.vectors.text import read_text
from fenestra.training.vectors.word2vec import read_word2vec

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_HEADER = re.compile(rb"[ \t]*(\d+)[ \t]+(\d+)[ \t\r]*\n")
_NUMBER = re.compile(rb"[-+0-9.,einfaEINFA]+")
_SUFFIXES: dict[str, VectorFormat] = {".kv": "kv", ".model": "kv", ".wordvectors": "kv"}
_PEEK = 4096  # bytes
_UTF16 = "UTF-16, expected UTF-8; to convert it: iconv -f UTF-16 -t UTF-8"
_FOREIGN = {
    BOM_UTF16_LE: _UTF16,
    BOM_UTF16_BE: _UTF16,
    b"\x93NUMPY": "a NumPy array, which holds no words; expected words and vectors in one file",
}
_DAMAGED = (ValueError, EOFError, OSError, struct.error, zlib.error, AssertionError, MemoryError, ArithmeticError)


def load_file(
    path: Path, form: VectorFormat = "auto", *, allow_pickle: bool = False, not_utf8: NotUtf8 = "refuse"
) -> KeyedVectors:
    """Load a vector file.

    Args:
        path: the file.
        form: its format; ``auto`` detects it from name and first bytes.
        allow_pickle: open ``kv`` files too.
        not_utf8: what is done with a word of the first three formats that is not UTF-8.

    Raises:
        ConfigError: the file is a pickle and pickles are not allowed.
        DataError: the file is missing, truncated or malformed, or holds a number that is not finite;
            ``path:line: …`` in the text formats, and ``path: word 3 of 10`` in word2vec's binary one.
    """
    with open_file(path) as stream:
        try:
            head = stream.read(_PEEK)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error
    marked = head.startswith(BOM_UTF8)
    head = head.removeprefix(BOM_UTF8)
    form = _detect(path, head) if form == "auto" else form
    if form in ("glove", "word2vec-text", "word2vec"):
        if marked:
            remark(path, "a byte order mark at its beginning was taken off")
        with open_file(path) as stream:
            stream.read(len(BOM_UTF8) if marked else 0)
            return _read(stream, path, head, form, not_utf8)
    found = _load_pickle(path, allow_pickle=allow_pickle) if form == "kv" else _load_fasttext(path)
    different = len(found.key_to_index)  # gensim leaves empty rows at the end for words that occur twice
    found.index_to_key, found.vectors = found.index_to_key[:different], found.vectors[:different]
    _check_table(path, found)
    return found


def load_from_gensim(
    name: str, form: VectorFormat = "auto", *, allow_pickle: bool = False, not_utf8: NotUtf8 = "refuse"
) -> KeyedVectors:
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
    return load_file(path, form, allow_pickle=allow_pickle, not_utf8=not_utf8)


def _detect(path: Path, head: bytes) -> VectorFormat:
    """Detect the format of a file from its name and first bytes."""
    last = stem(path.name).suffix.lower()
    if last in _SUFFIXES or _PICKLE.match(head):
        return "kv"
    if head.startswith(fasttext_files.MAGIC):
        return "fasttext"
    header = _HEADER.match(head)
    if not header:
        return "glove"
    if last in (".txt", ".vec"):
        return "word2vec-text"
    row, ended, _ = head[header.end() :].partition(b"\n")
    numbers = row.split()[1:] if ended else row.split()[1:-1]  # the last one may be cut
    return "word2vec-text" if numbers and all(map(_NUMBER.fullmatch, numbers[-3:])) else "word2vec"


def _read(stream: IO[bytes], path: Path, head: bytes, form: VectorFormat, not_utf8: NotUtf8) -> KeyedVectors:
    """Read a file of words and numbers, behind its mark of byte order."""
    if foreign := next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None):
        raise DataError(f"{path}: {foreign}")
    if form == "word2vec":
        size = None if is_compressed(path) else path.stat().st_size
        return read_word2vec(stream, path, size=size, not_utf8=not_utf8)
    if b"\r" in head and b"\n" not in head:
        raise DataError(f"{path}: its lines end with CR alone, expected LF or CR LF")
    header = form == "word2vec-text"
    if header and not _HEADER.match(head):
        raise DataError(f"{path}:1: expected the number of words and the width of their vectors")
    return read_text(stream, path, header=header, not_utf8=not_utf8)


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


def _load_fasttext(path: Path) -> KeyedVectors:
    if is_compressed(path):
        raise DataError(f"{path}: a compressed fastText model, expected it uncompressed (gunzip)")
    fasttext_files.check_fasttext(path)
    try:
        with _quiet(), np.errstate(all="ignore"):
            return load_facebook_vectors(str(path.absolute()))
    except (NotImplementedError, LookupError, TypeError, *_DAMAGED) as error:
        raise DataError(f"{path}: truncated or damaged fasttext file ({error})") from error


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
    return f"; there are {', '.join(near(name, names, n=5, alike=0.4) or names)}"
