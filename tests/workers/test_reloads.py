"""A reload of all workers: every one switches, or none, whatever happens meanwhile."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from fenestra.app.engine.models import ServedModel
from fenestra.app.observability.metrics import Metrics
from fenestra.app.workers import reloads as reloads_module
from fenestra.app.workers.reloads import Reloads
from fenestra.app.workers.worker_process import Asker, Worker
from fenestra.model.errors import CheckpointError


class Said:
    """The end of a channel that keeps what is sent."""

    def __init__(self):
        self.messages = []

    def send(self, message):
        self.messages.append(message)

    def done(self):
        """The messages so far, in short; they are forgotten."""
        found = [f"{message['do']} {message.get('model', message.get('done'))}" for message in self.messages]
        self.messages.clear()
        return found


@dataclass(frozen=True)
class Tagger:
    version: str
    labels = ()


class World:
    """Two workers, and a supervisor that finds ``found`` when it loads a model."""

    def __init__(self):
        self.found = "v2"
        self.killed = []
        self.models = {name: self.model(name, "v1") for name in ("english", "russian")}
        self.metrics = Metrics()
        self.reloads = Reloads(self.metrics, self.models, self.read, self.killed.append)
        self.workers = [self.worker(pid) for pid in (1, 2)]
        self.client = Said()

    @staticmethod
    def model(name, version):
        return ServedModel(name, Path(name), Tagger(version), frozenset())

    @staticmethod
    def worker(pid):
        return Worker(pid, pid, Said(), 0.0, 0, watches=False)

    def read(self, model):
        if isinstance(self.found, Exception):
            raise self.found
        return self.model(model.name, self.found)

    def ask(self, name="english"):
        self.reloads.ask(name, Asker(self.client, 7), self.workers)

    def loaded(self, worker, version="v2", number=1, name="english", reason=None):
        self.reloads.loaded(worker, number, name, version, reason)
        self.reloads.go_on(self.workers)

    def switched(self, worker, number=1, name="english"):
        self.reloads.switched(worker, number, name)
        self.reloads.go_on(self.workers)

    def said(self):
        return [worker.channel.done() for worker in self.workers]

    def count(self, outcome):
        return self.metrics.registry.get_sample_value(
            "fenestra_reloads_total", {"model": "english", "outcome": outcome}
        )  # fmt: skip


@pytest.fixture
def world():
    made = World()
    made.ask()
    assert made.said() == [["load english"]] * 2
    return made


def test_all_switch_when_the_last_one_has_loaded_and_then_the_client_is_answered(world):
    one, two = world.workers
    world.loaded(one)
    assert world.said() == [[], []]
    assert world.models["english"].version == "v1"
    world.loaded(two)
    assert world.said() == [["switch english"]] * 2
    assert world.models["english"].version == "v2"
    world.switched(one)
    assert world.client.done() == []
    world.switched(two)
    assert world.client.done() == ["answer True"]
    assert world.count("ok") == 1
    assert world.reloads.generation == 1


@pytest.mark.parametrize("versions", [("v2", None), (None, None), ("v2", "v3")])
def test_nobody_switches_if_one_cannot_or_two_differ(world, versions):
    for worker, version in zip(world.workers, versions, strict=True):
        world.loaded(worker, version, reason=None if version else "words.txt is missing")
    assert world.said() == [["drop english"]] * 2
    assert world.client.done() == ["answer False"]
    assert world.models["english"].version == "v1"
    assert world.count("failed") == 1
    assert world.reloads.generation == 0


@pytest.mark.parametrize("found", ["v3", CheckpointError("english: no checkpoint"), MemoryError()])
def test_nobody_switches_if_the_supervisor_finds_something_else(world, found):
    world.found = found
    for worker in world.workers:
        world.loaded(worker)
    assert world.said() == [["drop english"]] * 2
    assert world.client.done() == ["answer False"]


def test_a_worker_that_ends_is_not_waited_for(world):
    one, two = world.workers
    world.loaded(one)
    world.workers.remove(two)
    world.reloads.ended(two)
    world.reloads.go_on(world.workers)
    assert world.said() == [["switch english"]]
    world.switched(one)
    assert world.client.done() == ["answer True"]


def test_a_worker_that_is_forked_meanwhile_is_asked_too(world):
    one, two = world.workers
    three = world.worker(3)
    world.workers.append(three)
    world.reloads.forked(three)
    assert three.channel.done() == ["load english"]
    world.loaded(one)
    world.loaded(two)
    assert world.said() == [[], [], []]
    world.loaded(three)
    assert world.said() == [["switch english"]] * 3
    four = world.worker(4)
    world.reloads.forked(four)  # of a supervisor that has the new model
    assert four.channel.done() == []


def test_who_asks_while_a_model_is_being_loaded_waits_for_the_next_round(world):
    world.ask()
    assert world.said() == [[], []]
    for worker in world.workers:
        world.loaded(worker)
    for worker in world.workers:
        world.switched(worker)
    assert world.client.done() == ["answer True"]
    assert world.said() == [["switch english", "load english"]] * 2
    for worker in world.workers:
        world.loaded(worker, number=1)  # of the round before
    assert world.said() == [[], []]
    for worker in world.workers:
        world.loaded(worker, number=2)
    assert world.said() == [["switch english"]] * 2


def test_models_do_not_wait_for_one_another_but_a_signal_reloads_one_after_the_other(world):
    world.ask("russian")
    assert world.said() == [["load russian"]] * 2
    for number, name in ((2, "russian"), (1, "english")):
        for worker in world.workers:
            world.loaded(worker, number=number, name=name)
        for worker in world.workers:
            world.switched(worker, number, name)
    world.said()
    world.reloads.ask_all(world.workers)
    world.reloads.ask_all(world.workers)
    for number, name in enumerate(("english", "russian") * 2, start=3):
        assert world.said() == [[f"load {name}"]] * 2
        for worker in world.workers:
            world.loaded(worker, number=number, name=name)
        for worker in world.workers:
            world.switched(worker, number, name)
        for worker in world.workers:
            assert worker.channel.messages.pop(0)["do"] == "switch"
    assert world.said() == [[], []]
    assert not world.reloads.busy


def test_no_reload_takes_for_ever(world, monkeypatch):
    one, two = world.workers
    world.loaded(one)
    now = reloads_module.time.monotonic()
    monkeypatch.setattr(reloads_module.time, "monotonic", lambda: now + 301)
    world.reloads.go_on(world.workers)
    assert world.client.done() == ["answer False"]
    world.loaded(two)  # too late
    assert world.models["english"].version == "v1"


def test_a_worker_that_does_not_switch_is_ended(world, monkeypatch):
    one, two = world.workers
    world.loaded(one)
    world.loaded(two)
    world.switched(one)
    now = reloads_module.time.monotonic()
    monkeypatch.setattr(reloads_module.time, "monotonic", lambda: now + 31)
    world.reloads.go_on(world.workers)
    assert world.killed == [two]
    assert world.client.done() == []
    world.reloads.ended(two)
    world.reloads.go_on(world.workers)
    assert world.client.done() == ["answer True"]
