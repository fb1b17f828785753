"""Open files and standard input for reading; what is compressed is known by its first bytes, whatever its name is.

    gzip, bzip2, xz     always
    zstd                by Python's own library from 3.14, before by backports.zstd, which the extra `bulk` brings
    zip                 an archive of one file, and not on a pipe

All of it comes as a stream, however large it is.
"""

import bz2
import errno
import gzip
import importlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from fenestra.model.errors import DataError

SUFFIXES = frozenset((".gz", ".bz2", ".xz", ".zst", ".zip"))
"""Ends of names that say how a file is compressed, and nothing of what it holds."""

_BZIP2 = (b"1AY&SY", b"\x17rE8P\x90")  # behind BZh and a digit, which a text may begin with; the second if it is empty
_MAGIC = {
    b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\3\4": "zip",
    **{b"BZh%d%b" % (level, mark): "bzip2" for level in range(1, 10) for mark in _BZIP2},
}  # fmt: skip
_LONGEST_MAGIC = max(map(len, _MAGIC))
_DAMAGE = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)
_NAMES_SHOWN = 3


class Source(io.RawIOBase):
    """A stream of what a function gives: at most as many bytes as are asked for, and none at the end."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._read, self._close = read, close

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - what io.RawIOBase says
        """Read the next bytes into a buffer; returns how many."""
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close what is read, too."""
        try:
            self._close()
        finally:
            super().close()


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed.

    Damage found while reading raises an :class:`OSError` whose ``strerror`` says what is damaged.

    Raises:
        DataError: there is no such file, it is a folder, it may not be read, or nothing here can decompress it.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return decompressed(file, str(path))
    except BaseException:
        file.close()
        raise


def decompressed(file: IO[bytes], name: str) -> IO[bytes]:
    """Read an open file or a pipe through what its first bytes say it was compressed by, if they do.

    Args:
        file: open for reading bytes, at its beginning.
        name: what messages call it.

    Returns:
        A stream that closes ``file`` when it is closed.

    Raises:
        DataError: it cannot be read, or nothing here can decompress it.
    """
    source = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("Any", file))
    try:
        head = source.peek(_LONGEST_MAGIC)
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror})") from error
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if kind is None:
        if len(head) < _LONGEST_MAGIC and any(magic.startswith(head) for magic in _MAGIC if head):
            return _read_on(source, name)
        return source
    return _decompress(_READERS[kind](source, name), source, kind)


def is_compressed(path: Path) -> bool:
    """Whether a file that can be opened is compressed."""
    with path.open("rb") as file:
        return file.read(_LONGEST_MAGIC).startswith(tuple(_MAGIC))


def stem(name: str) -> Path:
    """A name without what says how the file is compressed.

    >>> stem("dev.conll.gz").name, stem("notes.txt").name
    ('dev.conll', 'notes.txt')
    """
    path = Path(name)
    return path.with_suffix("") if path.suffix.lower() in SUFFIXES else path


def _read_on(source: IO[bytes], name: str) -> IO[bytes]:
    """As :func:`decompressed`, of a pipe that has given less than it takes to tell."""
    try:
        head = source.read(_LONGEST_MAGIC)
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror})") from error
    begin, rest = io.BytesIO(head), cast("io.BufferedReader", source)
    joined = io.BufferedReader(Source(lambda size: begin.read(size) or rest.read1(size), rest.close))
    return joined if len(head) < _LONGEST_MAGIC else decompressed(joined, name)


def _decompress(inner: IO[bytes], source: IO[bytes], kind: str) -> IO[bytes]:
    """What a decompressor gives; whatever it raises for damage comes out as an OSError that says so."""

    def read(size: int) -> bytes:
        try:
            data: bytes = inner.read1(size)  # type: ignore[attr-defined]
        except _DAMAGE as error:
            reason = " ".join(str(error).split())
            raise OSError(errno.EIO, f"truncated or damaged {kind} file: {reason}") from error
        return data

    def close() -> None:
        try:
            inner.close()
        finally:
            source.close()

    return io.BufferedReader(Source(read, close))


def _open_zstd(source: IO[bytes], name: str) -> IO[bytes]:
    zstd = _zstd_module(name)
    opened = zstd.open(source)

    def read(size: int) -> bytes:
        try:
            data: bytes = opened.read1(size)
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from error
        return data

    return io.BufferedReader(Source(read, opened.close))


def _zstd_module(name: str) -> Any:  # noqa: ANN401
    for module in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return importlib.import_module(module)
    raise DataError(
        f"{name}: compressed by zstd, which before Python 3.14 needs an extra: pip install 'fenestra-ner[bulk]', or "
        "in the source folder: pip install '.[bulk]'; or decompress it first (zstd -d)"
    )


def _open_zip(source: IO[bytes], name: str) -> IO[bytes]:
    """The one file in an archive."""
    if not source.seekable():
        raise DataError(f"{name}: a zip archive on a pipe cannot be read; unzip it first (unzip -p)")
    try:
        archive = zipfile.ZipFile(source)
        members = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(members) == 1:
            return archive.open(members[0])
    except _DAMAGE as error:  # RuntimeError: it is encrypted
        raise DataError(f"{name}: truncated or damaged zip archive ({error})") from error
    shown = ", ".join(entry.filename for entry in members[:_NAMES_SHOWN]) or "nothing"
    more = ", …" if len(members) > _NAMES_SHOWN else ""
    raise DataError(f"{name}: a zip archive of {shown}{more}; expected one file in it, or the file itself")


_READERS: dict[str, Callable[[IO[bytes], str], IO[bytes]]] = {
    "gzip": lambda source, _: cast("IO[bytes]", gzip.GzipFile(fileobj=source)),
    "bzip2": lambda source, _: cast("IO[bytes]", bz2.BZ2File(source)),
    "xz": lambda source, _: cast("IO[bytes]", lzma.LZMAFile(source)),  # noqa: SIM115 - its caller closes it
    "zstd": _open_zstd,
    "zip": _open_zip,
}
