"""Starts, stops and the ends of workers."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.clients import LOST
from benchmarks.serving import FENESTRA, HOST, Server, environment
from benchmarks.stops import stop_under_load
from benchmarks.wire import Wire, post
from tests.app.live import wait_for
from tests.workers.conftest import CANARY, ODD, ask, close, connect, connections_of, under_load, workers_of


class TestEndsOfWorkers:
    def test_a_killed_worker_takes_no_more_than_its_own_requests_along(self, service):
        restarts = service.metric("fenestra_worker_restarts_total")
        answered = service.metric("fenestra_requests_total.*/tag.*200")
        killed, others = workers_of(service)
        held = []

        def kill():
            held.append(connections_of(killed))
            os.kill(killed, signal.SIGKILL)

        statuses = under_load(service, kill)
        assert set(statuses) <= {200, LOST}
        assert 0 < statuses.count(LOST) <= held[0] + 1  # one may have come after they were counted
        wait_for(lambda: len(workers_of(service)) == 2)
        assert others in workers_of(service)
        assert service.metric("fenestra_worker_restarts_total") == restarts + 1
        assert service.metric("fenestra_requests_total.*/tag.*200") >= answered

    def test_clients_move_to_the_worker_that_takes_the_place_of_another(self, service):
        os.kill(workers_of(service)[0], signal.SIGKILL)
        time.sleep(0.01)
        wires = connect(service, 8)
        try:

            def even():
                for wire in wires:
                    ask(wire)
                counts = [connections_of(pid) for pid in workers_of(service)]
                return len(counts) == 2 and min(counts) >= 3

            wait_for(even)
        finally:
            close(wires)

    def test_a_worker_that_is_told_to_end_is_replaced_first_and_loses_nothing(self, service):
        before = workers_of(service)
        restarts = service.metric("fenestra_worker_restarts_total")
        answered = service.metric("fenestra_requests_total.*/tag.*200")
        statuses = under_load(service, lambda: os.kill(before[0], signal.SIGTERM))
        assert set(statuses) == {200}
        wait_for(lambda: before[0] not in workers_of(service) and len(workers_of(service)) == 2)
        assert service.metric("fenestra_requests_total.*/tag.*200") == answered + len(statuses)
        assert service.metric("fenestra_worker_restarts_total") == restarts

    def test_a_worker_that_hangs_is_replaced(self, tmp_path):
        with Server(workers=2, drain_seconds=0, stuck_seconds=1) as server:
            frozen = workers_of(server)[0]
            os.kill(frozen, signal.SIGSTOP)
            close(connect(server, 1))
            wait_for(lambda: frozen not in workers_of(server) and server.metric("fenestra_workers") == 2)
            assert server.metric("fenestra_worker_restarts_total") == 1

    def test_a_worker_whose_model_is_stuck_is_replaced_and_the_others_go_on(self):
        with Server(ODD, workers=2, drain_seconds=0, stuck_seconds=0.5, deadline_seconds=5) as server:
            with Wire(server.port) as stuck:
                stuck.send(post(b'{"text":"SLEEP 30"}'))
                wait_for(lambda: server.metric("fenestra_worker_restarts_total") == 1)
                assert stuck.answer().status in (503, 504)
            close(connect(server, 4))
            server.terminate()
            assert server.process.wait(20) == 0

    def test_workers_that_end_again_and_again_are_started_more_and_more_rarely(self, tmp_path):
        started = tmp_path / "started"
        with Server((*ODD, str(started)), workers=2, drain_seconds=0) as server:
            started.with_suffix(".end").touch()
            for pid in workers_of(server):
                os.kill(pid, signal.SIGKILL)
            time.sleep(2)
            assert 4 <= len(started.read_text().splitlines()) <= 14
            started.with_suffix(".end").unlink()
            server.wait_ready(20)
            wait_for(lambda: len(workers_of(server)) == 2)

    def test_workers_end_when_the_supervisor_is_killed(self):
        with Server(workers=2, drain_seconds=0) as server:
            workers = workers_of(server)
            server.kill()
            wait_for(lambda: not [pid for pid in workers if Path(f"/proc/{pid}/stat").exists()])


class TestStops:
    @pytest.mark.parametrize(("seed", "drain_seconds"), [(0, 0), (1, 0.3)])
    def test_a_stop_under_load_loses_no_accepted_request(self, seed, drain_seconds):
        result = stop_under_load(seed, workers=2, drain_seconds=drain_seconds)
        assert (result.lost, result.exit_code, set(result.statuses)) == (0, 0, {200})

    def test_signals_to_all_processes_at_once_count_as_one(self):
        """As systemd sends SIGTERM, and a terminal SIGINT."""
        for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
            with Server(workers=2, drain_seconds=0.5) as server:
                (client,) = connect(server, 1)
                for pid in (*workers_of(server), server.process.pid):
                    os.kill(pid, number)
                time.sleep(0.1)
                client.wire.send(CANARY)
                answer = client.wire.answer()
                assert answer is None or answer.status == 200
                client.close()
                assert server.process.wait(20) == code

    def test_a_second_signal_cuts_the_stop_short(self):
        with Server(ODD, workers=2, drain_seconds=0, grace_seconds=30) as server, Wire(server.port) as wire:
            wire.send(post(b'{"text":"STEPS 200"}'))
            wait_for(lambda: server.metric("fenestra_queue_depth") == 1)
            server.terminate()
            time.sleep(0.3)
            assert server.process.poll() is None
            server.terminate()
            assert server.process.wait(5) == 1

    def test_not_ready_while_it_drains(self):
        with Server(workers=2, drain_seconds=2, keep_alive_seconds=60) as server:
            wires = connect(server, 4)
            try:
                server.terminate()
                probe = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                for wire in wires:
                    wait_for(lambda wire=wire: ask(wire, probe).status == 503)
            finally:
                close(wires)
            assert server.process.wait(20) == 0


class TestStarts:
    def test_what_cannot_start_says_so_in_one_line(self, tmp_path):
        with socket.create_server((HOST, 0)) as taken:
            wrong = {
                "FENESTRA_WORKERS": {"workers": 0},
                "WORKERS: 4096 workers: this machine offers": {"workers": 4096},
                "2 workers of": {"workers": 2, "threads": len(os.sched_getaffinity(0))},
                "expected a number of processes from 1 on, or auto": {"workers": "many"},
                "port": {"workers": 2, "port": taken.getsockname()[1]},
                "empty": {"workers": 2, "model": tmp_path / "empty"},
                "FENESTRA_LABEL_MAP: no model has the label 'PERS'": {"workers": 2, "label_map": "PERS:PERSON"},
            }
            (tmp_path / "empty").mkdir()
            starts = {
                part: subprocess.Popen(
                    FENESTRA, env=environment(**{"port": 0, **settings}), stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
                for part, settings in wrong.items()
            }
            for part, process in starts.items():
                output, errors = process.communicate(timeout=60)
                assert (process.returncode, output) == (2, b""), part
                lines = [line for line in errors.decode().splitlines() if '"info"' not in line]
                assert len(lines) == 1, lines
                assert part in lines[0]

    def test_a_worker_that_cannot_start_ends_the_start_and_is_not_started_again(self, tmp_path):
        started = tmp_path / "started"
        started.with_suffix(".fail").touch()
        process = subprocess.run(
            (*ODD, str(started)), env=environment(port=0, workers=2), capture_output=True, timeout=60
        )
        assert process.returncode == 3
        assert len(started.read_text().splitlines()) == 2

    def test_the_command_line_takes_precedence(self):
        command = (*FENESTRA, "--workers", "auto")
        with Server(command, workers=1, drain_seconds=0) as server:
            assert server.metric("fenestra_workers") >= 1
            assert len(workers_of(server)) in (0, len(os.sched_getaffinity(0)))
