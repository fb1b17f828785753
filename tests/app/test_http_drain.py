"""Graceful shutdown: accepted requests are answered, and the wait for clients is bounded."""

import asyncio
import signal
import socket
import subprocess
import time

import pytest

from benchmarks.serving import FENESTRA, Server
from fenestra.app.http.listener import drain_backlog
from tests.app.live import TAG, TIMEOUT, Gate, LiveServer, request, wait_for


def stop(server, number=signal.SIGTERM):
    server.server.handle_exit(number, None)


def ended(server):
    server.thread.join(TIMEOUT)
    return not server.thread.is_alive()


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


def test_a_request_in_progress_is_answered_and_closes_its_connection(gate):
    with LiveServer(gate, drain_seconds=0.0) as server, server.connect() as wire:
        wire.send(TAG)
        wait_for(lambda: gate.begun)
        stop(server)
        wait_for(lambda: server.count("fenestra_draining"))
        gate.opened.set()
        answer = wire.answer()
        assert (answer.status, answer.closes) == (200, True)
        assert wire.closed() == b""
        assert ended(server)


def test_while_draining_the_service_is_not_ready_and_still_serves():
    with LiveServer(drain_seconds=TIMEOUT) as server, server.connect() as kept:
        kept.send(request())
        assert not kept.answer().closes
        stop(server)
        wait_for(lambda: server.count("fenestra_draining"))
        assert server.ask(request("/readyz")).code == "not_ready"
        with server.connect() as late:
            for wire in (kept, late):
                wire.send(TAG)
                answer = wire.answer()
                assert (answer.status, answer.closes) == (200, True)
                assert wire.closed() == b""


def test_of_pipelined_requests_only_the_last_response_closes_the_connection(gate):
    with LiveServer(gate, drain_seconds=0.0) as server, server.connect() as wire:
        wire.send(TAG + TAG)
        wait_for(lambda: gate.begun)
        stop(server)
        wait_for(lambda: server.count("fenestra_draining"))
        wire.send(TAG)
        gate.opened.set()
        answers = [wire.answer() for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 200]
        assert [answer.closes for answer in answers] in ([False, True], [False, False])
        if not answers[1].closes:
            assert wire.answer().closes
        assert wire.closed() == b""


def test_clients_in_the_backlog_are_answered():
    with LiveServer(drain_seconds=0.0) as server:
        server.on_loop(time.sleep, 0.5)
        wires = [server.connect() for _ in range(50)]
        for wire in wires[::2]:
            wire.send(TAG)
        stop(server)
        server.on_loop(time.sleep, 0.3)
        for wire in wires[1::2]:
            wire.send(TAG)
        assert [wire.answer().status for wire in wires] == [200] * 50
        for wire in wires:
            wire.socket.close()


def test_an_idle_connection_does_not_delay_the_shutdown():
    with LiveServer(drain_seconds=0.0) as server, server.connect() as fresh, server.connect() as kept:
        kept.send(request())
        kept.answer()
        stop(server)
        assert fresh.closed() == kept.closed() == b""
        assert ended(server)


def test_a_stuck_client_is_cut_off_after_the_grace_period(caplog):
    with LiveServer(drain_seconds=0.0, grace_seconds=0.5) as server, server.connect() as wire:
        wire.send(TAG[:-5])
        wait_for(lambda: server.count("fenestra_open_connections"))
        stop(server)
        assert ended(server)
        assert b"200" not in wire.closed()
    assert any("cut off 1 connection" in record.getMessage() for record in caplog.records)


def test_a_second_signal_ends_the_service_at_once(gate):
    with LiveServer(gate, drain_seconds=1000, grace_seconds=1000) as server, server.connect() as wire:
        wire.send(TAG)
        wait_for(lambda: gate.begun)
        stop(server)
        wait_for(lambda: server.count("fenestra_draining"))
        stop(server)
        assert ended(server)


def test_draining_the_backlog_accepts_it_and_drops_new_connections():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = socket.create_connection(listener.getsockname())
        first.sendall(b"hello")

        async def drain():
            listener.setblocking(False)
            draining = asyncio.create_task(drain_backlog([listener]))
            accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
            await draining
            return accepted

        accepted = asyncio.run(drain())
        assert accepted.recv(5) == b"hello"
        with socket.socket() as late:
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())
        accepted.close()
        first.close()


# ── real processes ──


def test_ctrl_c_ends_the_service_with_code_130():
    with Server(drain_seconds=1000) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 130


def test_a_port_in_use_is_reported_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([*FENESTRA, "--port", str(port)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"port {port}" in done.stderr
