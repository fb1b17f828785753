"""Who shares a reload, who is dropped, who is refused; and what a reload leaves behind."""

import asyncio
import gc
import logging
import shutil
import threading
import weakref
from contextlib import ExitStack

import pytest

from fenestra.app.engine import models as models_module
from fenestra.app.engine.jobs import ClientGone
from fenestra.app.engine.models import Pacer, freeze_objects, open_model
from fenestra.app.engine.reloads import Reloads
from fenestra.app.errors import Problem
from fenestra.app.main import create_app
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from fenestra.model.tagger import Tagger
from tests.app.live import LiveServer, request, wait_for
from tests.model.conftest import small_model
from tests.model.hostile import HOSTILE, NO_FILES, rewrite, write_good

CANARY = {"text": ["Ada Lovelace met Siemens in Munich."], "details": True}


class Slow:
    """Reloads that take until they are told to end; each returns its number."""

    def __init__(self):
        self.begun, self.ends = [], []

    async def __call__(self, name):
        self.begun.append(name)
        end = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        await end
        return len(self.begun)


def here():
    return False


def gone():
    return True


def scene(body, most_waiting=64):
    """Run a test on an event loop, with reloads that take as long as it wants."""

    async def whole():
        slow, metrics = Slow(), Metrics()
        reloads = Reloads(slow, most_waiting, metrics)

        async def ask(name="a", is_gone=here):
            task = asyncio.create_task(reloads.ask(name, is_gone))
            await turns()
            return task

        await asyncio.wait_for(body(slow, ask, reloads, metrics), 10)

    asyncio.run(whole())


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


def test_requests_that_come_before_a_reload_begins_share_it():
    async def body(slow, ask, reloads, metrics):
        first = await ask()
        others = [await ask() for _ in range(30)]
        assert slow.begun == ["a"]
        slow.ends[0].set_result(None)
        await turns()
        assert first.result() == 1
        assert slow.begun == ["a", "a"]  # the first may have read what was there before the others came
        slow.ends[1].set_result(None)
        await turns()
        assert {other.result() for other in others} == {2}
        again = await ask()
        slow.ends[2].set_result(None)
        assert await again == 3

    scene(body)


def test_one_whose_client_is_gone_is_dropped_if_it_has_not_begun():
    async def body(slow, ask, reloads, metrics):
        first = await ask()
        waiting = [await ask(is_gone=gone) for _ in range(30)]
        slow.ends[0].set_result(None)
        await turns()
        assert await first == 1
        assert slow.begun == ["a"]
        for task in waiting:
            with pytest.raises(ClientGone):
                await task
        assert reloads.waiting == 0

    scene(body)


def test_those_who_are_there_get_theirs_whoever_has_left():
    async def body(slow, ask, reloads, metrics):
        await ask()
        left, cut_off, there = await ask(is_gone=gone), await ask(), await ask()
        cut_off.cancel()
        slow.ends[0].set_result(None)
        await turns()
        slow.ends[1].set_result(None)
        assert await there == 2
        with pytest.raises(ClientGone):
            await left
        with pytest.raises(asyncio.CancelledError):
            await cut_off

    scene(body)


def test_no_more_than_the_limit_wait_and_those_who_have_left_make_room():
    async def body(slow, ask, reloads, metrics):
        await ask()
        left = []
        waiting = [await ask(is_gone=lambda: bool(left)), await ask(), await ask("b")]
        assert (reloads.waiting, slow.begun) == (2, ["a", "b"])
        waiting.append(await ask("b"))
        with pytest.raises(Problem, match="wait for a reload") as refusal:
            await reloads.ask("a", here)
        assert (refusal.value.code, refusal.value.headers) == ("overloaded", {"Retry-After": "1"})
        assert b'fenestra_refused_total{reason="overloaded"} 1.0' in metrics.exposition()
        own = asyncio.create_task(reloads.ask("a"))  # after a signal: strangers do not keep the operator out
        await turns()
        assert reloads.waiting == 4
        own.cancel()
        left.append(True)
        last = await ask()
        assert reloads.waiting == 3
        for _ in range(2):
            for end in slow.ends:
                if not end.done():
                    end.set_result(None)
            await turns()
        assert last.done()

    scene(body, most_waiting=3)


def test_models_do_not_wait_for_one_another():
    async def body(slow, ask, reloads, metrics):
        stuck, other = await ask("a"), await ask("b")
        slow.ends[1].set_result(None)
        assert await other == 2
        assert not stuck.done()

    scene(body)


def test_a_failure_is_that_of_all_who_share_the_reload_and_of_nobody_after_them():
    async def body(slow, ask, reloads, metrics):
        await ask()
        shared = [await ask(), await ask()]
        slow.ends[0].set_exception(Problem("reload_failed", "no"))
        await turns()
        later = await ask()
        slow.ends[1].set_exception(Problem("reload_failed", "no"))
        await turns()
        for task in shared:
            with pytest.raises(Problem, match="no"):
                await task
        slow.ends[2].set_result(None)
        assert await later == 3

    scene(body)


def test_the_end_of_the_service_ends_all_that_wait():
    async def body(slow, ask, reloads, metrics):
        tasks = [await ask(), await ask(), await ask("b")]
        reloads.close()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task

    scene(body)


# ── over real sockets ──


@pytest.fixture
def folder(tmp_path):
    write_good(tmp_path / "small", small_model(documents=True))
    return tmp_path / "small"


RELOAD = request("/models/english/reload", method="POST", Content_Length=0)


def opening():
    """What opens a model when it is let, the folders that it has begun with, and the event that lets it."""
    begun, opened = [], threading.Event()

    def slow_open(folder, before):
        begun.append(folder)
        opened.wait(20)
        return before

    return slow_open, begun, opened


