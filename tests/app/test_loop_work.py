"""Work that could keep the event loop busy: in turns, aside, and without garbage; and the memory that clients hold."""

import asyncio
import gc
import threading
from contextlib import suppress

import pytest

from fenestra.app.engine import loop_work
from fenestra.app.engine.loop_work import LoopWork
from fenestra.app.engine.memory import MemoryBudget
from fenestra.app.errors import Problem


def test_a_turn_ends_when_its_time_is_used_up_and_the_rest_keeps_its_order(monkeypatch):
    monkeypatch.setattr(loop_work, "TURN_SECONDS", 0.0)  # every slice uses up its turn
    done = []

    async def main():
        work = LoopWork()
        for number in range(4):
            work.soon(lambda number=number: done.append(number))
        for turn in range(4):
            assert len(done) == turn
            await asyncio.sleep(0)
        work.close()

    asyncio.run(main())
    assert done == [0, 1, 2, 3]


def test_slices_that_take_no_time_share_a_turn():
    done = []

    async def main():
        work = LoopWork()
        for number in range(100):
            work.soon(lambda number=number: done.append(number))
        await asyncio.sleep(0)
        assert done == list(range(100))
        work.close()

    asyncio.run(main())


def test_work_returns_what_it_does_or_raises_it():
    def fails():
        raise Problem("bad_json", "no")

    async def main():
        work = LoopWork()
        for run in (work.in_turn, work.aside):
            assert await run(lambda: 7) == 7
            with pytest.raises(Problem, match="no"):
                await run(fails)
        assert await work.in_turn(threading.get_ident) == threading.get_ident()
        assert await work.aside(threading.get_ident) != threading.get_ident()
        work.close()

    asyncio.run(main())


def test_work_that_nobody_waits_for_any_more_is_left_out():
    done = []

    async def main():
        work = LoopWork()
        waiting = asyncio.create_task(work.in_turn(lambda: done.append(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0.01)
        work.close()

    asyncio.run(main())
    assert done == []


def test_a_refusal_leaves_no_garbage_that_only_the_collector_can_free():
    def fails():
        raise Problem("bad_json", "no")

    async def main():
        work = LoopWork()
        gc.collect()
        gc.disable()
        before = problems()
        for _ in range(100):
            with suppress(Problem):
                await work.in_turn(fails)
        work.close()
        return problems() - before

    def problems():
        return sum(type(found) is Problem for found in gc.get_objects())

    try:
        assert asyncio.run(main()) <= 1  # the last one, which this frame may hold
    finally:
        gc.enable()


def test_memory_says_what_fits_when_it_is_freed_and_when_most_is_free_again():
    memory, told = MemoryBudget(100), []
    memory.freed = lambda: told.append("freed")
    memory.relieved = lambda: told.append("relieved")
    memory.take(90)
    assert memory.fits(10)
    assert not memory.fits(11)
    assert not memory.full
    memory.take(30)  # what is there already is counted beyond the limit
    assert memory.full
    memory.give(0)
    assert told == []
    memory.give(90)
    memory.give(10)
    memory.give(20)
    assert told == ["freed", "freed", "relieved", "freed"]
    assert memory.used == 0


def body(size):
    return b'{"text":"a","labels":[' + b" " * size + b"]}"


def test_a_large_body_is_refused_while_memory_is_full_and_a_small_one_is_not(serve, refused):
    client = serve(max_buffered_mb=1)
    memory = client.app.state.service.memory
    assert client.tag(body(200_000)).status_code == 200
    memory.take(1 << 20)
    refused(client.tag(body(200_000)), 503, "overloaded")
    assert client.tag(body(2000)).status_code == 200
    refused(client.tag({"tokens": ["Ada"] * 5000}), 503, "overloaded")  # more than a batch
    memory.give(1 << 20)
    assert client.tag(body(200_000)).status_code == 200
    assert client.tag({"tokens": ["Ada"] * 5000}).status_code == 200
    assert memory.used == 0


def test_a_stream_with_a_long_line_ends_with_an_error_while_memory_is_full(serve):
    client = serve(max_buffered_mb=1)
    client.app.state.service.memory.take(1 << 20)

    async def chunks():
        yield b'{"text":"Ada"}\n'[:0]
        for _ in range(4):
            yield b'{"text":"' + b"x" * 50_000

    answer = client.request("POST", "/tag/stream", content=chunks(), headers={"content-type": "application/x-ndjson"})
    (line,) = answer.text.splitlines()
    assert '"overloaded"' in line
    assert '"line":1' in line
    client.app.state.service.memory.give(1 << 20)
    assert client.app.state.service.memory.used == 0
