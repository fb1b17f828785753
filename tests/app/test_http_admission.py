"""Allowed hosts, API keys and rate limits."""

import base64
import hashlib
import socket

import pytest

from fenestra.app.errors import Problem
from fenestra.app.middleware.hosts import AllowedHosts
from fenestra.app.middleware.rate_limit import BoundedWindowStorage, RateLimiter
from tests.app.live import TIMEOUT, LiveServer, request

KEY = "correct horse"
HAS_BOTH = socket.has_dualstack_ipv6()
HASHES = [hashlib.sha256(key.encode()).hexdigest() for key in ("another", KEY)]


def allows(hosts, host=None, origin=None):
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
def test_names_of_this_machine_are_allowed(hosts, host):
    assert allows(hosts, host)


@pytest.mark.parametrize(
    "host", [b"evil.test", b"localhost.evil.test", b"evillocalhost", b"127.0.0.1.evil.test", b"127.1"]
)
def test_on_a_loopback_address_no_other_name_is_allowed(host):
    assert not allows(LOCAL, host)
    assert allows(PUBLIC, host)


@pytest.mark.parametrize(
    "host", [b"ner.example.org", b"NER.Example.ORG:80", b"ner.example.org.", b"10.0.0.7", b"[2001:db8::1]"]
)
def test_listed_hosts_and_ip_addresses_are_allowed(host):
    assert allows(NAMED, host)


@pytest.mark.parametrize("host", [b"localhost", b"example.org", b"x.ner.example.org", b"ner.example.org.evil.test"])
def test_with_listed_hosts_no_other_name_is_allowed(host):
    assert not allows(NAMED, host)


@pytest.mark.parametrize(
    "host", [b"", b" ", b"a b", b"a/b", b"user@localhost", b"localhost:", b"localhost:x", b"localhost:123456", b"[::1",
             b"[:::::]", b"loc\xe9", b"a,b", b"-a", b".", b"a" * 254, b"a" * 100_000, b"<script>"]
)  # fmt: skip
@pytest.mark.parametrize("hosts", [LOCAL, PUBLIC, NAMED, ANY])
def test_a_malformed_host_is_never_allowed(hosts, host):
    assert not allows(hosts, host)


def test_two_host_headers_are_refused():
    with pytest.raises(Problem):
        ANY.check([b"localhost", b"localhost"], [])


@pytest.mark.parametrize(
    ("hosts", "host", "origin", "allowed"),
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
def test_only_pages_of_an_allowed_origin_may_send_requests(hosts, host, origin, allowed):
    assert allows(hosts, host, origin) is allowed


def test_foreign_hosts_and_origins_are_refused_without_cors_headers():
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


def test_x_forwarded_for_is_ignored_without_a_trusted_proxy():
    with LiveServer(rate_limit="2/hour") as server:
        statuses = [server.ask(request("/models", X_Forwarded_For=f"192.0.2.{n}")).status for n in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("proxies", ["127.0.0.1", "192.0.2.9,127.0.0.0/8", "127.0.0.1/8"])
def test_x_forwarded_for_of_a_trusted_proxy_is_used(proxies):
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
def test_a_key_is_accepted_on_every_route(locked, authorization):
    for path in ("/models", "/", "/metrics", "/docs"):
        assert locked.ask(request(path, Authorization=authorization)).status == 200


WRONG = ["", "Basic !",
         "Bearer", "Bearer ", "Bearer wrong", "Bearer correct", KEY, "Basic", "Basic !!!", basic("wrong"), basic(""),
         "Bearer caf\xe9", "Digest x", f"Bearer {HASHES[0]}", "Bearer " + "x" * 1_000_000]  # fmt: skip


@pytest.mark.parametrize("authorization", [None, *WRONG])
def test_anything_but_a_key_is_unauthorized(locked, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    before = locked.refused("unauthorized")
    answer = locked.ask(request("/models", **headers))
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert locked.refused("unauthorized") == before + 1


def test_two_authorization_headers_are_unauthorized(locked):
    sent = request("/models", Authorization=f"Bearer {KEY}", authorization=f"Bearer {KEY}")
    assert locked.ask(sent).code == "unauthorized"


@pytest.mark.parametrize("path", ["/models", "/", "/metrics", "/docs", "/openapi.json", "/static/page.css", "/nowhere"])
def test_without_a_key_every_path_is_unauthorized(locked, path):
    assert locked.ask(request(path)).status == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_no_key(locked, path):
    assert locked.ask(request(path)).status == 200


# ── rate limits ──


def test_a_rate_limited_client_is_told_when_to_retry():
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


def test_each_key_has_a_rate_limit_of_its_own():
    with LiveServer(rate_limit="1/hour", api_keys=",".join(HASHES)) as server:
        keys = ["another", KEY, KEY, "another"]
        assert [server.ask(request("/models", Authorization=f"Bearer {key}")).status for key in keys] == [
            200,
            200,
            429,
            429,
        ]


@pytest.mark.skipif(not HAS_BOTH, reason="no socket takes both kinds of addresses here")
def test_a_dual_stack_socket_tells_ipv4_clients_apart():
    """It shows them as ::ffff:127.0.0.1, which would all be in one /64 network."""
    with LiveServer(rate_limit="1/hour", host="::") as server:
        port = server.address[1]
        for source, status in (("127.0.0.1", 200), ("127.0.0.2", 200), ("127.0.0.1", 429)):
            with socket.create_connection(("127.0.0.1", port), TIMEOUT, (source, 0)) as wire:
                wire.sendall(request("/models"))
                assert wire.recv(12) == b"HTTP/1.1 %d" % status


@pytest.mark.skipif(not HAS_BOTH, reason="no socket takes both kinds of addresses here")
def test_a_dual_stack_socket_recognises_a_proxy_by_its_ipv4_address():
    with LiveServer(rate_limit="1/hour", host="::", trusted_proxies="127.0.0.0/8") as server:
        for client, status in (("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 429)):
            with socket.create_connection(("127.0.0.1", server.address[1]), TIMEOUT) as wire:
                wire.sendall(request("/models", X_Forwarded_For=client))
                assert wire.recv(12) == b"HTTP/1.1 %d" % status


def test_a_rate_limit_applies_to_a_sliding_window(monkeypatch):
    now = [1_000_000.5]
    monkeypatch.setattr("time.time", lambda: now[0])
    limiter = RateLimiter("10/minute")

    def count_allowed(requests):
        refusals = []
        for _ in range(requests):
            try:
                limiter.check("a")
            except Problem as problem:
                refusals.append(problem)
        assert {problem.code for problem in refusals} <= {"rate_limited"}
        assert all(1 <= int(problem.headers["Retry-After"]) <= 60 for problem in refusals)
        return requests - len(refusals)

    assert count_allowed(15) == 10
    now[0] += 60
    assert 0 < count_allowed(15) < 10  # the window slides: requests of a minute ago still count in part
    now[0] += 180
    assert count_allowed(15) == 10


def test_rate_limits_of_any_number_of_clients_take_bounded_memory():
    storage = BoundedWindowStorage(100)
    for number in range(1000):
        assert storage.acquire_sliding_window_entry(f"client {number}", 5, 60)
    assert storage.reset() == 100
