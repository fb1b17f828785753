"""How a connection handles malformed, unusual and pipelined requests, on a real socket."""

import logging
import socket
import threading

import pytest

from tests.app.live import TAG, TEXT, Gate, LiveServer, request, wait_for

GOOD = b"Host: localhost\r\n"
POST = b"POST /tag HTTP/1.1\r\n" + GOOD + b"Content-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server():
    with LiveServer() as live:
        yield live


MALFORMED = {
    "not HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n\r\n",
    "HTTP/2.0 in words": b"GET / HTTP/2.0\r\n" + GOOD + b"\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\n" + GOOD + b"\r\n",
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\n" + GOOD + b"\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "no Host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /livez HTTP/1.1\r\n" + GOOD + GOOD + b"\r\n",
    "a target on another host": b"GET http://evil.test/livez HTTP/1.1\r\n" + GOOD + b"\r\n",
    "a target without a path": b"GET http://localhost HTTP/1.1\r\n" + GOOD + b"\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\n" + GOOD + b"\r\n",
    "high bytes in the target": b"GET /\xe9 HTTP/1.1\r\n" + GOOD + b"\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + GOOD + b"A: b\0c\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\n" + GOOD + b"A\0: b\r\n\r\n",
    "a control character": b"GET / HTTP/1.1\r\n" + GOOD + b"A: \x1b[31m\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\n" + GOOD + b"A: b\r\n c\r\n\r\n",
    "a line folded by a tab": b"GET / HTTP/1.1\r\n" + GOOD + b"A: b\r\n\tc\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\n" + GOOD + b"A : b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + GOOD + b"A\r\n\r\n",
    "length and chunks": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
    "a negative length": POST + b"Content-Length: -5\r\n\r\n",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\n12345",
    "a length in hex": POST + b"Content-Length: 0x5\r\n\r\n12345",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\n12345",
    "an immense length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "gzip and chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /tag HTTP/1.0\r\n" + GOOD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk size": CHUNKED + b"\r\nzz\r\n",
    "a negative chunk": CHUNKED + b"\r\n-1\r\n",
    "an immense chunk": CHUNKED + b"\r\nfffffffffffffffffff\r\n",
    "a chunk longer than it says": CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_http_is_refused_once_and_the_connection_ends(server, sent):
    before = server.refused("bad_request")
    with server.connect() as wire:
        wire.send(sent)
        answer = wire.answer()
        assert (answer.status, answer.code, answer.closes) == (400, "bad_request", True)
        assert answer.json["error"]["request_id"] == answer.headers["x-request-id"]
        assert "date" in answer.headers
        assert wire.closed() == b""
    assert server.refused("bad_request") == before + 1
    assert server.ask(request()).status == 200


def test_a_bad_chunk_that_comes_later_gets_one_answer(server):
    with server.connect() as wire:
        wire.send(CHUNKED + b'\r\n5\r\n{"tex\r\n')
        wire.send(b"zz\r\n")
        assert wire.answer().code == "bad_request"
        assert wire.closed() == b""


def test_garbage_behind_a_request_is_refused_after_its_response(server):
    with server.connect() as wire:
        wire.send(TAG + TAG + b"garbage\r\n\r\n")
        assert [wire.answer().status for _ in range(3)] == [200, 200, 400]
        assert wire.closed() == b""


def test_pipelined_requests_are_answered_in_order(server):
    with server.connect() as wire:
        wire.send(b"".join(request("/tag", TEXT, X_Request_ID=f"n{n}") for n in range(40)))
        assert [wire.answer().headers["x-request-id"] for _ in range(40)] == [f"n{n}" for n in range(40)]


def test_of_too_many_pipelined_requests_the_first_are_answered_and_the_last_response_closes(server):
    with server.connect() as wire:
        wire.send(TAG * 1000)
        answers = []
        while not (answers and answers[-1].closes):
            answers.append(wire.answer())
        assert {answer.status for answer in answers} == {200}
        assert 100 < len(answers) < 1000
        assert wire.closed() == b""


def test_large_pipelined_requests_are_answered_too(server):
    large = request("/tag", b'{"text":"' + b"Ada " * 20_000 + b'"}')
    with server.connect() as wire:
        threading.Thread(target=wire.send, args=(large * 10,)).start()
        assert [wire.answer().status for _ in range(10)] == [200] * 10


def test_a_request_in_single_bytes_is_served(server):
    with server.connect() as wire:
        for byte in TAG:
            wire.send(bytes([byte]))
        assert wire.answer().status == 200


def test_a_trailer_does_not_count_as_a_header(server):
    body = b"%x\r\n%b\r\n0\r\nX-Request-ID: forged\r\nHost: evil.test\r\n\r\n" % (len(TEXT), TEXT)
    answer = server.ask(CHUNKED + b"\r\n" + body)
    assert answer.status == 200
    assert answer.headers["x-request-id"] != "forged"


def test_an_offer_to_change_the_protocol_is_declined_and_the_request_served(server):
    upgrade = request("/tag", TEXT, Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="AAMAAABk")
    with server.connect() as wire:
        wire.send(upgrade + request())
        assert [wire.answer().status for _ in range(2)] == [200, 200]


def test_an_offer_to_change_the_protocol_does_not_make_the_head_count_twice(server):
    upgrade = request(Connection="Upgrade", Upgrade="h2c", X_Much="a" * (server.settings.max_header_bytes * 3 // 4))
    assert server.ask(upgrade).status == 200
    assert server.ask(upgrade.replace(b"aaaa", b"aaaaaaaa")).status == 431


def test_an_old_client_that_offers_to_change_the_protocol_is_answered_as_an_old_one(server):
    upgrade = request(Connection="Upgrade", Upgrade="h2c").replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = server.ask(upgrade)
    assert (answer.status, answer.closes) == (200, True)


def test_any_number_of_offers_at_once_is_declined_one_by_one(caplog):
    gate = Gate()
    with LiveServer(gate, max_waiting=1) as server, server.connect() as first, server.connect() as wire:
        first.send(TAG)
        wait_for(lambda: gate.begun)
        wire.send(request("/tag", method="POST", Connection="Upgrade", Upgrade="h2c") * 2000)
        assert {wire.answer().status for _ in range(2000)} == {503}
        gate.opened.set()
        assert first.answer().status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_client_may_wait_for_100_continue(server):
    head, _, body = TAG.partition(b"\r\n\r\n")
    with server.connect() as wire:
        wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert wire.answer().status == 100
        wire.send(body)
        assert wire.answer().status == 200


def test_a_refusal_in_place_of_100_continue_closes_the_connection(server):
    with server.connect() as wire:
        wire.send(POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        answer = wire.answer()
        assert (answer.status, answer.closes) == (413, True)
        assert wire.closed() == b""


# ── the size of a head ──


@pytest.mark.parametrize("size", [17_000, 64_000, 5_000_000])
@pytest.mark.parametrize(
    "start",
    [b"GET /livez HTTP/1.1\r\nHost: localhost\r\nA: ", b"GET /livez?", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nA"],
    ids=["value", "target", "name"],
)
def test_a_head_that_is_too_large_is_refused_before_its_end(server, start, size):
    with server.connect() as wire:
        wire.send(start + b"x" * size)
        answer = wire.answer()
        assert (answer.status, answer.code, answer.closes) == (431, "headers_too_large", True)


def test_ten_thousand_headers_are_too_many(server):
    answer = server.ask(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 10_000 + b"\r\n")
    assert answer.code == "headers_too_large"


def test_the_largest_head_is_served(server):
    most = server.settings.max_header_bytes
    rest = most - len(request(A="")) - 40
    assert server.ask(request(A="x" * rest)).status == 200
    assert server.ask(request(A="x" * (rest + 60))).status == 431


def test_each_of_many_requests_has_a_head_of_its_own(server):
    one = request(A="x" * 10_000)
    with server.connect() as wire:
        wire.send(one * 5)
        assert [wire.answer().status for _ in range(5)] == [200] * 5


@pytest.mark.parametrize(
    "body", [b"1;" + b"x" * 5_000_000, b"0" * 5_000_000, b"1\r\nx\r\n0\r\nA: " + b"x" * 5_000_000],
    ids=["extension", "zeros", "trailer"],
)  # fmt: skip
def test_chunk_headers_and_trailers_count_towards_the_limit_of_the_head(server, body):
    with server.connect() as wire:
        wire.send(CHUNKED + b"\r\n" + body)
        assert wire.answer().code == "headers_too_large"
        assert wire.closed() == b""


def test_many_small_chunks_are_accepted(server):
    text = b'{"text":"' + b"x " * 20_000 + b'"}'
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in text)
    assert server.ask(CHUNKED + b"\r\n" + pieces + b"0\r\n\r\n").status == 200


# ── bodies that no route reads ──


def test_a_body_that_is_not_read_is_dropped_and_the_connection_goes_on(server):
    with server.connect() as wire:
        wire.send(request("/nowhere", b"x" * 300_000) + TAG)
        assert [wire.answer().status for _ in range(2)] == [404, 200]


def test_a_large_body_that_is_not_read_ends_the_connection(server):
    with server.connect() as wire:
        wire.send(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000\r\n\r\n")
        assert wire.answer().status == 404
        wire.send(b"x" * 3_000_000)
        assert wire.closed() == b""


def test_a_refusal_can_be_read_after_fifty_megabytes(server):
    size = 50_000_000
    with server.connect() as wire:
        wire.send(POST + b"Content-Length: %d\r\n\r\n" % size)
        sent = 0
        try:
            while sent < size:
                wire.send(b"x" * 1_000_000)
                sent += 1_000_000
        except ConnectionError:
            pass
        answer = wire.answer()
        assert (answer.status, answer.code, answer.closes) == (413, "too_large", True)


def test_a_body_that_ends_early_is_refused(server):
    for cut in (request("/tag", TEXT)[:-3], b"POST /tag HTT"):
        with server.connect() as wire:
            wire.send(cut)
            wire.socket.shutdown(socket.SHUT_WR)
            assert wire.answer().code == "bad_request"
            assert wire.closed() == b""


# ── disconnects ──


def test_a_request_of_a_disconnected_client_is_not_computed():
    gate = Gate()
    with LiveServer(gate) as server:
        with server.connect() as first, server.connect() as second:
            first.send(TAG)
            wait_for(lambda: gate.begun == 1)
            second.send(TAG)
            wait_for(lambda: server.count("fenestra_queue_depth") == 2)
            second.socket.close()
            wait_for(lambda: server.count("fenestra_open_connections") == 1)
            gate.opened.set()
            assert first.answer().status == 200
            wait_for(lambda: server.count("fenestra_cancelled_total") == 1)
        assert gate.begun == 1


# ── overload ──


def test_under_overload_requests_are_shed_by_the_connection():
    gate = Gate()
    with LiveServer(gate, max_waiting=1) as server, server.connect() as first:
        first.send(TAG)
        wait_for(lambda: server.count("fenestra_queue_depth") == 1)
        with server.connect() as wire:
            wire.send(request("/tag", b"x" * 100_000, X_Request_ID="mine") + TAG + request() + b"garbage\r\n\r\n")
            shed, other = wire.answer(), wire.answer()
            for answer in (shed, other):
                assert (answer.status, answer.code) == (503, "overloaded")
                assert answer.headers["retry-after"] == "1"
                assert answer.headers["content-type"] == "application/json"
                assert answer.json["error"]["request_id"] == answer.headers["x-request-id"]
                assert not answer.closes
            assert shed.headers["x-request-id"] == "mine"
            assert wire.answer().status == 200
            assert wire.answer().status == 400
        with server.connect() as wire:
            wire.send(request("/tag", TEXT, Connection="close"))
            assert wire.answer().closes
            assert wire.closed() == b""
        assert server.refused("overloaded") == 3
        assert server.count('fenestra_requests_total{method="POST",route="/tag",status="503"}') == 3
        gate.opened.set()
        assert first.answer().status == 200
        first.send(TAG)
        assert first.answer().status == 200


# ── logs ──


def test_no_refusal_quotes_what_was_sent(server, caplog):
    caplog.set_level(logging.DEBUG)
    for sent in (
        b"SECRET / HTTP/1.1\r\n\r\n",
        b"GET /secret HTTP/1.1\r\nSecret: \0\r\n\r\n",
        CHUNKED + b"\r\nsecret\r\n",
    ):
        assert "secret" not in server.ask(sent).content.decode().lower()
    assert caplog.records
    assert not [record for record in caplog.records if "secret" in record.getMessage().lower()]
