"""Servers that last as long as the session, and a canary after every test."""

import pytest

for module in ("world", "plays_body", "plays_http", "plays_load", "plays_life"):
    pytest.register_assert_rewrite(f"tests.faults.{module}")

from tests.faults.world import World  # noqa: E402 (its assertions are to be explained, too)


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    with World(tmp_path_factory.mktemp("faults")) as world:
        yield world


@pytest.fixture
def world(servers):
    """The servers; afterwards, those that were asked still answer as they did."""
    yield servers
    servers.check_canaries()
