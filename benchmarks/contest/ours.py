"""Our tagger as a contender: ``python -m benchmarks.contest.ours MATERIAL COPIES MODEL THREADS [VARIANT]``."""

import platform
from collections.abc import Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.contest.protocol import Contender, Material, Place, Words, arguments, serve
from fenestra.model.results import Entity, Result
from fenestra.model.tagger import Tagger

VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    "reference": {"engine": "reference"},  # NumPy; remembers nothing of a word from one batch to the next
    "int8": {"cache_numbers": "int8"},
    "arrow": {},
}
"""How a tagger is loaded. ``arrow`` is given Arrow arrays and gives some."""


class Ours(Contender):
    """A tagger on the CPU."""

    def __init__(self, folder: Path, threads: int, variant: str) -> None:
        self._folder, self._threads, self._options = folder, threads, VARIANTS[variant]
        self._tagger: Tagger
        self.fresh()

    def fresh(self) -> None:
        """Load the checkpoint."""
        self._tagger = Tagger.load(self._folder, device="cpu", threads=self._threads, **self._options)

    def facts(self) -> dict[str, Any]:
        """Which model, which libraries."""
        version = {"python": platform.python_version(), "numpy": metadata.version("numpy")}
        return {"model": self._tagger.version, **version, **self._options}

    def raw(self, texts: Sequence[str]) -> list[list[Entity]]:
        """All in one call; the tagger makes batches."""
        return self._tagger.tag(texts)

    def raw_one(self, text: str) -> list[Entity]:
        """A batch of one."""
        return self._tagger.tag([text])[0]

    def tokens(self, documents: Sequence[Sequence[Words]]) -> list[Result]:
        """All in one call, each document as a whole."""
        return [found for document in self._tagger.tag_documents(documents) for found in document]

    def tokens_one(self, words: Words) -> list[Entity]:
        """A sentence for itself."""
        return self._tagger.tag_tokens([words])[0]

    def places(self, answer: Result | list[Entity]) -> list[Place]:
        """Without the scores."""
        return [(entity.start, entity.end, entity.label) for entity in answer]


class Columnar(Ours):
    """The same tagger, from Arrow to Arrow; a sentence of words stands for itself."""

    def prepare(self, way: str, items: list[Any]) -> Any:  # noqa: ANN401 - an array of pyarrow
        """As an array of texts, or of lists of words."""
        import pyarrow

        return pyarrow.array(items if way == "raw" else list(chain.from_iterable(items)))

    def raw(self, texts: Any) -> Any:  # noqa: ANN401 - an array of pyarrow
        """One call."""
        return self._tagger.tag_arrow(texts)

    def tokens(self, documents: Any) -> Any:  # noqa: ANN401 - an array of pyarrow
        """One call."""
        return self._tagger.tag_arrow(documents)

    def places(self, answer: Any) -> list[Place]:  # noqa: ANN401 - a list of Arrow, or a result
        """Without the scores."""
        if isinstance(answer, Result):
            return super().places(answer)
        return [(entity["start"], entity["end"], entity["label"]) for entity in answer.as_py()]


def main(material: str, copies: str, folder: str, threads: str, variant: str = "") -> None:
    """Answer until standard input ends."""
    kind = Columnar if variant == "arrow" else Ours
    serve(lambda: kind(Path(folder), int(threads), variant), Material(Path(material), int(copies)))


if __name__ == "__main__":
    main(*arguments(__doc__, "material", "copies", "model", "threads", optional="variant"))
