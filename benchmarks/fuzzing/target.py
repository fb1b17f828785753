"""What is fuzzed, in a process of its own: ``python -m benchmarks.fuzzing.target NAME MODELS LIBRARY … -- …``.

    text        any string is split and tagged by the kernel as by the reference
    tokens      any words are tagged by the kernel as by the reference
    checkpoint  a folder with one file changed and a manifest that agrees is loaded and tags, or is refused in one line

Behind ``--`` come the arguments of libFuzzer. The first byte of an input chooses the build and the model.
"""

import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import atheris
import numpy as np  # noqa: F401 (not to be instrumented)

with atheris.instrument_imports(include=["fenestra.model"], enable_loader_override=False):
    from fenestra.model import checkpoint
    from fenestra.model.engine import library, native
    from fenestra.model.engine.library import Kernel
    from fenestra.model.errors import FenestraError
    from fenestra.model.results import Result, TaggedToken
    from fenestra.model.tagger import Tagger

PROBABILITY = 1e-3  # by which the two engines may differ
TIE = 0.02  # of the log-probability of two paths that are equally good
ITEM = "\0"  # between two texts, or two documents
MANIFEST = "manifest.json"
_CACHE_MB = 0.05  # small enough that rows are evicted
_WORDS = 300  # few enough that words are forgotten
_SAMPLE = ["Ada met Ito in Munich.", "", "Dr. A. Siemens, 3.14 \u00a0x"]

Target = Callable[[bytes], None]


class Pair:
    """One model in both engines; the kernel's answers must be the reference's."""

    def __init__(self, kernel: Kernel, folder: Path) -> None:
        model = checkpoint.load(folder)
        self._native = _native(kernel, model)
        self._reference = Tagger(model, device="cpu", engine="reference")
        self._tags = 2 * len(model.config.labels) + 1
        self._paths_multiply = model.config.decoder == "softmax" and model.config.scheme == "IOB2"

    def check_texts(self, texts: Sequence[str]) -> None:
        """Tag texts both ways."""
        found, expected = self._native.tag(texts), self._reference.tag(texts, alternatives=self._tags)
        for text, result, other in zip(texts, found, expected, strict=True):
            self._check(result, other)
            assert all(text[token.start : token.end] == token.text for token in result.tokens), "offsets"
        self._check_columns(texts, found)

    def check_documents(self, documents: Sequence[Sequence[Sequence[str]]]) -> None:
        """Tag documents of sentences of words both ways; the reference says its other tags sentence by sentence."""
        found, expected = self._native.tag_documents(documents), self._reference.tag_documents(documents)
        for results, others in zip(found, expected, strict=True):
            for result, other in zip(results, others, strict=True):
                self._check_words(result, other)
        sentences = [sentence for document in documents for sentence in document]
        alone = self._reference.tag_tokens(sentences, alternatives=self._tags)
        found = self._native.tag_tokens(sentences)
        for result, other in zip(found, alone, strict=True):
            self._check(result, other)
        self._check_columns(sentences, found)

    def _check_columns(self, items: Sequence[str | Sequence[str]], found: Sequence[Result]) -> None:
        """Columns are the results, to the bit."""
        *numbers, labels = self._native.columns(items)
        rows = zip(*(array.tolist() for array in numbers), strict=True)
        given = [(item, e.start, e.end, e.label, e.score) for item, result in enumerate(found) for e in result]
        assert [(item, a, b, labels[label], score) for item, a, b, label, score in rows] == given, "columns"

    def _check_words(self, result: Result, other: Result) -> None:
        assert [token[:3] for token in result.tokens] == [token[:3] for token in other.tokens], "tokens"

    def _check(self, result: Result, other: Result) -> None:
        """Raise AssertionError if the tags of two results differ, but for paths that are equally likely."""
        self._check_words(result, other)
        pairs = list(zip(result.tokens, other.tokens, strict=True))
        for token, expected in pairs:
            assert abs(token.score - _probability(expected, token.tag)) <= PROBABILITY, "scores"
        if not self._paths_multiply:
            return
        for same, run in groupby(pairs, key=lambda pair: pair[0].tag == pair[1].tag):
            gap = sum(_log(expected.score) - _log(_probability(expected, token.tag)) for token, expected in run)
            assert same or abs(gap) <= TIE, "tags"


