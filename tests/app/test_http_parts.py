"""The parts of a connection, one by one: byte limits, timers, pipeline, exchange."""

import asyncio
import logging

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from fenestra.app.http.byte_limits import ByteLimits
from fenestra.app.http.deadlines import Phase, PhaseTimer, WriteTimer
from fenestra.app.http.exchange import Exchange
from fenestra.app.http.pipeline import MAX_PIPELINED, Pipeline
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings

SETTINGS = Settings(header_seconds=3, body_seconds=5, keep_alive_seconds=2)


class Transport:
    """Notes whether it is read from."""

    reading = True

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def is_closing(self):
        return False


def exchange(transport=None, *, keep_alive=True):
    transport = transport or Transport()
    log = logging.getLogger("test")
    return Exchange(
        {}, transport, FlowControl(transport), log, log, False, [], asyncio.Event(), False, keep_alive, lambda: None
    )  # fmt: skip


def test_each_body_may_have_its_own_number_of_discarded_bytes():
    limits = ByteLimits(max_header_bytes=100, max_body_bytes=10)
    for _ in range(3):
        limits.begin_body()
        assert not limits.discard_body(10)
    assert limits.discard_body(1)


def test_a_head_behind_another_request_does_not_count_the_bytes_of_that_request():
    limits = ByteLimits(max_header_bytes=100, max_body_bytes=10)
    limits.feed(5000)
    limits.begin_head(inside_feed=True)
    assert not limits.end_feed_in_head()
    limits.feed(100)
    assert not limits.end_feed_in_head()
    limits.feed(1)
    assert limits.end_feed_in_head()


@pytest.mark.parametrize(("phase", "limit"), [(Phase.HEAD, 3), (Phase.BODY, 5), (Phase.LINGER, 2)])
def test_each_phase_has_its_own_time_limit(phase, limit):
    timer = PhaseTimer(SETTINGS, 100.0)
    timer.request_complete(100.0)
    timer.enter(phase, 200.0)
    assert not timer.expired(200.0 + limit, responding=False)
    assert timer.expired(200.1 + limit, responding=False)


def test_the_head_of_the_first_request_is_timed_from_the_start_of_the_connection():
    timer = PhaseTimer(SETTINGS, 100.0)
    timer.enter(Phase.HEAD, 102.0)
    assert timer.expired(103.5, responding=False)
    timer.request_complete(104.0)
    timer.enter(Phase.HEAD, 105.0)
    assert not timer.expired(107.5, responding=False)


def test_an_idle_connection_has_less_time_after_its_first_request_and_any_time_while_it_waits_for_a_response():
    timer = PhaseTimer(SETTINGS, 100.0)
    assert not timer.expired(102.5, responding=False)
    timer.request_complete(110.0)
    assert timer.expired(112.5, responding=False)
    assert not timer.expired(1e9, responding=True)


def test_a_client_that_reads_anything_within_the_limit_is_not_cut_off():
    timer = WriteTimer(2.0)
    assert [timer.expired(size, now) for size, now in ((900, 1.0), (800, 2.9), (700, 4.8), (700, 6.7))] == [False] * 4
    assert timer.expired(700, 6.9)
    assert not timer.expired(0, 7.0)
    assert not timer.expired(0, 100.0)


def test_a_response_that_was_the_last_one_keeps_the_connection_open_for_a_further_request():
    pipeline, first, second = Pipeline(), exchange(keep_alive=False), exchange()
    assert pipeline.start(first)
    assert not pipeline.start(second)
    assert pipeline.append(second)
    assert first.keep_alive
    assert pipeline.newest is second
    assert (pipeline.advance(), pipeline.advance()) == (second, None)


def test_a_response_that_has_started_or_must_be_the_last_one_stays_the_last_one():
    for started, persistent in ((True, True), (False, False)):
        pipeline, first = Pipeline(), exchange(keep_alive=False)
        first.response_started, first.persistent = started, persistent
        pipeline.start(first)
        pipeline.append(exchange())
        assert not first.keep_alive


def test_when_the_pipeline_is_full_the_newest_exchange_ends_the_connection():
    pipeline = Pipeline()
    pipeline.start(exchange())
    assert all(pipeline.append(exchange()) for _ in range(MAX_PIPELINED))
    newest = pipeline.newest
    assert not pipeline.append(exchange())
    assert pipeline.newest is newest
    assert not newest.keep_alive


class Receiving:
    """A connection whose body is on its way since a time."""

    aborted = False

    def __init__(self, since):
        self.timer = PhaseTimer(SETTINGS, since)
        self.timer.enter(Phase.BODY, since)

    def has_unread_input(self):
        return False

    def check_deadlines(self, now):
        pass

    def abort(self):
        self.aborted = True


def test_of_connections_that_all_receive_a_body_the_one_that_takes_longest_is_evicted():
    async def run():
        registry = ConnectionRegistry(Settings(max_connections=3), Metrics())
        connections = [Receiving(since) for since in (7.0, 5.0, 6.0, 8.0)]
        for connection in connections:
            registry.add(connection)
            registry.mark_active(connection)
        assert [connection.aborted for connection in connections] == [False, True, False, False]

    asyncio.run(run())


@pytest.mark.parametrize(("following", "reads"), [((), True), (("another",), False)])
def test_after_the_body_the_connection_is_read_for_a_disconnect_unless_requests_wait_behind(following, reads):
    async def run():
        transport = Transport()
        one = exchange(transport)
        one.complete_body()
        one.following = following
        one.flow.pause_reading()
        message = await one.receive()
        assert message == {"type": "http.request", "body": b"", "more_body": False}
        assert transport.reading is reads

    asyncio.run(run())


@pytest.mark.parametrize(("following", "reads"), [((), True), (("another",), False)])
def test_a_disconnect_is_noticed_behind_a_body_that_came_faster_than_it_was_taken(following, reads):
    async def run():
        transport = Transport()
        one = exchange(transport)
        receiving = asyncio.create_task(one.receive())
        await asyncio.sleep(0)
        one.following = following
        one.add_body(b"x" * 100_000)
        one.flow.pause_reading()  # as on_body does
        one.complete_body()
        assert (await receiving)["more_body"] is False
        assert transport.reading is reads

    asyncio.run(run())


def test_what_nobody_read_of_a_body_is_gone_with_the_request():
    async def leave(scope, receive, send):
        """Answers nothing, as where the client has left."""

    async def run():
        one = exchange(Transport())
        one.add_body(b"x" * 100_000)
        one.disconnect()
        await one.run_asgi(leave)
        assert one.body == b""

    asyncio.run(run())
