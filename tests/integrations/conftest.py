"""What the tests of integrations share; needs nothing but the base install."""

from pathlib import Path

import pytest

import fenestra

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.fixture(scope="session")
def tagger():
    return fenestra.load("english")


@pytest.fixture(scope="session")
def texts():
    """The sentences of the sample corpus as raw text, some with characters that take several bytes and units."""
    found = []
    for file in ("train.conll", "dev.conll", "test.conll"):
        for sentence in (SAMPLE / file).read_text(encoding="utf-8").split("\n\n"):
            words = [line.split("\t")[0] for line in sentence.splitlines() if not line.startswith("-DOCSTART-")]
            found.append(" ".join(words))
    return [f"😀 „{text}“ é" if place % 5 == 0 else text for place, text in enumerate(filter(None, found))]
