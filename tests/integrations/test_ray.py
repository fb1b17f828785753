"""Ray: the bytes of local workers, from workers that are killed, a driver that is killed, and two nodes."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

if not find_spec("ray"):  # it is imported where its token is made, and not before
    pytest.skip("ray is not installed", allow_module_level=True)
if sys.platform != "linux":
    pytest.skip("looks for processes in /proc", allow_module_level=True)

from benchmarks.ray import below, is_worker, two_nodes
from fenestra.cli.bulk.chunks import Chunk
from fenestra.cli.bulk.in_order import MOST_TRIES, DeadWorkers
from fenestra.cli.bulk.on_ray import RayPool
from fenestra.cli.bulk.resume import Store, open_store
from fenestra.cli.bulk.units import Piece, WorkUnit
from fenestra.model.errors import InputError
from tests.conftest import ROOT
from tests.integrations.ray_work import Echo

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)
LAUNCH = "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"
LINES = 30_000
"""Some units of the usual size."""
BAD = 30


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """Workers find the modules of the tests."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Texts of all kinds; one file has several units and bad lines."""
    folder = tmp_path_factory.mktemp("texts")
    rows = [{"id": n, "text": f"Anna Berg number {n} met Tom Kerr in Oslo."} for n in range(LINES)]
    for row in rows[:: LINES // BAD]:
        del row["text"]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "b.conll").write_text("-DOCSTART- O\n\nAnna O\nBerg O\n\nBerg O\nleft O\n\n" * 40)
    (folder / "inner").mkdir()
    (folder / "inner" / "c.txt").write_text("It rained in London.\n" * 100)
    return folder


@pytest.fixture(scope="module")
def expected(texts, tmp_path_factory):
    """What local workers make of them."""
    place = tmp_path_factory.mktemp("local")
    done = run(texts, place, engine=())
    assert done.returncode == 2, done.stderr
    return files(place)


def command(texts, place, engine):
    words = ["tag", *engine, "--workers", "2", str(texts), "-o", f"{place}/out/", "--bad-lines", str(place / "bad")]
    return [sys.executable, "-c", LAUNCH, *words]


def run(texts, place, engine=("--engine", "ray"), **environment):
    words = command(texts, place, engine)
    return subprocess.run(words, capture_output=True, text=True, timeout=600, env={**os.environ, **environment})


