"""Servers that live as long as the session, and a check of them after every test."""

import pytest

for module in ("world", "scenarios_body", "scenarios_http", "scenarios_load", "scenarios_life", "scenarios_checkpoint"):
    pytest.register_assert_rewrite(f"tests.faults.{module}")

from tests.faults.world import World  # noqa: E402 (its assertions are to be explained, too)


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    with World(tmp_path_factory.mktemp("faults")) as world:
        yield world


@pytest.fixture
def world(servers):
    """The servers; after the test, those that it used must still respond as before."""
    yield servers
    servers.check_canaries()
