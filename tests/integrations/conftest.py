"""What the tests of integrations share; needs nothing but the base install, and ``serve`` for a service to call."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

import fenestra
from tests.pages import type_in

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


@pytest.fixture(scope="module")
def start():
    """Start services: ``start(label_map="PER:PERSON")`` gives one that ends with the module."""
    from benchmarks.serving import Server

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Server(drain_seconds=0, grace_seconds=1, **settings))


@pytest.fixture(scope="session")
def try_section():
    """Types into Python what a section of a page does, and fails where it gives something else than it shows."""

    def run(page, heading):
        (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", read(page), re.MULTILINE | re.DOTALL)
        type_in(section, page)

    return run


@pytest.fixture(scope="session")
def follow():
    """The same of a whole page, with the service at a port instead of 8000."""

    def run(page, port=8000):
        type_in(read(page).replace("127.0.0.1:8000", f"127.0.0.1:{port}"), page)

    return run


def read(page):
    return (ROOT / "docs" / page).read_text(encoding="utf-8")