@contextmanager
def started(words, **options):
    """A process; if it is left, it is killed."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def files(place):
    return {path.relative_to(place): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def wait_until(true, process):
    until = time.monotonic() + 300
    while not true() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)


def workers(process):
    return [pid for pid in below(process.pid) if pid != process.pid and is_worker(pid)]


def has_unit(place):
    return any(place.glob("out/.fenestra.parts/*/0*"))


def test_here_the_bytes_are_those_of_local_workers_and_nothing_is_left(texts, expected, tmp_path):
    (home := tmp_path / "home").mkdir()
    (place := tmp_path / "place").mkdir()
    with TemporaryDirectory(dir="/tmp") as scratch:  # the paths of sockets are short
        done = run(texts, place, HOME=str(home), TMPDIR=scratch)
        assert list(Path(scratch).iterdir()) == []
    assert done.returncode == 2, done.stderr
    assert files(place) == expected
    assert done.stdout == ""
    *_, told, bad = done.stderr.splitlines()
    assert told.startswith(f"tagged {LINES - BAD + 3 * 40 + 100:,} texts, ")
    assert bad == f"fenestra: {BAD} bad lines left out; they are in {place / 'bad'}"
    assert list(home.iterdir()) == []


def test_a_worker_and_then_the_run_are_killed_and_either_engine_goes_on(texts, expected, tmp_path):
    with started(command(texts, tmp_path, ("--engine", "ray"))) as process:
        wait_until(lambda: has_unit(tmp_path), process)
        for pid in workers(process)[:1]:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(list(tmp_path.glob("out/.fenestra.parts/*/0*"))) > 1, process)
        process.kill()
        process.wait()
    done = run(texts, tmp_path, engine=())
    assert "going on with what an earlier run has left" in done.stderr
    assert files(tmp_path) == expected


def test_standard_output_has_results_alone_though_a_worker_is_killed(tmp_path):
    (tmp_path / "in").write_text("Anna Berg met Tom Kerr in Oslo.\n" * LINES)
    words = [sys.executable, "-c", LAUNCH, "tag", "--engine", "ray", "--workers", "2", "-"]
    with (
        (tmp_path / "in").open("rb") as source,
        (tmp_path / "out").open("wb") as out,
        started(words, stdin=source, stdout=out) as process,
    ):
        wait_until(lambda: (tmp_path / "out").stat().st_size, process)
        for pid in workers(process):
            os.kill(pid, signal.SIGKILL)
        told = process.communicate(timeout=240)[1].decode()
    assert process.returncode == 0, told
    lines = (tmp_path / "out").read_bytes().splitlines()
    assert len(lines) == LINES
    assert len(set(lines)) == 1


def test_an_interrupt_ends_the_run_and_all_that_it_started(texts, tmp_path):
    with started(command(texts, tmp_path, ("--engine", "ray"))) as process:
        wait_until(lambda: has_unit(tmp_path), process)
        all_of_them = list(below(process.pid))
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, told
    assert "interrupted" in told
    assert [pid for pid in all_of_them if Path(f"/proc/{pid}").exists() and not is_zombie(pid)] == []
    assert has_unit(tmp_path)


def is_zombie(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_on_two_nodes_and_behind_a_url_the_bytes_are_the_same(texts, expected, tmp_path, monkeypatch):
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import fsspec

    store = fsspec.filesystem("s3")
    store.mkdir("bucket")
    store.put(str(texts), "bucket/texts", recursive=True)
    words = ["tag", "--engine", "ray", "--workers", "2", "s3://bucket/texts", "-o", "s3://bucket/out/"]
    words += ["--bad-lines", "s3://bucket/bad"]
    try:
        with two_nodes() as (environment, _):
            words += ["--address", environment["address"]]
            done = subprocess.run(
                [sys.executable, "-c", LAUNCH, *words], capture_output=True, text=True, timeout=300,
                env={**os.environ, **environment},
            )  # fmt: skip
        assert done.returncode == 2, done.stderr
        store.invalidate_cache()
        store.get("bucket/out", str(tmp_path / "out"), recursive=True)
        store.get("bucket/bad", str(tmp_path / "bad"))
    finally:
        server.stop()
    found = files(tmp_path)
    found[Path("bad")] = found[Path("bad")].replace(b"s3://bucket/texts", str(texts).encode())
    assert found == expected


def units(count):
    for number in range(count):
        yield WorkUnit(number, (Piece(0, Chunk("text", b"%d" % number)),), final=number == count - 1)


def pool(work, **options):
    return RayPool(work, 2, window=lambda workers: 9, **options)


def test_units_that_kill_workers_are_tried_again_and_not_for_ever(tmp_path, monkeypatch):
    notes = []
    with pool(Echo(deadly=4, once=tmp_path / "once"), note=notes.append) as once:
        assert [done.written for _, done in once.run(units(9))] == [b"%d" % number for number in range(9)]
    assert len(notes) == 1
    assert "a worker died" in notes[0]
    before = []
    with pool(Echo(deadly=4), note=notes.append) as always:
        results = always.run(units(9))
        before += [next(results)[1].written for _ in range(4)]
        with pytest.raises(DeadWorkers, match="died") as caught:
            next(results)
    assert caught.value.unit.number == 4
    assert before == [b"0", b"1", b"2", b"3"]
    assert len(notes) == 1 + MOST_TRIES


@pytest.mark.parametrize("shared", [True, False])
def test_what_workers_cannot_store_where_the_run_sees_it_comes_back(tmp_path, shared):
    with open_store(tmp_path / "parts", {}, str) as store:
        seen = store if shared else Store(store.folder, "another")
        keeps = Store(store.folder)
        with pool(Echo(store=seen)) as some:
            done = [done for _, done in some.run(units(5))]
        assert [one.written for one in done] == [b""] * 5
        for number, unit in enumerate(units(5)):
            assert keeps.get(unit, goes_on=False).pieces == done[number].pieces
            assert (store.folder / f"{number:08}").read_bytes().endswith(b"\n%d" % number)


def test_workers_of_another_version_or_model_are_refused():
    with pool(Echo()) as some:
        some._new = partial(some._new.func, *some._new.args[:2], "2")
        results = some.run(units(3))
        with pytest.raises(InputError, match="another model"):
            next(results)


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"--address 127\.0\.0\.1:1: "), pool(Echo(), address="127.0.0.1:1"):
        pass
