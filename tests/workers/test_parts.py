"""The parts of the supervisor and its workers, one by one."""

import asyncio
import errno
import os
import socket
import sys
import threading
import time

import pytest
from limits import parse
from limits.strategies import SlidingWindowCounterRateLimiter
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from fenestra.app import server
from fenestra.app.errors import Problem
from fenestra.app.middleware.rate_limit import RateLimiter
from fenestra.app.observability import merged
from fenestra.app.settings import Settings
from fenestra.app.workers import accept
from fenestra.app.workers.accept import Acceptor
from fenestra.app.workers.channel import Channel, Lines, encode
from fenestra.app.workers.rate_windows import SharedWindowStorage
from fenestra.app.workers.shared import Locks, Shares
from fenestra.model.engine.cores import available_cores, usable_cores
from fenestra.model.errors import InputError


class TestCores:
    @pytest.mark.parametrize(
        ("files", "own", "expected"),
        [
            ({}, "", 64),
            ({"cpu.max": "max 100000"}, "0::/", 64),
            ({"cpu.max": "150000 100000"}, "0::/", 2),
            ({"cpu.max": "50000 100000"}, "0::/", 1),
            ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 3),
            ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000"}, "0::/a/b", 2),
            ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/", 64),
            ({"cpu/c/cpu.cfs_quota_us": "250000", "cpu/c/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/c", 3),
            ({"cpu.max": "nonsense"}, "0::/", 64),
            ({"cpu.max": "100000 100000"}, "garbage", 64),
        ],
    )
    def test_a_quota_counts_as_so_many_cores(self, tmp_path, monkeypatch, files, own, expected):
        monkeypatch.setattr("fenestra.model.engine.cores.available_cores", lambda: 64)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        (tmp_path / "own").write_text(f"{own}\n")
        assert usable_cores(tmp_path / "cgroup", tmp_path / "own") == expected

    def test_there_are_no_more_than_the_scheduler_allows(self):
        assert 1 <= usable_cores() <= available_cores() == len(os.sched_getaffinity(0))


class TestWhereItWorks:
    @pytest.mark.parametrize(("platform", "device"), [("darwin", "cpu"), ("linux", "cuda"), ("linux", "cuda:1")])
    def test_elsewhere_and_on_a_gpu_more_than_one_is_refused(self, monkeypatch, platform, device):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(server, "resolve_device", lambda _: device)
        server._check(Settings(workers=1))
        with pytest.raises(InputError, match=r"^FENESTRA_WORKERS: 2 workers .* use 1") as refused:
            server._check(Settings(workers=2))
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("given", ["0", "-1", "1.5", "two", "99999"])
    def test_only_a_number_of_processes_or_auto_is_taken(self, given):
        with pytest.raises(InputError, match=r"^FENESTRA_WORKERS: "):
            Settings.read(workers=given)

    def test_auto_is_every_core_of_this_process(self):
        assert Settings.read(workers="auto").workers == usable_cores()


