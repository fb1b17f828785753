"""The inference queue: its bounds, its deadline, its batches."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from fenestra.app.engine.inference import Inference
from fenestra.app.engine.jobs import ClientGone
from fenestra.app.engine.memory import MemoryBudget
from fenestra.app.errors import Problem
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from fenestra.model.progress import Progress


class Recorder:
    """A tagger that returns each text as its result, one step an item, while its gate is open."""

    labels = ()
    version = "recorder"

    def __init__(self):
        self.gate = threading.Event()
        self.asked = []
        self.done = []
        self.threads = set()
        self.fails = frozenset()

    def work(self, items):
        self.asked.append(list(items))
        self.threads.add(threading.get_ident())
        for item in items:
            assert self.gate.wait(30)
            if item in self.fails:
                raise ZeroDivisionError(item)
            self.done.append(item)
            yield Progress("network", tokens=1)
        return list(items)


def render(results):
    for result in results:
        yield result.encode()


@pytest.fixture
def tagger():
    recorder = Recorder()
    yield recorder
    recorder.gate.set()  # let the worker thread end


@pytest.fixture
def scene():
    """Run a coroutine function with an Inference of some settings."""

    def run(coroutine, **settings):
        async def main():
            inference = Inference(Settings(**settings), Metrics(), MemoryBudget(2**25))
            try:
                async with asyncio.timeout(20):
                    await coroutine(inference)
            finally:
                inference.close()

        asyncio.run(main())

    return run


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def ask(inference, tagger, *items, gone=lambda: False, wait_for_room=False):
    async def answer():
        if not wait_for_room:
            return b"".join(await inference.run(tagger, items, render, gone))
        await inference.room()
        return b"".join(await inference.run_after_room(tagger, items, render, gone))

    return asyncio.create_task(answer())


def test_requests_that_wait_form_a_batch_and_none_waits_for_a_batch_to_fill(scene, tagger):
    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        others = [ask(inference, tagger, name) for name in "bcd"]
        await until(lambda: inference.depth == 4)
        tagger.gate.set()
        assert await asyncio.gather(first, *others) == [b"a", b"b", b"c", b"d"]

    scene(act)
    assert tagger.asked == [["a"], ["b", "c", "d"]]


def test_a_batch_holds_no_more_than_the_budget(scene, tagger):
    texts = [letter * 399 for letter in "bcde"]  # of 100 tokens, about

    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        others = [ask(inference, tagger, text) for text in texts]
        await until(lambda: inference.depth == 5)
        tagger.gate.set()
        await asyncio.gather(first, *others)

    scene(act, batch_tokens=256)
    assert tagger.asked == [["a"], texts[:2], texts[2:]]


def test_requests_for_different_models_are_not_mixed(scene, tagger):
    other = Recorder()
    other.gate.set()

    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        others = [ask(inference, which, name) for which, name in ((tagger, "b"), (other, "c"), (other, "d"))]
        await until(lambda: inference.depth == 4)
        tagger.gate.set()
        await asyncio.gather(first, *others)

    scene(act)
    assert (tagger.asked, other.asked) == ([["a"], ["b"]], [["c", "d"]])


def test_a_request_larger_than_the_budget_yields_control_to_small_ones_between_its_steps(scene, tagger):
    parts = [letter * 200 for letter in "abcdef"]

    async def act(inference):
        large = ask(inference, tagger, *parts)
        await until(lambda: tagger.asked)
        small = ask(inference, tagger, "small")
        await until(lambda: inference.depth == 2)
        tagger.gate.set()
        assert await small == b"small"
        assert await large == "".join(parts).encode()

    scene(act, batch_tokens=64)
    assert tagger.asked == [parts, ["small"]]
    assert tagger.done.index("small") == 1


def test_when_the_queue_is_full_a_request_is_refused_at_once(scene, tagger):
    async def act(inference):
        waiting = [ask(inference, tagger, name) for name in "ab"]
        await until(lambda: inference.depth == 2)
        with pytest.raises(Problem, match="too many requests"):
            await ask(inference, tagger, "c")
        tagger.gate.set()
        assert await asyncio.gather(*waiting) == [b"a", b"b"]
        assert await ask(inference, tagger, "d") == b"d"

    scene(act, max_waiting=2)


def test_the_queue_is_bounded_in_tokens_too_but_an_empty_one_takes_any_request(scene, tagger):
    async def act(inference):
        large = ask(inference, tagger, "a" * 4000)
        await until(lambda: inference.depth == 1)
        with pytest.raises(Problem, match="too many requests"):
            await ask(inference, tagger, "b")
        tagger.gate.set()
        await large
        assert await ask(inference, tagger, "b") == b"b"

    scene(act, max_waiting_tokens=500)


def test_a_request_past_its_deadline_times_out_and_is_not_computed(scene, tagger):
    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        with pytest.raises(Problem, match=r"no answer within 0\.05 seconds"):
            await ask(inference, tagger, "late")
        with pytest.raises(Problem, match="no answer within"):
            await first
        tagger.gate.set()
        assert await ask(inference, tagger, "b") == b"b"

    scene(act, deadline_seconds=0.05)
    assert tagger.asked == [["a"], ["b"]]


def test_a_request_that_follows_answered_ones_has_a_deadline_of_its_own(scene, tagger):
    async def act(inference):
        tagger.gate.set()
        assert await ask(inference, tagger, "a") == b"a"  # the timer is that of this one still
        await asyncio.sleep(0.2)
        tagger.gate.clear()
        began = time.monotonic()
        with pytest.raises(Problem, match="no answer within"):
            await ask(inference, tagger, "b")
        assert time.monotonic() - began >= 0.28

    scene(act, deadline_seconds=0.3)


def test_jobs_expire_in_the_order_in_which_they_came(scene, tagger):
    async def act(inference):
        async def wait(name):
            with pytest.raises(Problem, match="no answer within"):
                await ask(inference, tagger, name)
            return time.monotonic()

        began = time.monotonic()
        waiting = []
        for name in "abc":
            waiting.append(asyncio.create_task(wait(name)))
            await asyncio.sleep(0.1)
        ended = [at - began for at in await asyncio.gather(*waiting)]
        assert all(at >= 0.4 + 0.1 * number - 0.02 for number, at in enumerate(ended))
        assert ended == sorted(ended)
        assert inference.depth == 0

    scene(act, deadline_seconds=0.4)


def test_what_joins_the_queue_while_others_expire_is_expired_by_the_same_timer(scene, tagger):
    answers, timers = [], []

    async def act(inference):
        def submit(name, left):
            def done(answer):
                answers.append((name, type(answer)))
                if left:
                    submit(name, left - 1)

            inference.begin(tagger, (name,), render, lambda: False, done)

        call_later = inference._loop.call_later

        def counted(seconds, function, *arguments):
            if function == inference._expire_oldest:
                timers.append(seconds)
            return call_later(seconds, function, *arguments)

        inference._loop.call_later = counted
        submit("a", 3)
        await asyncio.sleep(0.05)  # so that it is in the queue when "a" expires
        submit("b", 3)
        await until(lambda: len(answers) == 8)

    scene(act, deadline_seconds=0.15)
    assert sorted(answers, key=str) == [("a", Problem)] * 4 + [("b", Problem)] * 4
    assert len(timers) <= 8


def test_a_job_that_is_answered_while_another_expires_does_not_time_out_too(scene, tagger):
    answers = []

    async def act(inference):
        is_gone = False

        def expired(answer):
            nonlocal is_gone
            answers.append(answer)
            is_gone = True
            inference.make_room()

        inference.begin(tagger, ("a",), render, lambda: False, expired)
        inference.begin(tagger, ("b",), render, lambda: is_gone, answers.append)
        await until(lambda: len(answers) == 2)
        assert isinstance(answers[1], ClientGone)
        assert inference._metrics.registry.get_sample_value("fenestra_refused_total", {"reason": "timeout"}) == 1

    scene(act, deadline_seconds=0.05)


def test_a_refused_request_leaves_nothing_for_the_garbage_collector(scene, tagger):
    class Text(str):
        __slots__ = ("__weakref__",)

    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        gc.disable()
        try:
            text = Text("b")
            kept = weakref.ref(text)
            with pytest.raises(Problem, match="too many"):
                await inference.run(tagger, (text,), render)
            del text
            assert kept() is None
        finally:
            gc.enable()
        tagger.gate.set()
        await first

    scene(act, max_waiting=1)


def test_a_request_whose_client_leaves_leaves_nothing_for_the_garbage_collector(scene, tagger):
    class Text(str):
        __slots__ = ("__weakref__",)

    left = threading.Event()

    async def act(inference):
        gc.disable()
        try:
            text = Text("b " * 10_000)  # large enough to be computed in steps
            kept = weakref.ref(text)
            running = asyncio.ensure_future(inference.run(tagger, (text,), render, left.is_set))
            await until(lambda: tagger.asked)
            del text
            left.set()
            tagger.gate.set()
            with pytest.raises(ClientGone):
                await running
            del running
            tagger.asked.clear()
            tagger.done.clear()
            await until(lambda: kept() is None)
        finally:
            gc.enable()

    scene(act)


def test_a_waiting_request_of_a_disconnected_client_is_never_computed(scene, tagger):
    left = threading.Event()

    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        second = ask(inference, tagger, "b", gone=left.is_set)
        third = ask(inference, tagger, "c")
        await until(lambda: inference.depth == 3)
        left.set()
        third.cancel()
        tagger.gate.set()
        with pytest.raises(ClientGone):
            await second
        await first

    scene(act)
    assert tagger.asked == [["a"]]


def test_a_large_request_is_abandoned_when_its_client_disconnects(scene, tagger):
    left = threading.Event()
    parts = [letter * 200 for letter in "abcdef"]

    async def act(inference):
        large = ask(inference, tagger, *parts, gone=left.is_set)
        await until(lambda: tagger.asked)
        left.set()
        tagger.gate.set()
        with pytest.raises(ClientGone):
            await large

    scene(act, batch_tokens=64)
    assert tagger.done == parts[:1]


def test_a_disconnected_client_holds_no_place_in_a_full_queue(scene, tagger):
    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        gone = ask(inference, tagger, "b", gone=lambda: True)
        await until(lambda: inference.depth == 2)
        third = ask(inference, tagger, "c")
        await until(lambda: gone.done())
        tagger.gate.set()
        assert await asyncio.gather(first, third) == [b"a", b"c"]
        assert isinstance(gone.exception(), ClientGone)

    scene(act, max_waiting=2)


def test_only_the_request_at_fault_fails(scene, tagger):
    tagger.fails = {"c"}

    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        others = [ask(inference, tagger, name) for name in "bcde"]
        await until(lambda: inference.depth == 5)
        tagger.gate.set()
        answers = await asyncio.gather(*others, return_exceptions=True)
        assert [answers[0], answers[2], answers[3]] == [b"b", b"d", b"e"]
        assert isinstance(answers[1], ZeroDivisionError)
        assert await first == b"a"
        assert await ask(inference, tagger, "f") == b"f"

    scene(act)


def test_a_stream_waits_for_room_and_leaves_half_of_the_queue_to_other_requests(scene, tagger):
    async def act(inference):
        waiting = [ask(inference, tagger, name) for name in "ab"]
        await until(lambda: inference.depth == 2)
        streams = [ask(inference, tagger, name, wait_for_room=True) for name in "xyz"]
        single = ask(inference, tagger, "c")
        await until(lambda: inference.depth == 3)
        tagger.gate.set()
        assert await asyncio.gather(*waiting, single, *streams) == [b"a", b"b", b"c", b"x", b"y", b"z"]

    scene(act, max_waiting=4)


def test_a_waiter_that_is_cancelled_when_it_is_woken_wakes_the_next_one(scene, tagger):
    async def act(inference):
        async def first():
            await inference.run(tagger, ["a"], render)
            cancelled.cancel()  # in the turn of the event loop in which it was woken

        making_room = asyncio.create_task(first())
        await until(lambda: tagger.asked)
        cancelled, next_one = (ask(inference, tagger, name, wait_for_room=True) for name in "xy")
        await asyncio.sleep(0)
        tagger.gate.set()
        await making_room
        assert await next_one == b"y"
        assert cancelled.cancelled()

    scene(act, max_waiting=2)
    assert tagger.asked == [["a"], ["y"]]


def test_all_waiters_fail_too_when_the_model_is_given_up(scene, tagger):
    async def act(inference):
        first = ask(inference, tagger, "a")
        await until(lambda: tagger.asked)
        streams = [ask(inference, tagger, name, wait_for_room=True) for name in "uvwxyz"]
        await asyncio.sleep(0)
        inference.give_up()
        for waiting, words in ((first, "no answer within"), *((one, "does not answer") for one in streams)):
            with pytest.raises(Problem, match=words):
                await waiting

    scene(act, max_waiting=2)


def test_a_stuck_model_shows_in_the_time_of_its_step(scene, tagger):
    async def act(inference):
        assert inference.busy_seconds == 0
        waiting = ask(inference, tagger, "a")
        await until(lambda: inference.busy_seconds > 0.05)
        inference.give_up()
        with pytest.raises(Problem, match="no answer within"):
            await waiting
        with pytest.raises(Problem, match="too many requests"):
            await ask(inference, tagger, "b")
        tagger.gate.set()
        await until(lambda: inference.busy_seconds == 0)

    scene(act)


def test_all_work_is_done_on_one_thread_other_than_the_event_loops(scene, tagger):
    tagger.gate.set()

    async def act(inference):
        await asyncio.gather(*(ask(inference, tagger, str(number)) for number in range(20)))

    scene(act)
    assert len(tagger.threads) == 1
    assert threading.get_ident() not in tagger.threads


def test_the_thread_ends_when_closed(scene, tagger):
    tagger.gate.set()

    async def act(inference):
        await ask(inference, tagger, "a")

    scene(act)
    until_then = time.monotonic() + 10
    while any(thread.ident in tagger.threads for thread in threading.enumerate()):
        assert time.monotonic() < until_then
        time.sleep(0.01)
