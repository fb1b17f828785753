"""Scenarios of connections and headers that take more than one exchange."""

import json
import random
import re
import string
import time
from contextlib import ExitStack

from benchmarks.neighbours import BEGINNINGS
from benchmarks.serving import Server
from benchmarks.wire import Wire, post
from tests.faults.world import CANARY, FAULTY, ask, canary, check_refusal


def slow_clients(world, name, sockets, seconds):
    """Whatever part of a request they have sent, they are disconnected, while other clients are served."""
    server = world.server(name)
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        wires = [(kind, stack.enter_context(Wire(server.port))) for kind in BEGINNINGS for _ in range(sockets)]
        for kind, wire in wires:
            wire.send(BEGINNINGS[kind])
        while wires and time.monotonic() < deadline:
            canary(server)
            for kind, wire in list(wires):
                if wire.closed(0.01) or ("drips" in kind and not wire.send(b"x")):
                    wires.remove((kind, wire))
        assert [kind for kind, _ in wires] == []


def idle_sockets(world, name, sockets):
    server = world.server(name)
    with ExitStack() as stack:
        for _ in range(sockets):
            stack.enter_context(Wire(server.port))
        for path in ("/livez", "/readyz"):
            assert server.get(path)[0] == 200


def clients_that_disconnect(world, name):
    """While their request waits, while it is computed, and while its response is being sent."""
    server = world.server(name)
    _settle(server)
    before, cancelled = server.usage(), server.metric("fenestra_cancelled_total")
    at_work, waiting = Wire(server.port), Wire(server.port)
    at_work.send(post(b'{"text":"STEPS 12"}'))
    time.sleep(0.2)
    waiting.send(post(b'{"text":"This client disconnects"}'))
    time.sleep(0.1)
    waiting.reset()
    assert at_work.answer().status == 200
    canary(server)
    assert "This client disconnects" not in json.loads(server.get("/faulty")[1])["tagged"]
    _until(lambda: server.metric("fenestra_cancelled_total") == cancelled + 1)

    at_work.send(post(b'{"text":"STEPS 2000"}'))  # a hundred seconds, if it were not cancelled
    time.sleep(0.3)
    at_work.reset()
    canary(server)
    _until(lambda: server.metric("fenestra_cancelled_total") == cancelled + 2)

    with Wire(server.port) as reading:
        reading.send(post(json.dumps({"tokens": ["Ada"] * 100_000, "details": True}).encode()))
        reading.socket.recv(100)
        time.sleep(0.3)  # 13 MB: as much as fits into the sockets' buffers is sent by now, and more waits
        reading.reset()
    canary(server)
    _until(lambda: server.metric("fenestra_cancelled_total") == cancelled + 3)

    _settle(server)
    after = server.usage()
    assert (after.descriptors, after.threads) == (before.descriptors, before.threads)
    assert server.metric("fenestra_queue_depth") == 0


def names_are_not_paths(world, name):
    server = world.server(name)
    names = [
        "../x",
        "%2e%2e",
        "/etc/passwd",
        "a\0b",
        "http://169.254.169.254/",
        "\\\\host\\share",
        "..",
        ".",
        "x" * 5000,
        "~",
    ]
    server.get("/faulty")  # skip the files that the start has opened
    for place in names:
        answer, _ = ask(server, post(json.dumps({"text": "Ada", "model": place}).encode()))
        check_refusal(answer)
        assert (answer.status, answer.code) == (404, "not_found")
    for place in ("..%2f..%2fetc", "%2e%2e", "%00", "http:%2f%2f169.254.169.254"):
        answer, _ = ask(server, post(b"", path=f"/models/{place}/reload"))
        check_refusal(answer)
        assert answer.status == 404
    assert json.loads(server.get("/faulty")[1])["opened"] == []


POISON = ["\x1b[31mred", "x" * 65, "x" * 10_000, '{"level":"error"}', "a b", "ö", "a;b", "%0d%0aevil", "../../x"]


