"""Slow and idle clients, and too many connections."""

import asyncio
import gc
import socket
import threading
import time

import pytest
from uvicorn.server import ServerState

from fenestra.app.http.connection import Connection
from fenestra.app.http.read_flow import ReadFlow
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from tests.app.conftest import StubTagger
from tests.app.live import TAG, TEXT, TIMEOUT, Gate, LiveServer, Wire, request, wait_for

HEAD = b"POST /tag HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
STREAM = HEAD.replace(b"/tag", b"/tag/stream").replace(b"application/json", b"application/x-ndjson")


@pytest.fixture(scope="module")
def strict():
    with LiveServer(header_seconds=0.4, body_seconds=0.6, write_seconds=0.5, keep_alive_seconds=0.3) as live:
        yield live


@pytest.fixture
def generous():
    """A server with long deadlines and few connections."""
    far = 10 * TIMEOUT
    with LiveServer(
        header_seconds=far, body_seconds=far, write_seconds=far, keep_alive_seconds=far, max_connections=20
    ) as live:
        yield live


def test_a_connection_without_a_request_is_closed(strict):
    with strict.connect() as wire:
        assert wire.closed() == b""


def test_an_idle_connection_is_closed_after_its_answer(strict):
    with strict.connect() as wire:
        wire.send(request())
        wire.answer()
        assert wire.closed() == b""


@pytest.mark.parametrize("before", [b"", request()], ids=["first", "further"])
def test_an_incomplete_head_is_refused(strict, before):
    count = strict.refused("slow_client")
    with strict.connect() as wire:
        wire.send(before + b"GET /livez HTTP/1.1\r\nHo")
        if before:
            assert wire.answer().status == 200
        answer = wire.answer()
        assert (answer.status, answer.code, answer.closes) == (400, "bad_request", True)
        assert wire.closed() == b""
    assert strict.refused("slow_client") == count + 1


def drip(wire, data):
    """Send single bytes until the server closes the connection."""
    try:
        for byte in data:
            wire.send(bytes([byte]))
            time.sleep(0.05)
    except ConnectionError:
        return
    raise AssertionError("the server took all of it")


@pytest.mark.parametrize("start", [b"GET /?", HEAD + b"Content-Length: 1000\r\n\r\n", HEAD + b"A: "])
def test_a_client_that_sends_single_bytes_slowly_is_refused(strict, start):
    with strict.connect() as wire:
        wire.send(start)
        dripping = threading.Thread(target=drip, args=(wire, b"x" * 1000))
        dripping.start()
        answer = wire.answer()
        assert (answer.status, answer.code, answer.closes) == (400, "bad_request", True)
        wire.closed()
        dripping.join(TIMEOUT)
        assert not dripping.is_alive()


