"""Pages of other origins, if the operator allows theirs."""

import pytest

from fenestra.app.settings import Settings
from fenestra.model.errors import InputError

ORIGIN = "https://app.example:8443"
PREFLIGHT = {
    "origin": ORIGIN, "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type",
}  # fmt: skip
KEY = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb"


@pytest.fixture
def open_to_one(serve):
    return serve(allowed_origins=f"{ORIGIN}, http://localhost:3000", api_keys=KEY)


def test_an_allowed_page_may_ask_what_it_may_send_without_a_key(open_to_one):
    answer = open_to_one.request("OPTIONS", "/tag", headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
    assert "access-control-allow-credentials" not in answer.headers


def test_an_allowed_page_may_read_answers_and_refusals(open_to_one):
    with_key = open_to_one.tag({"text": "Ada"}, origin=ORIGIN, authorization="Bearer open sesame")
    without = open_to_one.tag({"text": "Ada"}, origin=ORIGIN)
    assert (with_key.status_code, without.status_code) == (200, 401)
    for answer in (with_key, without):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    ["https://app.example", "http://app.example:8443", f"{ORIGIN}.evil.example", "null", "https://evil.example"],
)
def test_any_other_page_is_refused_and_told_nothing(open_to_one, refused, origin):
    for answer in (
        open_to_one.request("OPTIONS", "/tag", headers={**PREFLIGHT, "origin": origin}),
        open_to_one.tag({"text": "Ada"}, origin=origin, authorization="Bearer open sesame"),
    ):
        refused(answer, 400, "bad_request")
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_method_that_pages_may_not_use_is_refused_like_everything_else(open_to_one, refused):
    answer = open_to_one.request("OPTIONS", "/tag", headers={**PREFLIGHT, "access-control-request-method": "DELETE"})
    refused(answer, 400, "bad_request")


def test_by_default_there_is_no_cors(client, refused):
    refused(client.request("OPTIONS", "/tag", headers=PREFLIGHT), 400, "bad_request")


@pytest.mark.parametrize("origin", ["*", "app.example", "https://app.example/", "https://a b", "ftp://app.example"])
def test_an_origin_that_is_none_stops_the_start(monkeypatch, origin):
    monkeypatch.setenv("FENESTRA_ALLOWED_ORIGINS", origin)
    with pytest.raises(InputError, match=r"^FENESTRA_ALLOWED_ORIGINS: [^\n]+$"):
        Settings.read()
