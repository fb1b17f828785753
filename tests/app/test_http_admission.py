"""Names, keys and rates: who is let in."""

import base64
import hashlib
import socket

import pytest

from fenestra.app.errors import Problem
from fenestra.app.middleware.hosts import AllowedHosts
from fenestra.app.middleware.rate_limit import BoundedWindowStorage, RateLimiter
from tests.app.live import PATIENCE, LiveServer, request

KEY = "correct horse"
HAS_BOTH = socket.has_dualstack_ipv6()
HASHES = [hashlib.sha256(key.encode()).hexdigest() for key in ("another", KEY)]


def admits(hosts, host=None, origin=None):
    try:
        hosts.check([host] if host is not None else [], [origin] if origin is not None else [])
    except Problem as problem:
        return problem.code != "bad_request"
    return True


LOCAL = AllowedHosts((), "127.0.0.1")
PUBLIC = AllowedHosts((), "0.0.0.0")
NAMED = AllowedHosts(("ner.example.org",), "0.0.0.0")
ANY = AllowedHosts(("*",), "127.0.0.1")


@pytest.mark.parametrize(
    "host", [b"localhost", b"LOCALHOST:8000", b"a.localhost", b"127.0.0.1:8000", b"[::1]:8000", b"192.0.2.1"]
)
@pytest.mark.parametrize("hosts", [LOCAL, PUBLIC, ANY])
def test_names_that_mean_this_machine_are_ours(hosts, host):
    assert admits(hosts, host)


@pytest.mark.parametrize(
    "host", [b"evil.test", b"localhost.evil.test", b"evillocalhost", b"127.0.0.1.evil.test", b"127.1"]
)
def test_behind_a_loopback_address_there_are_no_other_names(host):
    assert not admits(LOCAL, host)
    assert admits(PUBLIC, host)


@pytest.mark.parametrize(
    "host", [b"ner.example.org", b"NER.Example.ORG:80", b"ner.example.org.", b"10.0.0.7", b"[2001:db8::1]"]
)
def test_named_hosts_and_addresses_are_admitted(host):
    assert admits(NAMED, host)


@pytest.mark.parametrize("host", [b"localhost", b"example.org", b"x.ner.example.org", b"ner.example.org.evil.test"])
def test_where_names_are_given_no_other_will_do(host):
    assert not admits(NAMED, host)


@pytest.mark.parametrize(
    "host", [b"", b" ", b"a b", b"a/b", b"user@localhost", b"localhost:", b"localhost:x", b"localhost:123456", b"[::1",
             b"[:::::]", b"loc\xe9", b"a,b", b"-a", b".", b"a" * 254, b"a" * 100_000, b"<script>"]
)  # fmt: skip
@pytest.mark.parametrize("hosts", [LOCAL, PUBLIC, NAMED, ANY])
def test_what_is_no_name_is_nobodys(hosts, host):
    assert not admits(hosts, host)


def test_of_two_hosts_none_counts():
    with pytest.raises(Problem):
        ANY.check([b"localhost", b"localhost"], [])


@pytest.mark.parametrize(
    ("hosts", "host", "origin", "admitted"),
    [
        (LOCAL, b"localhost:8000", b"http://localhost:8000", True),
        (LOCAL, b"localhost:8000", b"http://127.0.0.1:3000", True),
        (LOCAL, b"192.0.2.1:8000", b"http://192.0.2.1:8000", True),
        (LOCAL, b"localhost:8000", b"http://192.0.2.1", False),
        (LOCAL, b"localhost:8000", b"https://evil.test", False),
        (PUBLIC, b"ner.test", b"https://ner.test", True),
        (PUBLIC, b"ner.test", b"https://evil.test", False),
        (NAMED, b"10.0.0.7", b"https://ner.example.org", True),
        (NAMED, b"ner.example.org", b"https://evil.test", False),
        (NAMED, b"ner.example.org", b"https://ner.example.org.evil.test", False),
        (ANY, b"a.test", b"https://b.test", True),
        (ANY, b"a.test", b"null", False),
        (ANY, b"a.test", b"", False),
        (ANY, b"a.test", b"a.test", False),
        (ANY, b"a.test", b"https://b.test/path", False),
        (ANY, None, b"https://b.test", True),
        (PUBLIC, None, b"https://b.test", False),
    ],
)
def test_a_page_may_ask_only_if_it_is_from_here(hosts, host, origin, admitted):
    assert admits(hosts, host, origin) is admitted


def test_strangers_are_refused_and_invited_by_no_header():
    with LiveServer() as server:
        for sent in (
            request(host=b"evil.test"),
            request(Origin="https://evil.test"),
            request("/tag", b"{}", Origin="null"),
        ):
            answer = server.ask(sent)
            assert (answer.status, answer.code) == (400, "bad_request")
            assert not [name for name in answer.headers if name.startswith("access-control")]
        assert server.refused("bad_request") == 3
        assert server.ask(b"GET /livez HTTP/1.0\r\n\r\n").status == 200


