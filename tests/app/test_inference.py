"""The queue in front of the model: bounded, with a deadline, and free again afterwards."""

import asyncio
import threading

import pytest

from app.edge.problems import Problem
from app.engine.inference import Inference


@pytest.fixture
def gate():
    """Opens at the latest when the test ends, so that no worker is left behind."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def slow(stub, gate):
    """A tagger that answers when the gate opens, and knows what it was asked."""
    analyse = stub.analyse
    stub.asked = []

    def wait(texts):
        stub.asked.append(texts)
        gate.wait(30)
        return analyse(texts)

    stub.analyse = wait
    return stub


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_beyond_the_queue_a_request_is_refused_at_once_and_those_within_are_served(serve, slow, gate, refused):
    client = serve(slow, max_waiting=1)

    async def crowd():
        post = [asyncio.create_task(client.http.post("/tag", json={"text": f"Ada {n}"})) for n in range(2)]
        await until(lambda: b"fenestra_queue_depth 2.0" in client.app.state.service.metrics.exposition())
        excess = await client.http.post("/tag", json={"text": "one more"})
        probe = await client.http.get("/livez")
        gate.set()
        return excess, probe, await asyncio.gather(*post)

    excess, probe, served = client.run(crowd())
    refused(excess, 503, "overloaded")
    assert int(excess.headers["retry-after"]) > 0
    assert probe.status_code == 200
    assert [answer.status_code for answer in served] == [200, 200]
    assert client.tag({"text": "afterwards"}).status_code == 200


def test_a_request_past_its_deadline_is_told_so(serve, slow, gate, refused):
    client = serve(slow, deadline_seconds=0.05)
    refused(client.tag({"text": "Ada"}), 504, "timeout")
    gate.set()
    client.run(until(lambda: b"fenestra_queue_depth 0.0" in client.app.state.service.metrics.exposition()))
    assert client.tag({"text": "Ada"}).status_code == 200


def test_what_was_given_up_while_waiting_is_never_computed(slow, gate):
    async def scene():
        inference = Inference(slow, max_waiting=5, deadline_seconds=30)
        first = asyncio.create_task(inference.texts(["first"]))
        await until(lambda: slow.asked)
        second = asyncio.create_task(inference.texts(["second"]))
        await until(lambda: inference.depth == 2)
        second.cancel()
        await until(lambda: inference.depth == 1)
        gate.set()
        await first
        inference.close()

    asyncio.run(scene())
    assert slow.asked == [["first"]]


def test_a_request_that_was_given_up_at_work_keeps_its_place_until_the_worker_is_rid_of_it(slow, gate):
    async def scene():
        inference = Inference(slow, max_waiting=0, deadline_seconds=0.05)
        with pytest.raises(Problem, match="no answer within"):
            await inference.texts(["stuck"])
        with pytest.raises(Problem, match="too many requests"):
            await inference.texts(["next"])
        gate.set()
        await until(lambda: inference.depth == 0)
        assert len(await inference.texts(["next"])) == 1
        inference.close()

    asyncio.run(scene())


def test_a_timeout_inside_the_model_is_not_taken_for_the_deadline(stub):
    def fail(texts):
        raise TimeoutError

    stub.analyse = fail

    async def scene():
        inference = Inference(stub, max_waiting=0, deadline_seconds=30)
        with pytest.raises(TimeoutError):
            await inference.texts(["a"])
        inference.close()

    asyncio.run(scene())


def test_all_work_is_done_on_one_thread_that_is_not_the_event_loops(serve, stub):
    analyse, threads = stub.analyse, set()

    def note(texts):
        threads.add(threading.get_ident())
        return analyse(texts)

    stub.analyse = note
    client = serve(stub)

    async def crowd():
        await asyncio.gather(*(client.http.post("/tag", json={"text": "Ada"}) for _ in range(8)))

    client.run(crowd())
    assert len(threads) == 1
    assert threading.get_ident() not in threads
