"""What the tests of integrations share; needs nothing but the base install."""

import doctest
import re
from pathlib import Path

import pytest

import fenestra

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data" / "sample"


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


@pytest.fixture(scope="session")
def try_section():
    """Types into Python what a section of a page does, and fails where it gives something else than it shows."""

    def run(page, heading):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
        typed = "".join(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
        session = doctest.DocTestParser().get_doctest(typed, {}, page, page, 0)
        assert session.examples
        assert doctest.DocTestRunner(verbose=False).run(session).failed == 0

    return run