def test_nobody_is_believed_to_ask_for_another():
    with LiveServer(rate_limit="2/hour") as server:
        statuses = [server.ask(request("/models", X_Forwarded_For=f"192.0.2.{n}")).status for n in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("proxies", ["127.0.0.1", "192.0.2.9,127.0.0.0/8", "127.0.0.1/8"])
def test_a_trusted_proxy_is_believed(proxies):
    with LiveServer(rate_limit="2/hour", trusted_proxies=proxies) as server:
        statuses = [server.ask(request("/models", X_Forwarded_For=f"192.0.2.{n}")).status for n in range(3)]
    assert statuses == [200, 200, 200]


# ── keys ──


@pytest.fixture(scope="module")
def locked():
    with LiveServer(api_keys=",".join(HASHES)) as live:
        yield live


def basic(password):
    return "Basic " + base64.b64encode(b"anyone:" + password.encode()).decode()


@pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer  {KEY}", basic(KEY), "Bearer another"])
def test_a_key_opens_every_route(locked, authorization):
    for path in ("/models", "/", "/metrics", "/docs"):
        assert locked.ask(request(path, Authorization=authorization)).status == 200


WRONG = ["", "Basic !",
         "Bearer", "Bearer ", "Bearer wrong", "Bearer correct", KEY, "Basic", "Basic !!!", basic("wrong"), basic(""),
         "Bearer caf\xe9", "Digest x", f"Bearer {HASHES[0]}", "Bearer " + "x" * 1_000_000]  # fmt: skip


@pytest.mark.parametrize("authorization", [None, *WRONG])
def test_nothing_else_does(locked, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    before = locked.refused("unauthorized")
    answer = locked.ask(request("/models", **headers))
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert locked.refused("unauthorized") == before + 1


def test_of_two_keys_none_counts(locked):
    sent = request("/models", Authorization=f"Bearer {KEY}", authorization=f"Bearer {KEY}")
    assert locked.ask(sent).code == "unauthorized"


@pytest.mark.parametrize("path", ["/models", "/", "/metrics", "/docs", "/openapi.json", "/static/page.css", "/nowhere"])
def test_behind_keys_nothing_is_told_without(locked, path):
    assert locked.ask(request(path)).status == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_no_key(locked, path):
    assert locked.ask(request(path)).status == 200


# ── rates ──


def test_a_client_that_asks_too_often_is_told_when_to_come_back():
    with LiveServer(rate_limit="3/hour") as server, server.connect() as wire:
        for number in range(5):
            wire.send(request("/models"))
            answer = wire.answer()
            assert answer.status == (200 if number < 3 else 429)
        assert answer.code == "rate_limited"
        assert 1 <= int(answer.headers["retry-after"]) <= 3600
        for path in ("/livez", "/readyz", "/metrics"):
            wire.send(request(path))
            assert wire.answer().status == 200
        assert server.refused("rate_limited") == 2


def test_each_key_has_a_rate_of_its_own():
    with LiveServer(rate_limit="1/hour", api_keys=",".join(HASHES)) as server:
        keys = ["another", KEY, KEY, "another"]
        assert [server.ask(request("/models", Authorization=f"Bearer {key}")).status for key in keys] == [
            200,
            200,
            429,
            429,
        ]


@pytest.mark.skipif(not HAS_BOTH, reason="no socket takes both kinds of addresses here")
def test_a_socket_for_both_kinds_of_addresses_knows_ipv4_clients_apart():
    """It shows them as ::ffff:127.0.0.1: one network, if one looked at half of its bits."""
    with LiveServer(rate_limit="1/hour", host="::") as server:
        port = server.address[1]
        for source, status in (("127.0.0.1", 200), ("127.0.0.2", 200), ("127.0.0.1", 429)):
            with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as wire:
                wire.sendall(request("/models"))
                assert wire.recv(12) == b"HTTP/1.1 %d" % status


@pytest.mark.skipif(not HAS_BOTH, reason="no socket takes both kinds of addresses here")
def test_a_socket_for_both_kinds_of_addresses_knows_a_proxy_by_its_ipv4_address():
    with LiveServer(rate_limit="1/hour", host="::", trusted_proxies="127.0.0.0/8") as server:
        for client, status in (("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429)):
            with socket.create_connection(("127.0.0.1", server.address[1]), PATIENCE) as wire:
                wire.sendall(request("/models", X_Forwarded_For=client))
                assert wire.recv(12) == b"HTTP/1.1 %d" % status


def test_a_rate_lasts_for_its_window_and_no_longer(monkeypatch):
    now = [1_000_000.5]
    monkeypatch.setattr("time.time", lambda: now[0])
    rates = RateLimiter("10/minute")

    def admitted(most):
        refusals = []
        for _ in range(most):
            try:
                rates.check("a")
            except Problem as problem:
                refusals.append(problem)
        assert {problem.code for problem in refusals} <= {"rate_limited"}
        assert all(1 <= int(problem.headers["Retry-After"]) <= 60 for problem in refusals)
        return most - len(refusals)

    assert admitted(15) == 10
    now[0] += 60
    assert 0 < admitted(15) < 10  # the window slides: what was asked a minute ago still weighs
    now[0] += 180
    assert admitted(15) == 10


def test_any_number_of_clients_takes_bounded_memory():
    windows = BoundedWindowStorage(100)
    for number in range(1000):
        assert windows.acquire_sliding_window_entry(f"client {number}", 5, 60)
    assert windows.reset() == 100
