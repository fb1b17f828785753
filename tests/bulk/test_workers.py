"""Processes that work at the same time: the same bytes, in order, and none of them is missed when it dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from fenestra.cli import tag as tagging
from fenestra.cli.bulk.chunks import Chunk
from fenestra.cli.bulk.units import Piece, PieceDone, UnitDone, WorkUnit
from fenestra.cli.bulk.workers import MOST_TRIES, DeadWorkers, Pool
from fenestra.cli.tag import tag_files
from fenestra.model.errors import RunError, StorageError

LETTERS = "".join(f"Anna Berg number {number} met Tom Kerr in Oslo.\n" for number in range(300))
METHODS = ["fork", "spawn"] if sys.platform == "linux" else ["spawn"]
forks = pytest.mark.skipif(sys.platform != "linux", reason="patches what forked processes do")


def units(count):
    for number in range(count):
        yield WorkUnit(number, (Piece(0, Chunk("text", b"%d" % number)),), final=number == count - 1)


def echo(unit, _between):
    """Give back what is in a unit; the first ones take longer."""
    time.sleep(0.05 * (unit.number < 2))
    return UnitDone((PieceDone(1, 1, 1),), unit.pieces[0].chunk.data)


def die(unit, _between, *, at, once):
    """Die at a unit, until a file is there."""
    if unit.number == at and not (once and once.exists()):
        if once:
            once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return echo(unit, _between)


def store_slowly(unit, between, *, at, once):
    """As :func:`die`; what was done is stored while the next unit is worked at."""
    done = die(unit, between, at=at, once=once)

    def store():
        time.sleep(0.1)
        return done

    return store


def store_much(unit, between):
    """As :func:`echo`, with more to say of each unit than a pipe holds; storing takes longer than the work."""
    done = echo(unit, between)

    def store():
        time.sleep(0.05)
        return UnitDone(done.pieces, done.written[:8] + bytes(1 << 20))

    return store


def fail(unit, _between):
    if unit.number == 3:
        raise StorageError(f"unit {unit.number}")
    return echo(unit, _between)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("may_block", [False, True])
def test_what_is_done_comes_in_order_without_its_data(method, may_block):
    told = []
    with Pool(echo, 3, window=4, method=method) as pool:
        done = list(pool.run(units(20), done=lambda unit, _: told.append(unit.number), may_block=may_block))
    assert [unit.number for unit, _ in done] == list(range(20))
    assert [found.written for _, found in done] == [b"%d" % number for number in range(20)]
    assert sorted(told) == list(range(20))
    assert all(piece.chunk.data == b"" for unit, _ in done for piece in unit.pieces)


def test_no_more_is_read_ahead_than_the_window_allows():
    read = []

    def counted():
        for unit in units(1000):
            read.append(unit.number)
            yield unit

    with Pool(echo, 2, window=5, method=METHODS[0]) as pool:
        results = pool.run(counted())
        next(results)
        assert len(read) <= 5 + 1
        results.close()


def test_a_single_unit_starts_no_process():
    with Pool(lambda unit, between: echo(unit, between), 8, window=9) as pool:
        assert len(list(pool.run(units(1)))) == 1
        assert pool._workers == []


def test_what_is_known_is_not_done_again():
    done = []
    with Pool(echo, 2, window=9, method=METHODS[0]) as pool:
        known = UnitDone((), b"known")
        results = list(
            pool.run(
                units(6),
                known=lambda unit: known if unit.number % 2 else None,
                done=lambda unit, _: done.append(unit.number),
            )
        )
    assert [found.written for _, found in results] == [b"0", b"known", b"2", b"known", b"4", b"known"]
    assert sorted(done) == [0, 2, 4]


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_dies_is_replaced_and_its_unit_is_tried_again(method, tmp_path):
    with Pool(partial(die, at=4, once=tmp_path / "once"), 2, window=9, method=method) as pool:
        assert [found.written for _, found in pool.run(units(9))] == [b"%d" % number for number in range(9)]
    assert (tmp_path / "once").exists()


@forks
def test_what_a_worker_that_dies_had_not_stored_yet_is_done_again(tmp_path):
    with Pool(partial(store_slowly, at=5, once=tmp_path / "once"), 2, window=9, method="fork") as pool:
        assert [found.written for _, found in pool.run(units(9))] == [b"%d" % number for number in range(9)]
    assert (tmp_path / "once").exists()


def work_at_large_units():
    """Do units whose data and results are larger than a pipe holds; run in a process of its own."""
    large = (
        WorkUnit(number, (Piece(0, Chunk("text", b"%08d" % number + bytes(1 << 20))),), final=number == 11)
        for number in range(12)
    )
    with Pool(store_much, 2, window=12, method="fork") as pool:
        assert [found.written[:8] for _, found in pool.run(large)] == [b"%08d" % number for number in range(12)]


@forks
def test_large_units_and_large_results_do_not_wait_for_each_other():
    command = [sys.executable, "-c", "from tests.bulk import test_workers; test_workers.work_at_large_units()"]
    subprocess.run(command, check=True, timeout=60)


@pytest.mark.parametrize("work", [die, pytest.param(store_slowly, marks=forks)])
def test_a_unit_at_which_workers_die_again_and_again_ends_the_work_after_those_before_it(work):
    before = []
    with Pool(partial(work, at=4, once=None), 2, window=9, method=METHODS[0]) as pool:
        results = pool.run(units(9))
        before += [next(results)[1].written for _ in range(4)]
        with pytest.raises(DeadWorkers, match="SIGKILL") as caught:
            next(results)
    assert caught.value.unit.number == 4
    assert before == [b"0", b"1", b"2", b"3"]


def test_an_error_of_a_worker_is_that_of_the_work():
    with Pool(fail, 2, window=9, method=METHODS[0]) as pool:
        results = pool.run(units(9))
        assert [next(results)[0].number for _ in range(3)] == [0, 1, 2]
        with pytest.raises(StorageError, match="unit 3"):
            next(results)


def test_workers_are_gone_when_the_pool_is_closed():
    with Pool(echo, 3, window=9, method=METHODS[0]) as pool:
        results = pool.run(units(50))
        next(results)
        processes = [worker.process for worker in pool._workers]
        assert len(processes) > 1
    assert not any(process.is_alive() for process in processes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("where", ["file", "folder"])
@pytest.mark.usefixtures("small_units")
def test_many_workers_write_the_bytes_of_one(english, tmp_path, method, where):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(LETTERS)
    (tmp_path / "in" / "b.conll").write_text("-DOCSTART- O\n\nAnna O\nBerg O\n\nBerg O\nleft O\n\n" * 40)
    (tmp_path / "in" / "c.jsonl").write_text('{"text": "Tom Kerr left Oslo.", "id": 1}\n' * 60)
    (tmp_path / "in" / "empty.txt").write_text("")
    results = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        options = {"output": out} if where == "file" else {"output_folder": out}
        tag_files(english, [str(tmp_path / "in")], workers=workers, method=method, **options)
        paths = [out] if where == "file" else sorted(path for path in out.rglob("*") if path.is_file())
        results.append([(path.name.replace(out.name, ""), path.read_bytes()) for path in paths])
    assert results[0] == results[1]
    assert sum(data.count(b"\n") for _, data in results[0]) == 300 + 80 + 60
    assert len(results[0]) == (1 if where == "file" else 4)


@forks
@pytest.mark.usefixtures("small_units")
@pytest.mark.parametrize("workers", [2, 3])
def test_a_text_that_kills_workers_is_named_and_what_is_done_is_kept(english, tmp_path, monkeypatch, workers):
    path = tmp_path / "a.txt"
    path.write_text(LETTERS + "poison\n" + LETTERS)
    real = tagging.tag_chunk

    def tag_or_die(tagger, job, chunk, between):
        if b"poison" in chunk.data:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(tagger, job, chunk, between)

    notes = []
    monkeypatch.setattr(tagging, "tag_chunk", tag_or_die)
    run = partial(tag_files, english, [str(path)], output=tmp_path / "out", method="fork", note=notes.append)
    with pytest.raises(RunError, match=rf"a\.txt:\d+: a worker was ended by SIGKILL, {MOST_TRIES} times") as caught:
        run(workers=workers)
    line = int(str(caught.value).removeprefix(f"{path}:").split(":")[0])
    assert 290 < line <= 301
    assert not (tmp_path / "out").exists()
    assert notes == [f"what is finished is kept in {tmp_path / '.out.parts'}: the same command goes on from there"]
    monkeypatch.setattr(tagging, "tag_chunk", real)
    run(workers=workers)
    assert notes[1:] == ["going on with what an earlier run has left"]
    tag_files(english, [str(path)], output=tmp_path / "whole")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.txt", "out", "whole"]


def children(process):
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_worker_that_is_killed_is_not_missed(large, process, tmp_path):
    path, expected = large
    started = process(path, "-o", tmp_path / "out", "--workers", 2)
    until = time.monotonic() + 240
    while not (found := children(started)) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(found[0], signal.SIGKILL)
    _, err = started.communicate(timeout=300)
    assert started.returncode == 0, err
    assert (tmp_path / "out").read_bytes() == expected.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not forked")
def test_on_linux_workers_are_forked_and_share_the_model(large, process, tmp_path):
    started = process(large[0], "-o", tmp_path / "out", "--workers", 2)
    until = time.monotonic() + 240
    while len(found := children(started)) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    commands = {Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (started.pid, *found)}
    assert len(found) == 2
    assert len(commands) == 1  # a spawned one has another
    threads = [len(list(Path(f"/proc/{started.pid}/task").iterdir()))]
    assert threads == [1]
    assert started.wait(300) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_standard_input_goes_through_many_workers_in_order(large, process, workers):
    path, expected = large
    with path.open("rb") as source:
        started = process("-", "--workers", workers, stdin=source)
        out, _ = started.communicate(timeout=300)
    assert started.returncode == 0
    assert out == expected.read_bytes()


def test_results_are_given_out_while_more_is_waited_for(process):
    """A producer that stops for a while gets what it sent before, but for what fills no chunk."""
    started = process("-", "--workers", 2, stdin=subprocess.PIPE)
    line = b"Anna Berg met Tom Kerr in Oslo.\n"

    def produce():
        started.stdin.write(line * 20_000)
        started.stdin.flush()

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    watch = threading.Timer(240, started.kill)  # reading would wait for ever otherwise
    watch.start()
    for _ in range(12_000):
        assert started.stdout.readline().startswith(b'{"text": "Anna Berg')
    watch.cancel()
    producer.join(10)
    assert started.poll() is None
    started.stdin.close()
    assert started.stdout.read().count(b"\n") == 8_000
    assert started.wait(60) == 0


@pytest.mark.parametrize(
    ("free_mb", "usual", "workers", "expected"),
    [(16_000, 512, 1, 512), (16_000, 512, 2, 256), (16_000, 512, 16, 128), (4_000, 250, 64, 15.625), (None, 96, 4, 96)],
)
def test_the_caches_of_all_workers_take_a_quarter_of_the_memory_at_most(monkeypatch, free_mb, usual, workers, expected):
    monkeypatch.setattr(tagging, "usual_cache_mb", lambda: usual)
    monkeypatch.setattr(tagging, "available_bytes", lambda: None if free_mb is None else free_mb * 1e6)
    assert tagging.cache_mb(workers) == expected