class TestChannel:
    def test_messages_arrive_whole_however_they_are_cut(self):
        lines = Lines()
        raw = encode({"a": "ä\n"}) + encode({"b": [1]})
        found = [message for byte in raw for message in lines.feed(bytes([byte]))]
        assert found == [{"a": "ä\n"}, {"b": [1]}]

    def test_sending_never_waits_and_loses_nothing(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            channel = Channel(ours)
            for number in range(100):
                channel.send({"number": number, "text": "x" * 10_000})
            assert channel.has_unsent
            lines, found = Lines(), []
            while len(found) < 100:
                channel.flush()
                found += lines.feed(theirs.recv(65536))
            assert [message["number"] for message in found] == list(range(100))
            assert not channel.has_unsent

    def test_a_worker_that_is_gone_is_no_error(self):
        ours, theirs = socket.socketpair()
        channel = Channel(ours)
        theirs.close()
        channel.send({"do": "ping"})
        assert not channel.has_unsent
        assert channel.receive() is None
        ours.close()


class TestWindows:
    @pytest.fixture
    def storage(self):
        return SharedWindowStorage(1000, Locks().limits)

    def test_it_counts_as_the_storage_of_one_process_does(self, storage):
        shared, alone = RateLimiter("5/minute", storage), RateLimiter("5/minute")
        for client in ("a", "b"):
            for limiter in (shared, alone):
                for _ in range(5):
                    limiter.check(client)
                with pytest.raises(Problem) as problem:
                    limiter.check(client)
                assert problem.value.code == "rate_limited"

    def test_processes_that_count_at_the_same_time_count_exactly(self, storage):
        """Four processes, 500 requests each of one client, 1,000 allowed."""
        item, allowed = parse("1000/hour"), 0
        readers = []
        for _ in range(4):
            reader, writer = os.pipe()
            if not os.fork():
                passed = sum(SlidingWindowCounterRateLimiter(storage).hit(item, "x") for _ in range(500))
                os.write(writer, passed.to_bytes(4, "little"))
                os._exit(0)
            os.close(writer)
            readers.append(reader)
        for reader in readers:
            allowed += int.from_bytes(os.read(reader, 4), "little")
            os.close(reader)
            os.wait()
        assert allowed == 1000

    def test_a_process_that_is_killed_while_it_counts_blocks_nobody(self, storage):
        locks = Locks()
        reader, writer = os.pipe()
        if not (pid := os.fork()):
            locks.limits.__enter__()
            os.write(writer, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(reader, 1)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        entered = threading.Event()

        def enter():
            with locks.limits:
                entered.set()

        threading.Thread(target=enter, daemon=True).start()
        assert entered.wait(10)

    def test_memory_is_bounded_and_what_expired_makes_room(self, storage):
        size = len(storage._memory)
        for number in range(5000):
            assert storage.incr(f"client-{number}", 60) == 1
        assert len(storage._memory) == size == 125 * 8 * 24
        assert 900 < storage.reset() <= 1000
        assert storage.get("client-4999") == 0

    def test_an_expired_window_begins_anew(self, storage, monkeypatch):
        now = time.time()
        assert [storage.incr("a", 10) for _ in range(3)] == [1, 2, 3]
        assert storage.get_expiry("a") == pytest.approx(now + 10, abs=5)
        monkeypatch.setattr(time, "time", lambda: now + 100)
        assert storage.get("a") == 0
        assert storage.incr("a", 10) == 1
        storage.clear("a")
        assert storage.get("a") == 0


class TestMetrics:
    @staticmethod
    def process(requests, seconds, depth, start):
        registry = CollectorRegistry()
        counter = Counter("fenestra_requests", "Requests", ["route"], registry=registry)
        for route, count in requests.items():
            counter.labels(route).inc(count)
        Histogram("fenestra_seconds", "Seconds", buckets=[1], registry=registry).observe(seconds)
        Gauge("fenestra_queue_depth", "Depth", registry=registry).set(depth)
        Gauge("process_start_time_seconds", "Start", registry=registry).set(start)
        return merged.snapshot(registry)

    def test_counters_and_histograms_are_summed_and_gauges_make_sense(self):
        total = merged.Sum()
        total.add(self.process({"/tag": 2}, 0.5, 3, 200))
        total.add(self.process({"/tag": 5, "/livez": 1}, 7, 1, 100))
        lines = set(total.exposition().splitlines())
        assert lines >= {
            'fenestra_requests_total{route="/tag"} 7.0', 'fenestra_requests_total{route="/livez"} 1.0',
            'fenestra_seconds_bucket{le="1.0"} 1.0', 'fenestra_seconds_bucket{le="+Inf"} 2.0',
            "fenestra_seconds_sum 7.5", "fenestra_queue_depth 4.0", "process_start_time_seconds 100.0",
            "# TYPE fenestra_requests_total counter", "# TYPE fenestra_seconds histogram",
        }  # fmt: skip

    def test_of_a_process_that_ended_what_it_counted_stays(self):
        total = merged.Sum()
        total.add(self.process({"/tag": 2}, 0.5, 3, 200), ended=True)
        again = merged.Sum()
        again.add(total.snapshot())
        again.add(self.process({"/tag": 1}, 0.5, 1, 300))
        lines = set(again.exposition().splitlines())
        assert lines >= {
            'fenestra_requests_total{route="/tag"} 3.0', "fenestra_seconds_count 2.0", "fenestra_queue_depth 1.0",
            "process_start_time_seconds 300.0",
        }  # fmt: skip


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


class TestAcceptor:
    def clients(self, listener, count):
        return [socket.create_connection(listener.getsockname()) for _ in range(count)]

    def run(self, body):
        asyncio.run(asyncio.wait_for(body(), 20))

    def test_two_that_share_a_socket_get_the_same_number(self, listener):
        async def body():
            shares = Shares(2)
            counts = [0, 0]
            copies = [listener.dup(), listener.dup()]

            def acceptor(place):
                made = Acceptor(copies[place], shares, place)

                def count():
                    counts[place] += 1
                    made.count(counts[place])
                    return asyncio.Protocol()

                made.start(count)
                return made

            # Two in one event loop: each has a copy of the socket, as processes have.
            both = [acceptor(0), acceptor(1)]
            clients = self.clients(listener, 10)
            while sum(counts) < 10:
                await asyncio.sleep(0.001)
            assert counts == [5, 5]
            for one in both:
                one.stop()
            for opened in (*clients, *copies):
                opened.close()

        self.run(body)

    def test_one_that_has_more_takes_what_nobody_else_does(self, listener):
        async def body():
            shares = Shares(2)
            shares.set(1, 0, 0)  # a frozen worker
            taken = []
            one = Acceptor(listener, shares, 0)
            one.start(lambda: taken.append(1) or asyncio.Protocol())
            one.count(7)
            clients = self.clients(listener, 3)
            while len(taken) < 3:
                await asyncio.sleep(0.001)
            one.stop()
            for client in clients:
                client.close()

        self.run(body)

    def test_after_a_stop_the_next_connection_is_left_to_others(self, listener):
        async def body():
            taken = []
            one = Acceptor(listener, Shares(1), 0)
            one.start(lambda: taken.append(1) or asyncio.Protocol())
            one.stop()
            (client,) = self.clients(listener, 1)
            await asyncio.sleep(2 * accept.PATIENCE_SECONDS)
            assert not taken
            listener.accept()[0].close()
            client.close()

        self.run(body)

    def test_without_a_free_descriptor_it_waits_and_goes_on(self, listener, monkeypatch, caplog):
        class Full(socket.socket):
            refuses = 2

            def accept(self):
                if self.refuses:
                    self.refuses -= 1
                    raise OSError(errno.EMFILE, "Too many open files")
                return super().accept()

        async def body():
            taken = []
            with Full(fileno=os.dup(listener.fileno())) as full:
                one = Acceptor(full, Shares(1), 0)
                one.start(lambda: taken.append(1) or asyncio.Protocol())
                (client,) = self.clients(listener, 1)
                while not taken:
                    await asyncio.sleep(0.001)
                one.stop()
                client.close()

        monkeypatch.setattr(accept, "_NO_ROOM_SECONDS", 0.01)
        self.run(body)
        assert [record.getMessage() for record in caplog.records if "accepted" in record.getMessage()] == [
            "no connection can be accepted: Too many open files"
        ] * 2

    @pytest.mark.parametrize(
        ("counts", "surplus"),
        [([1, 0], 0), ([2, 0], 1), ([2, 1], 0), ([3, 1], 1), ([16, 0], 8), ([100, 96], 0), ([9, 0, 0], 6)],
    )
    def test_a_surplus_is_what_is_above_the_mean(self, listener, counts, surplus):
        async def body():
            shares = Shares(len(counts))
            for place, count in enumerate(counts):
                shares.set(place, count, 0)
            one = Acceptor(listener, shares, 0)
            assert one.surplus() == 0
            one.start(asyncio.Protocol)
            one.count(counts[0])
            assert one.surplus() == surplus
            one.stop()

        self.run(body)