def _probability(token: TaggedToken, tag: str) -> float:
    """What the reference thinks of a tag."""
    return {token.tag: token.score, **dict(token.alternatives)}[tag]


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-9))


def _native(kernel: Kernel, model: checkpoint.Checkpoint) -> Tagger:
    library.load = lambda: kernel  # type: ignore[assignment]
    options: dict[str, Any] = {"engine": "native", "threads": 1, "cache_mb": _CACHE_MB, "cache_numbers": "float32"}
    native.words_beside = lambda _: _WORDS  # type: ignore[assignment]
    return Tagger(model, device="cpu", **options)


def text_target(kernels: Sequence[Kernel], models: Path) -> Target:
    """Texts."""
    pairs = _pairs(kernels, models)

    def check(data: bytes) -> None:
        # An undecodable byte becomes half of a surrogate pair, which a Python string may hold too.
        texts = data[1:].decode("utf-8", "surrogateescape").split(ITEM)
        pairs[_choice(data) % len(pairs)].check_texts(texts)

    return check


def tokens_target(kernels: Sequence[Kernel], models: Path) -> Target:
    """Documents of lines of words."""
    pairs = _pairs(kernels, models)

    def check(data: bytes) -> None:
        documents = data[1:].decode("utf-8", "surrogateescape").split(ITEM)
        words = [[[word for word in line.split(" ") if word] for line in text.split("\n")] for text in documents]
        pairs[_choice(data) % len(pairs)].check_documents(words)

    return check


def checkpoint_target(kernels: Sequence[Kernel], models: Path) -> Target:
    """A folder with one file replaced; of the weights, their header only, unless the input ends as the file does."""
    folder = next(path for path in sorted(models.iterdir()) if path.is_dir())
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    names = [*files, MANIFEST]
    length = int.from_bytes(files["weights.safetensors"][:8], "little")
    scratch = Path(tempfile.mkdtemp(prefix="fenestra-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))

    def check(data: bytes) -> None:
        name, content = names[_choice(data) % len(names)], data[1:]
        if name == "weights.safetensors":
            content = len(content).to_bytes(8, "little") + content + files[name][8 + length :]
        changed = {**files, name: content}
        manifest = changed.pop(MANIFEST, None) or _manifest(changed)
        for file, bytes_of in {**changed, MANIFEST: manifest}.items():
            (scratch / file).write_bytes(bytes_of)
        refusal = ""
        try:
            _native(kernels[len(content) % len(kernels)], checkpoint.load(scratch)).tag(_SAMPLE)
        except FenestraError as error:
            refusal = str(error)
        assert "\n" not in refusal, "one line"

    return check


def _manifest(files: dict[str, bytes]) -> bytes:
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    return json.dumps({"format_version": checkpoint.FORMAT_VERSION, "files": listed}).encode()


def _pairs(kernels: Sequence[Kernel], models: Path) -> list[Pair]:
    folders = [path for path in sorted(models.iterdir()) if path.is_dir()]
    return [Pair(kernel, folder) for folder in folders for kernel in kernels]


def _choice(data: bytes) -> int:
    return data[0] if data else 0


TARGETS = {"text": text_target, "tokens": tokens_target, "checkpoint": checkpoint_target}


def main() -> None:
    """Hand the target over to libFuzzer, which ends the process."""
    at = sys.argv.index("--")
    name, models, *libraries = sys.argv[1:at]
    target = TARGETS[name]([Kernel(Path(path)) for path in libraries], Path(models))
    atheris.Setup([sys.argv[0], *sys.argv[at + 1 :]], target, internal_libfuzzer=False)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