def request_ids(world, name):
    server = world.server(name)
    _settle(server)
    lines = len(server.logged().splitlines())
    chosen = []
    for sent in POISON:
        answer, _ = ask(server, post(CANARY, {"X-Request-ID": sent}))
        chosen.append(answer.headers["x-request-id"])
        assert re.fullmatch(r"[0-9a-f]{16}", chosen[-1])
    assert ask(server, post(CANARY, {"X-Request-ID": "order-66"}))[0].headers["x-request-id"] == "order-66"
    chosen.append("order-66")
    for _ in range(50):  # a line of the log may be written a moment after its response
        written = server.logged().splitlines()[lines:]
        if len(written) >= len(chosen):
            break
        time.sleep(0.1)
    assert len(written) == len(chosen)
    assert all(identifier in line for identifier, line in zip(chosen, written, strict=True))
    assert not [sent for sent in POISON if sent in "".join(written)]


def made_up_paths(world, name, paths):
    server, rng = world.server(name), random.Random(1)
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "BREW"]

    def ask_for(method):
        path = "/" + "".join(rng.choices(string.ascii_letters + string.digits + "/.%-", k=rng.randint(1, 40)))
        raw = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()
        answer, _ = ask(server, raw, method=method)
        assert answer.status in (400, 404, 405)

    server.metrics()  # this request has its own series
    for method in methods:
        ask_for(method)
    before = set(server.metrics())
    for _ in range(paths):
        ask_for(rng.choice(methods))
    assert set(server.metrics()) == before


MARKUP = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "Ada <b>Ito</b> & Bo",
]


def markup(world, name):
    """The headers and bodies of responses. Tests in a browser check that the page runs none of it."""
    server = world.server(name)
    for text in MARKUP:
        answer, _ = ask(server, post(json.dumps({"text": text, "details": True}).encode()))
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        for token in json.loads(answer.body)["results"][0]["tokens"]:
            assert text[token["start"] : token["end"]] == token["text"]
        for body in ({"text": "a", "labels": [text]}, {"text": "a", "model": text}):
            check_refusal(ask(server, post(json.dumps(body).encode()))[0], text.encode())
    page, _ = ask(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", method="GET")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|\*|https?:|data:", policy)
    assert not re.search(rb"<script(?![^>]*\bsrc=)|\son\w+=|style=", page.body)


FOREIGN = [
    "Host: evil.example", "X: y", "Host: localhost\r\nHost: evil.example", "Host: localhost@evil.example",
    "Host: localhost\r\nOrigin: http://evil.example", "Host: evil.example\r\nX-Forwarded-Host: localhost",
]  # fmt: skip


def foreign_hosts_and_forged_addresses(world, name):
    server = world.server(name)
    get = "GET /models HTTP/1.1\r\n{}\r\n\r\n"
    for lines in FOREIGN:
        answer, _ = ask(server, get.format(lines).encode(), method="GET")
        check_refusal(answer)
        assert answer.status == 400, lines
        assert not [header for header in answer.headers if header.startswith("access-control")]
    for host in ("localhost", "127.0.0.1", f"localhost:{server.port}", "[::1]"):
        assert ask(server, get.format(f"Host: {host}").encode(), method="GET")[0].status == 200
    with Server(FAULTY, rate_limit="5/hour", drain_seconds=0) as limited:
        forged = [get.format(f"Host: localhost\r\nX-Forwarded-For: 10.0.0.{number}").encode() for number in range(8)]
        answers = [ask(limited, raw, method="GET")[0] for raw in forged]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
    for answer in answers[5:]:
        check_refusal(answer)
        assert int(answer.headers["retry-after"]) > 0


NDJSON = {"Content-Type": "application/x-ndjson"}
COSTLY = {
    "line ends": b"\n" * 262_144,
    "line ends of Windows": b"\r\n" * 131_072,
    "blank lines": b" \n" * 131_072,
    "lines of a byte": b"1\n" * 2000,
}


