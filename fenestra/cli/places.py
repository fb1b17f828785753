"""Where files are: on this machine, or behind a URL of another file system, such as ``s3://`` or ``gs://``.

A URL becomes a ``UPath`` of universal_pathlib, which the extra ``bulk`` brings; it has the methods of a path. Behind it
stands fsspec, and each file system's own package, such as s3fs or gcsfs.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO, cast

from fenestra.model.errors import InputError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_WEB = re.compile(r"https?:/", re.IGNORECASE)  # of two strokes, pathlib keeps one
_WORD = re.compile(r"\S+")
_ENDS = ":;,.)]'\""
_PASSWORD = re.compile(rf"{_URL.pattern}[^/:@]*:(?!\d+(?:/|$))[^@]*@")


def as_path(name: str) -> Path:
    """The path that a name means; that of a file on this machine for ``file://``.

    Raises:
        InputError: the package of a file system is not installed, or there is no such one; or the URL has a password,
            which every message, and the file of what was left out, would repeat.
    """
    if not _URL.match(name):
        return Path(name)
    if _PASSWORD.match(name):
        raise InputError(
            f"{name.partition('://')[0]}://…@…: a URL with a password, which messages and other users would see; "
            "expected one without: each file system finds its credentials by itself"
        )
    if name.startswith("file://"):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        return Path(url2pathname(urlsplit(name).path))
    try:
        from upath import UPath

        path = UPath(name, use_listings_cache=False)  # workers write, too
        path.fs  # noqa: B018 - imports the file system's package
    except ModuleNotFoundError as error:
        way = "pip install 'fenestra-ner[bulk]', or in the source folder: pip install '.[bulk]'"
        raise InputError(f"{name}: needs {error.name}; install the extra: {way}") from error
    except (ImportError, ValueError) as error:
        raise InputError(f"{name}: {' '.join(str(error).split())[:200]}") from error
    return cast("Path", path)


def is_remote(path: Path) -> bool:
    """Whether a path is of another file system."""
    return not isinstance(path, Path)


def without_query(name: str) -> str:
    """The name of a file, without what a web address has behind ``?``: of a presigned one, that is what opens it.

    >>> without_query("https://host/texts.jsonl.gz?X-Amz-Signature=c0ffee")
    'https://host/texts.jsonl.gz'
    """
    return name.partition("?")[0] if _HTTP.match(name) else name


def without_queries(message: str) -> str:
    """A message whose web addresses have nothing behind ``?``.

    >>> without_queries("https://host/a.jsonl?X-Amz-Signature=c0ffee: cannot be read")
    'https://host/a.jsonl: cannot be read'
    """
    return _WORD.sub(_cut, message) if "?" in message else message


def _cut(word: re.Match[str]) -> str:
    """A word of a message, without the query of an address, and with the marks behind it."""
    said = word[0]
    address = _WEB.search(said)
    begin = said.find("?", address.end()) if address else -1
    return said if begin < 0 else said[:begin] + said[max(len(said.rstrip(_ENDS)), begin) :]


def why(error: BaseException) -> str:
    """Why a file cannot be read or written, in words; never empty, as those of a timeout are.

    >>> why(FileNotFoundError(2, "No such file or directory", "a.txt")), why(TimeoutError())
    ('No such file or directory', 'TimeoutError')
    """
    said = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    words = without_queries(" ".join(said.split()))[:200].rstrip(": ")
    return words or type(error).__name__


@contextmanager
def _named_errors() -> Iterator[None]:
    """What a file system's package raises is an OSError that says why: each has errors of its own, some without words.

    Raises:
        OSError: in their place.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise
        raise OSError(0, why(error)) from error


class _Remote(io.RawIOBase):
    """A file of another file system, whose errors say why."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - what io.RawIOBase says
        with _named_errors():
            data = self._file.read(len(buffer))
            buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _named_errors():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            super().close()


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, here or on another file system.

    Raises:
        OSError: it cannot be; so does reading it.
    """
    if not is_remote(path):
        return path.open("rb")
    with _named_errors():
        return io.BufferedReader(_Remote(path.open("rb")))


def files_below(folder: Path) -> list[tuple[Path, str, int]]:
    """The files of a remote folder and the folders in it: their path, the one inside the folder, and their bytes.

    They come in the order of names in which those of a local folder do; names that begin with a dot are passed by.

    Raises:
        OSError: it cannot be read.
    """
    system = cast("Any", folder).fs
    root = cast("Any", folder).path.rstrip("/")
    found = []
    for name, about in system.find(root, detail=True).items():
        parts = name[len(root) :].strip("/").split("/")
        if about["type"] == "file" and not any(part.startswith(".") for part in parts):
            order = [*((True, part) for part in parts[:-1]), (False, parts[-1])]
            found.append((order, folder.joinpath(*parts), "/".join(parts), about["size"] or 0))
    return [(path, inside, size) for _, path, inside, size in sorted(found, key=lambda one: one[0])]


@contextmanager
def uploaded(path: Path) -> Iterator[TextIO]:
    """A file of another file system to write; on an object store it appears when all is written, or not at all."""
    file: IO[bytes] = cast("Any", path).fs.open(cast("Any", path).path, "wb", autocommit=False)
    stream = io.TextIOWrapper(file, "utf-8", newline="\n")
    try:
        yield stream
        stream.flush()
        file.close()
    except BaseException:
        cast("Any", file).discard()
        raise
    cast("Any", file).commit()
