"""The files that a checkpoint's manifest lists, each checked before it is trusted.

Sizes are compared before anything is read, and contents before they are used.
"""

import hashlib
import json
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from fenestra.model.errors import CheckpointError
from fenestra.model.progress import Pause, no_pause, parts
from fenestra.model.untrusted import MOST_VALUES, PIECE, RegularFile, parse_json, read_regular

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
CONFIG, WORDS, FEATURES, WEIGHTS = "config.json", "words.txt", "features.json", "weights.safetensors"
NEEDED = (CONFIG, WORDS, FEATURES, WEIGHTS)
"""The files that every model has."""

_MOST_MANIFEST = 1 << 20
_MOST_OTHER = 1 << 26
"""Most bytes of a file that a model does not need."""
_TEXT_PIECE = 1 << 16


class Files:
    """The files that a manifest lists; none is trusted before it was checked."""

    def __init__(
        self, folder: Path, limits: Mapping[str, int], *, known: Mapping[str, str] | None = None,
        pause: Pause = no_pause,
    ) -> None:  # fmt: skip
        """Read the manifest, and check the sizes of all files before anything of them is read.

        Args:
            folder: a checkpoint.
            limits: most bytes of the files that a model is made of, by name.
            known: sha256 of the files of a model that was loaded earlier, by name.
            pause: called between two pieces of the work.

        Raises:
            CheckpointError: there is no manifest, it is malformed, or a file is not as large as it says.
        """
        self._folder, self._limits, self._known, self._pause = folder, limits, known or {}, pause
        manifest, self.manifest = read_manifest(folder)
        self.version = version_of(self.manifest)
        self._listed: Mapping[str, Mapping[str, Any]] = manifest["files"]
        self.sums = {name: entry["sha256"] for name, entry in self._listed.items()}
        """The sha256 that the manifest lists of each file."""
        for name in self._listed:
            with self.open(name):
                pass

    @contextmanager
    def open(self, name: str) -> Iterator[RegularFile]:
        """Open a file that has the size which the manifest lists.

        Raises:
            CheckpointError: it has not, or cannot be read; whether by this or while it is open.
            ValueError: it is not listed.
        """
        if name not in self.sums:
            raise ValueError(f"{name} is not listed in {MANIFEST}")
        size = self._listed[name]["bytes"]
        path = self._folder / name
        try:
            with RegularFile(path, self._limits.get(name, _MOST_OTHER)) as file:
                if file.size != size:
                    raise CheckpointError(f"{path}: {file.size} bytes, expected {size}")
                yield file
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error

    def check_others(self) -> None:
        """Check the content of the files that a model does not need, in bounded memory.

        Raises:
            CheckpointError: one is not what the manifest lists.
        """
        for name in self.sums.keys() - self._limits.keys():
            self._check(name)

    def unchanged(self, name: str) -> bool:
        """Whether a file has the content that it had for the model that was loaded earlier.

        Raises:
            CheckpointError: its content is not what the manifest lists.
        """
        if name not in self.sums or self._known.get(name) != self.sums[name]:
            return False
        self._check(name)
        return True

    def _check(self, name: str) -> None:
        """Check the content of a file without keeping it."""
        with self.open(name) as file:
            buffer = memoryview(bytearray(min(file.size, PIECE)))
            sizes = (min(file.size - begin, PIECE) for begin in range(0, file.size, PIECE))
            self.check_sum(name, chain.from_iterable(file.fill(buffer[:size]) for size in sizes))

    def read(self, name: str) -> bytearray:
        """All of a file, when its content has proved to be what the manifest lists.

        Raises:
            CheckpointError: it is not.
            ValueError: the manifest does not list the file.
        """
        with self.open(name) as file:
            content = bytearray(file.size)
            self.check_sum(name, file.fill(content))
        return content

    def read_text(self, name: str) -> str:
        """A file that is lines of UTF-8.

        Raises:
            ValueError: it is not UTF-8, or its last line has no end.
        """
        content, decoder = memoryview(self.read(name)), getincrementaldecoder("utf-8")()
        pieces = []
        try:
            for part in parts(len(content), _TEXT_PIECE):
                pieces.append(decoder.decode(content[part], final=part.stop == len(content)))
                self._pause()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: is not UTF-8") from error
        text = "".join(pieces)
        if text and not text.endswith("\n"):
            raise ValueError(f"{name}: its last line has no end")
        return text

    def read_json(self, name: str, most: int = MOST_VALUES) -> dict[str, Any]:
        """A file that is an object of JSON, of at most ``most`` values.

        Raises:
            ValueError: it is not.
        """
        content = self.read(name)
        self._pause()
        try:
            found = parse_json(content, most)
            if b"\\u" in content:  # the only way to half of a surrogate pair, which cannot be written anywhere
                json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{name}: a string is not Unicode") from error
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        if not isinstance(found, dict):
            raise ValueError(f"{name}: expected an object")
        return found

    def check_sum(self, name: str, pieces: Iterable[memoryview]) -> None:
        """Compare the sha256 of a file with the one that the manifest lists.

        Args:
            name: of the file.
            pieces: its content, as it is read.

        Raises:
            CheckpointError: it is another one, or the file cannot be read.
        """
        digest, expected = hashlib.sha256(), self.sums[name]
        for piece in pieces:
            digest.update(piece)
            self._pause()
        if (found := digest.hexdigest()) != expected:
            raise CheckpointError(f"{self._folder / name}: sha256 {found[:12]}…, expected {str(expected)[:12]}…")


def read_manifest(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The manifest of a folder, read and as it is written there.

    Raises:
        CheckpointError: there is none, or it is malformed or of another format.
    """
    path = folder / MANIFEST
    try:
        raw = read_regular(path, _MOST_MANIFEST)
    except OSError as error:
        raise CheckpointError(f"{folder}: not a checkpoint: cannot read {MANIFEST} ({error.strerror})") from error
    try:
        manifest = parse_json(raw)
        found, listed = manifest["format_version"], manifest["files"]
        names = {name: (entry["sha256"], entry["bytes"]) for name, entry in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = "expected format_version and files, each with sha256, bytes"
        raise CheckpointError(f"{path}: {expected}") from error
    if type(found) is not int or found != FORMAT_VERSION:
        raise CheckpointError(f"{folder}: format version {found!r}, this program reads version {FORMAT_VERSION}")
    if missing := [name for name in NEEDED if name not in names]:
        raise CheckpointError(f"{path}: does not list {', '.join(missing)}")
    for name, (digest, size) in names.items():
        check_name(path, name)
        if not isinstance(digest, str):
            raise CheckpointError(f"{path}: {name}: sha256 {digest!r}, expected a string")
        if type(size) is not int or size < 0:
            raise CheckpointError(f"{path}: {name}: bytes {size!r}, expected a whole number")
    return manifest, raw


def version_of(manifest: bytes) -> str:
    """The version of a checkpoint: twelve hex digits of the sha256 of its manifest."""
    return hashlib.sha256(manifest).hexdigest()[:12]


def check_name(where: Path, name: str) -> None:
    """Refuse the name of a file of a checkpoint that leads out of its folder; raises CheckpointError."""
    if name in ("", "..") or Path(name).name != name or not name.isprintable():
        raise CheckpointError(f"{where}: {name!r} is not a plain file name")