def bytes_that_cost_much(world, name, times):
    """The watchdog looks at the event loop after the test; here, all of it is answered."""
    server = world.server(name)
    for _ in range(times):
        for kind, body in COSTLY.items():
            answer, _ = ask(server, post(body, NDJSON, path="/tag/stream"), seconds=60)
            assert answer.status == 200, kind
            assert answer.body.count(b"\n") == (2000 if "byte" in kind else 0), kind
        single = b"".join(b"1\r\n%c\r\n" % byte for byte in b"\n" * 60_000) + b"0\r\n\r\n"
        head = post(b"", {"Transfer-Encoding": "chunked", "Content-Length": None, **NDJSON}, path="/tag/stream")
        assert ask(server, head + single, seconds=60)[0].status == 200
        text = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"text":"' + b"a" * 60_000 + b'"}') + b"0\r\n\r\n"
        assert ask(server, post(b"", {"Transfer-Encoding": "chunked", "Content-Length": None}) + text)[0].status == 200
        with Wire(server.port) as wire:  # a thousand requests at once, in one piece
            wire.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
            wire.no_more()
            assert wire.answer("GET").status == 200
        many = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"a:\r\n" * 3000 + b"\r\n"
        assert ask(server, many, method="GET")[0].status == 200


def half_closed_clients(world, name):
    """``shutdown(SHUT_WR)`` behind the last byte, as `nc -N` and many a script do."""
    server = world.server(name)
    expected = canary(server)
    plain = post(CANARY)
    chunks = {"Transfer-Encoding": "chunked", "Content-Length": None}
    line = post(CANARY + b"\n", NDJSON, path="/tag/stream")
    kinds = {
        "a request": (plain, 1),
        "chunks": (post(b"%x\r\n%b\r\n0\r\n\r\n" % (len(CANARY), CANARY), chunks), 1),
        "several requests": (plain * 3, 3),
        "HTTP/1.0": (plain.replace(b"HTTP/1.1", b"HTTP/1.0"), 1),
        "a request that is to be the last": (post(CANARY, {"Connection": "close"}), 1),
        "a request with an interim response": (post(CANARY, {"Expect": "100-continue"}), 1),
    }
    for kind, (raw, count) in kinds.items():
        with Wire(server.port) as wire:
            wire.send(raw)
            wire.no_more()
            assert [wire.answer().body for _ in range(count)] == [expected] * count, kind
            assert wire.closed(), kind
    with Wire(server.port) as wire:
        wire.send(line)
        wire.no_more()
        assert json.loads(wire.answer().body)["results"] == json.loads(expected)["results"]
    large = post(json.dumps({"tokens": ["Ada", "met", "Ito", "."] * 10_000, "details": True}).encode())
    with Wire(server.port, 60) as wire:  # for so long that the service asks whether the client still reads
        wire.send(large * 3)
        wire.no_more()
        assert [wire.answer().status for _ in range(3)] == [200] * 3


def slow_readers(world, name, rate, seconds):
    """A large response, read in small bites for longer than a client may read nothing; and one that is not read."""
    server = world.server(name)
    large = post(json.dumps({"tokens": ["Ada"] * 100_000, "details": True}).encode())
    with Wire(server.port, 60) as slow, Wire(server.port) as silent:
        slow.send(large)
        size = len(slow.socket.recv(rate // 20))
        silent.send(large)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            size += len(slow.socket.recv(rate // 20))
            time.sleep(0.05)
        while piece := slow.socket.recv(1 << 20):
            size += len(piece)
            if size > 5_000_000 and piece.endswith(b"]}]}"):
                break
        assert piece.endswith(b"]}]}"), size
        _until(lambda: "does not read" in server.logged(), 60)


def _settle(server):
    """Wait until the connections of earlier cases are closed and their log lines are written."""
    seen = []
    while len(seen) < 5 or len(set(seen[-5:])) > 1:
        seen.append((server.usage().descriptors, len(server.logged())))
        time.sleep(0.05)


def _until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