def test_reloads_that_nobody_waits_for_are_not_done(monkeypatch):
    """Three hundred clients that hang up at once, while a reload is under way."""
    slow_open, begun, opened = opening()
    with LiveServer() as server, server.connect() as first:
        monkeypatch.setattr(server.app.state.service.models, "_open_model", slow_open)
        first.send(RELOAD)
        wait_for(lambda: begun)
        for _ in range(300):
            with server.connect() as client:
                client.send(RELOAD)
        wait_for(lambda: server.count("fenestra_open_connections") == 1)
        opened.set()
        assert first.answer().status == 200
        assert server.ask(RELOAD).status == 200
        assert len(begun) == 2
        assert server.count('fenestra_reloads_total{model="english",outcome="ok"}') == 2


def test_reloads_beyond_the_limit_are_refused_and_told_when_to_come_again(monkeypatch):
    slow_open, begun, opened = opening()
    with LiveServer(max_waiting=3) as server, ExitStack() as stack:
        monkeypatch.setattr(server.app.state.service.models, "_open_model", slow_open)
        wires = [stack.enter_context(server.connect()) for _ in range(4)]
        wires[0].send(RELOAD)
        wait_for(lambda: begun)
        for wire in wires[1:]:
            wire.send(RELOAD)
        wait_for(lambda: server.app.state.service.models._reloads.waiting == 3)
        answer = server.ask(RELOAD)
        assert (answer.status, answer.code) == (503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert server.refused("overloaded") == 1
        opened.set()
        assert [wire.answer().status for wire in wires] == [200] * 4
        assert len(begun) == 2


# ── what strangers left in the folder ──


@pytest.fixture
def client(folder, new_client):
    with new_client(create_app(Settings(model=folder))) as client:
        yield client


def check_refused(client, refused, caplog, before):
    """Reload a folder of a stranger: 409, one printable line in the log, and nothing else has changed."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        refused(client.request("POST", "/models/small/reload"), 409, "reload_failed")
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.isprintable()
    assert client.tag(CANARY).content == before
    assert client.get("/models").json()["models"][0]["labels"] == ["LOC", "ORG", "PER"]
    assert client.get("/metrics").status_code == 200
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("damage", HOSTILE.values(), ids=HOSTILE)
def test_the_old_model_serves_on_whatever_a_stranger_made(client, folder, refused, caplog, damage):
    before = client.tag(CANARY).content
    damage(folder)
    check_refused(client, refused, caplog, before)


@pytest.mark.parametrize("name", ["README.md", "manifest.json", "weights.safetensors"])
@pytest.mark.parametrize("kind", NO_FILES)
def test_the_old_model_serves_on_beside_what_is_no_file(client, folder, refused, caplog, kind, name):
    before = client.tag(CANARY).content
    NO_FILES[kind](folder / name)
    check_refused(client, refused, caplog, before)


def test_weights_of_a_stranger_that_are_numbers_but_no_model_are_refused(client, folder, refused, caplog):
    before = client.tag(CANARY).content
    model = small_model(documents=True)
    model.parameters.bias_H[:] = 3e38
    shutil.rmtree(folder)
    write_good(folder, model)
    check_refused(client, refused, caplog, before)


# ── what a reload shares, and what it frees ──


def test_a_reload_of_the_same_files_keeps_the_model(folder):
    settings = Settings()
    before = open_model(folder, None, settings)
    assert open_model(folder, before, settings) is before
    rewrite(folder, "README.md", b"Another card")
    after = open_model(folder, before, settings)
    assert after.version != before.version
    assert after.parameters is before.parameters
    assert after.tag(CANARY["text"]) == before.tag(CANARY["text"])


def test_a_damaged_file_is_found_though_the_manifest_has_not_changed(client, folder, refused, caplog):
    before = client.tag(CANARY).content
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    check_refused(client, refused, caplog, before)


def test_a_model_is_freed_without_the_garbage_collector(folder):
    """So the collector need not visit what it was told to leave alone, which would stop every thread."""
    tagger = Tagger.load(folder, device="cpu")
    tagger.self_test()
    gc.collect()
    gc.disable()
    try:
        gc.freeze()
        parts = [weakref.ref(tagger), weakref.ref(tagger._engine), weakref.ref(tagger.parameters.bias_H)]
        del tagger
        assert [part() for part in parts] == [None] * len(parts)
    finally:
        gc.enable()
        gc.unfreeze()


def test_what_was_frozen_before_is_not_visited_again(monkeypatch):
    calls = []
    for name in ("collect", "freeze", "unfreeze", "set_threshold"):
        monkeypatch.setattr(models_module.gc, name, lambda *_, name=name: calls.append(name))
    freeze_objects()
    assert calls == ["collect", "freeze", "set_threshold"]


def test_a_thread_that_loads_rests_as_long_as_it_works(monkeypatch):
    worked, rests = [0.0], []
    monkeypatch.setattr(models_module.time, "thread_time", lambda: worked[0])
    monkeypatch.setattr(models_module.time, "sleep", rests.append)
    pacer = Pacer()
    for step in (0.0001, 0.002, 0.0, 0.01):
        worked[0] += step
        pacer()
    assert rests == pytest.approx([0.0021, 0.01])


def test_a_reload_gives_way_and_the_start_does_not(folder, monkeypatch):
    rests = []
    monkeypatch.setattr(Pacer, "__call__", lambda self: rests.append(1))
    before = open_model(folder, None, Settings())
    assert not rests
    rewrite(folder, "words.txt", b"Ada\nlovelace\nmet\nsiemens\nin\nmunich\n.\n")
    open_model(folder, before, Settings())
    assert len(rests) > 20  # files, words, and the self-test of the new model