@pytest.mark.parametrize("coding", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"])
def test_an_incomplete_body_is_refused(strict, coding):
    with strict.connect() as wire:
        wire.send(HEAD + coding + b'{"te')
        answer = wire.answer()
        assert (answer.status, answer.code, answer.closes) == (400, "bad_request", True)
        assert wire.closed() == b""


def test_an_incomplete_body_that_no_route_reads_ends_the_connection(strict):
    with strict.connect() as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
        assert wire.answer().status == 200
        assert wire.closed() == b""


def test_a_stream_may_take_any_time_but_not_pause_longer_than_the_deadline(strict):
    line = TEXT + b"\n"
    chunk = b"%x\r\n%b\r\n" % (len(line), line)
    with strict.connect() as wire:
        wire.send(STREAM + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(8):
            wire.send(chunk)
            time.sleep(0.15)
        wire.send(b"0\r\n\r\n")
        answer = wire.answer()
        assert answer.status == 200
        assert answer.content.count(b"\n") == 8
    with strict.connect() as wire:
        wire.send(STREAM + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        received = wire.closed()
        assert received.startswith(b"HTTP/1.1 200 ")
        assert not received.endswith(b"0\r\n\r\n")


def test_a_client_that_does_not_read_is_cut_off(strict):
    count = strict.refused("slow_client")
    body = b'{"text":["' + b'","'.join([b"Ada " * 1000] * 100) + b'"]}'
    with strict.connect() as wire:
        wire.send(request("/tag", body) * 3)
        wait_for(lambda: strict.refused("slow_client") == count + 1)
        wait_for(lambda: strict.count("fenestra_open_connections") == 0)


def test_a_slow_model_does_not_count_against_the_clients_deadlines():
    class Slow(StubTagger):
        def work(self, items, **options):
            time.sleep(1.5)
            return (yield from super().work(items, **options))

    with LiveServer(Slow(), header_seconds=0.3, body_seconds=0.3, write_seconds=0.3, keep_alive_seconds=0.3) as server:
        assert server.ask(TAG).status == 200


def test_time_in_which_the_service_does_not_read_does_not_count_against_the_client():
    async def run():
        ours, theirs = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        flow = ReadFlow(transport)
        registry = ConnectionRegistry(Settings(body_seconds=8), Metrics())
        connection = Connection(transport, flow, registry=registry, server_state=ServerState(), start=print)
        connection.begin_head()
        connection.begin_body()
        began = connection.timer.since
        flow.pause_reading()
        connection.check_deadlines(began + 100)
        assert not connection.discards_input
        flow.resume_reading()
        connection.check_deadlines(began + 107)
        assert not connection.discards_input
        connection.check_deadlines(began + 109)
        assert connection.discards_input
        transport.abort()
        theirs.close()

    asyncio.run(run())


# ── too many connections ──


def test_idle_connections_do_not_block_the_probes(generous):
    wires = [generous.connect() for _ in range(generous.settings.max_connections)]
    for path in ("/livez", "/readyz"):
        assert generous.ask(request(path)).status == 200
    assert wires[0].closed() == b""
    assert generous.refused("connections") >= 1
    wires[-1].send(request())
    assert wires[-1].answer().status == 200
    for wire in wires:
        wire.socket.close()


@pytest.mark.parametrize("part", [b"GET /liv", HEAD + b"Content-Length: 1000\r\n\r\n{"], ids=["head", "body"])
def test_incomplete_requests_do_not_block_the_probes(generous, part):
    wires = [generous.connect() for _ in range(generous.settings.max_connections)]
    for wire in wires:
        wire.send(part)
    for _ in range(3):
        assert generous.ask(request()).status == 200
    for wire in wires:
        wire.socket.close()


def test_the_connection_that_has_been_idle_longest_is_evicted_first(generous):
    wires = [generous.connect() for _ in range(generous.settings.max_connections)]
    wait_for(lambda: generous.count("fenestra_open_connections") == len(wires))
    for wire in wires[:-1]:
        wire.send(request())
        wire.answer()
    assert generous.ask(request()).status == 200
    assert wires[-1].closed() == b""
    wires[0].send(request())
    assert wires[0].answer().status == 200
    for wire in wires:
        wire.socket.close()


def test_a_request_in_progress_is_never_dropped_for_a_new_connection():
    gate = Gate()
    with LiveServer(gate, max_connections=3) as server:
        wires = [server.connect() for _ in range(3)]
        for wire in wires:
            wire.send(TAG)
        wait_for(lambda: server.app.state.service.inference.depth == 3)
        with server.connect() as late:
            assert late.closed() == b""
        gate.opened.set()
        assert [wire.answer().status for wire in wires] == [200] * 3
        for wire in wires:
            wire.socket.close()


def test_closed_connections_leave_nothing_behind(strict):
    for _ in range(20):
        strict.ask(TAG)
    wait_for(lambda: strict.count("fenestra_open_connections") == 0)
    gc.collect()
    kind = strict.server.config.http
    left = [found for found in gc.get_objects() if isinstance(found, kind)]
    assert len(left) <= 1  # the inference thread may still hold the last request


def test_an_endless_head_is_refused_after_a_bounded_number_of_bytes(strict):
    sent, count = 0, strict.refused("headers_too_large")
    with Wire(strict.address) as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nA: ")
        try:
            for _ in range(100):
                wire.send(b"x" * 1_000_000)
                sent += 1_000_000
        except ConnectionError:
            pass
    assert strict.refused("headers_too_large") == count + 1
