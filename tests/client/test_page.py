"""The page on the client: what it types into Python gives what it shows."""

import pytest

from benchmarks.serving import Server
from tests.conftest import ROOT
from tests.pages import type_in

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server():
    with Server(log_level="warning") as server:
        yield server


def test_what_the_page_types_into_python_gives_what_it_shows(server):
    type_in(PAGE.replace("localhost:8000", f"127.0.0.1:{server.port}"), "docs/client.md")


def test_the_page_names_every_error_and_every_option():
    import fenestra.client
    from fenestra.client import ExplainOptions, TagOptions

    errors = {
        name for name, kind in vars(fenestra.client).items() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert [name for name in errors - {"ServiceError"} if f"`{name}`" not in PAGE and f"`{name}`s" not in PAGE] == []
    assert [
        name for name in {*TagOptions.__annotations__, *ExplainOptions.__annotations__} if f"`{name}`" not in PAGE
    ] == []
