"""What a worker of Ray does, without Ray: the work of a local one, stored where the run sees it or given back."""

import pickle
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fenestra.cli.bulk import on_ray
from fenestra.cli.bulk.chunks import Chunk
from fenestra.cli.bulk.in_order import MOST_TRIES, DeadWorkers
from fenestra.cli.bulk.on_ray import RayPool
from fenestra.cli.bulk.ray_worker import Worker
from fenestra.cli.bulk.resume import Store, open_store
from fenestra.cli.bulk.tagging import Job, Tagged
from fenestra.cli.bulk.units import Piece, UnitDone, WorkUnit, piece_done
from fenestra.cli.main import main
from fenestra.cli.tag import _Work
from fenestra.model.errors import RunError
from fenestra.model.version import VERSION


def unit(number=0, text=b"Anna Berg met Tom Kerr in Oslo.\n"):
    return WorkUnit(number, (Piece(0, Chunk("text", text, 1)),))


def worker(work, program=VERSION, model=None):
    return Worker(pickle.dumps(work), program, model or work.tagger.version)


def test_a_result_is_stored_where_the_run_sees_it_and_given_back_where_it_does_not(english, tmp_path):
    with open_store(tmp_path / "parts", {}, str) as store:
        near = worker(_Work(english, Job(), store))
        assert near.ready() is True
        assert near.do(unit()).written == b""
        kept = Store(store.folder).get(unit(), goes_on=False)
        far = worker(_Work(english, Job(), Store(store.folder, "of another machine")))
        assert far.ready() is False
        back = far.do(unit())
        assert back.pieces == kept.pieces
        store.put(unit(1), on_ray._parts(back))
        assert (store.folder / "00000001").read_bytes().split(b"\n", 1)[1] == back.written
        assert (store.folder / "00000000").read_bytes().split(b"\n", 1)[1] == back.written


def test_a_worker_of_another_version_or_model_is_refused(english):
    work = _Work(english, Job(), None)
    assert "workers have fenestra" in str(worker(work, program="0.0.1").ready())
    assert "another model" in str(worker(work, model="0").ready())
    assert worker(work).ready() is False


def test_an_error_of_the_work_is_what_comes_back(english, monkeypatch):
    one = worker(_Work(english, Job(), None))
    one.ready()
    monkeypatch.setattr(one, "_work", lambda *_: 1 / 0)
    assert isinstance(one.do(unit()), RunError | ZeroDivisionError)


def test_a_bundled_model_is_found_where_it_lies_on_another_machine(english, monkeypatch):
    data = pickle.dumps(english)
    real = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: False if path == english.folder.absolute() else real(path))
    assert pickle.loads(data).version == english.version


@dataclass(frozen=True)
class Echo:
    """Gives back what is in a unit."""

    store: object = None
    tagger: object = None

    def without_store(self):
        return replace(self, store=None)

    def __call__(self, unit, _between):
        tagged = Tagged(unit.pieces[0].chunk.data, texts=1, tokens=1)
        return UnitDone((piece_done(tagged),), tagged.written)


class Died(Exception):
    """A worker did."""


class FakeRay:
    """Does what Ray is asked for at once, but for a unit at which a worker dies, with all else that it has."""

    class exceptions:  # noqa: N801 - a module
        RayTaskError = type("RayTaskError", (Exception,), {})
        RayError = Died

    def __init__(self, deadly, times):
        self.deadly, self.left, self.pending, self.most = deadly, times, {}, 0

    def put(self, value):
        return value

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, **_options):
        return lambda kind: FakeKind(self)

    def wait(self, refs, num_returns=1, timeout=None):
        return [ref for ref in refs if timeout is None or timeout > 0 or ref[2] == "ready"][:num_returns], []

    def get(self, ref):
        actor, unit, _ = ref
        if unit is None:
            return False
        if not actor.dead and self.left and any(one.number == self.deadly for one in actor.units):
            actor.dead, self.left = True, self.left - 1
        if actor.dead:
            raise Died("gone\nand more of it")
        actor.units.remove(unit)
        return Echo()(unit, None)

    def kill(self, actor):
        actor.dead = True

    def shutdown(self):
        pass


class FakeKind:
    def __init__(self, ray):
        self.ray = ray

    def remote(self, *_):
        return FakeActor(self.ray)


class FakeActor:
    def __init__(self, ray):
        self.ray, self.units, self.dead = ray, [], False
        self.ready = self.do = self

    def remote(self, unit=None):
        if unit is not None:
            self.units.append(unit)
            self.ray.most = max(self.ray.most, len(self.units))
        return (self, unit, "ready" if unit is None else "work")


@pytest.fixture
def fake(monkeypatch):
    def start(deadly=-1, times=0):
        ray = FakeRay(deadly, times)
        monkeypatch.setattr(on_ray, "_connect", lambda *_: (ray, ""))
        notes = deque()
        work = Echo(tagger=type("Model", (), {"version": "1"}))
        monkeypatch.setattr(on_ray.pickle, "dumps", lambda _: b"")
        return RayPool(work, 2, window=lambda workers: 9, note=notes.append), ray, notes

    return start


def units(count):
    for number in range(count):
        yield replace(unit(number, b"%d" % number), final=number == count - 1)


def test_units_are_done_in_order_two_at_once_by_each_worker(fake):
    pool, ray, notes = fake()
    with pool:
        assert [done.written for _, done in pool.run(units(9))] == [b"%d" % number for number in range(9)]
    assert (ray.most, list(notes)) == (2, [])


@pytest.mark.parametrize("times", [1, 2])
def test_a_unit_is_tried_again_and_none_that_was_beside_it_is_blamed(fake, times):
    pool, _, notes = fake(deadly=4, times=times)
    with pool:
        assert [done.written for _, done in pool.run(units(9))] == [b"%d" % number for number in range(9)]
    assert list(notes) == ["a worker died, and what it was at is tried again: gone"] * times


def test_a_unit_that_kills_every_worker_ends_the_work(fake):
    pool, _, _ = fake(deadly=4, times=99)
    before = []
    with pool, pytest.raises(DeadWorkers, match="died") as caught:
        before += [done.written for _, done in pool.run(units(9))]
    assert caught.value.unit.number == 4
    assert pool._actors == []


def test_workers_that_end_before_they_are_ready_end_the_work(fake, monkeypatch):
    pool, ray, _ = fake()

    def die(ref):
        raise Died("no such module")

    monkeypatch.setattr(ray, "get", die)
    with pool, pytest.raises(RunError, match=f"{MOST_TRIES} times: no such module"):
        list(pool.run(units(9)))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--address", "auto"], "--address: of a cluster of Ray; expected --engine ray beside it"),
        (["--engine", "spark"], "argument --engine: invalid choice: 'spark'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tag, tmp_path, words, told):
    (tmp_path / "a.txt").write_text("Anna\n")
    code, out, err = tag(*words, tmp_path / "a.txt")
    assert (code, out) == (2, "")
    assert told in err[-1]


def test_a_missing_ray_is_named_with_what_installs_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("fenestra.cli.shell.find_spec", lambda _: None)
    assert main(["tag", "--engine", "ray", str(tmp_path)]) == 2
    assert "ray is not installed; run: pip install 'fenestra-ner[ray]'" in capsys.readouterr().err
