"""Scenarios of checkpoint folders and of reloads that somebody means ill with."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

from benchmarks.clients import Pool
from benchmarks.load import runner
from benchmarks.serving import FENESTRA, HOST, Server, environment
from benchmarks.wire import post
from tests.faults.world import CANARY, canary
from tests.model.conftest import small_model
from tests.model.hostile import HOSTILE, NO_FILES, SPARSE, rewrite, write_good

RETRY_SECONDS = 1  # as the header Retry-After says
SMALL = post(b'{"text":"Ada Lovelace met Charles Babbage in London."}')


def abandoned_reloads(world, name, reloads):
    """Clients that ask for a reload and hang up at once: hardly any is done, and nothing is left of them.

    The service cannot tell at once that they are gone: a client that has only ended its sending looks the same, and is
    answered. Until then they have their places, so whoever asks next may be told to try again.
    """
    with Server(drain_seconds=0) as server:
        before = canary(server)
        raw = post(b"", path="/models/english/reload")
        for _ in range(reloads):
            with socket.create_connection((HOST, server.port)) as client:
                client.sendall(raw)
        deadline = time.monotonic() + 10
        while (status := server.request("POST", "/models/english/reload", b"", seconds=30)[0]) != 200:
            assert status == 503
            assert time.monotonic() < deadline
            time.sleep(RETRY_SECONDS)
        done = server.metric("fenestra_reloads_total")
        assert done <= reloads / 10
        time.sleep(0.5)
        assert server.metric("fenestra_reloads_total") == done
        assert server.metric("fenestra_reload_failures_total") == 0
        assert canary(server) == before


def reloads_beside_small_requests(world, name, reloads):
    """All are answered. How long they take, benchmarks/neighbours.py measures."""
    statuses = []

    async def small(pool):
        while True:
            statuses.append((await pool.ask(SMALL)).status)

    async def attack(server):
        pool, operator = Pool(server.port, 4), Pool(server.port, 1)
        clients = [asyncio.create_task(small(pool)) for _ in range(4)]
        for _ in range(reloads):
            assert (await operator.ask(post(b"", path="/models/english/reload"))).status == 200
            await asyncio.sleep(0.1)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        pool.close()
        operator.close()

    with Server(log_level="warning", drain_seconds=0) as server, runner() as run:
        before = canary(server)
        run.run(attack(server))
        assert canary(server) == before
    assert set(statuses) == {200}
    assert len(statuses) > 10 * reloads


@contextmanager
def served_folder(world, **settings):
    """A server of a small model, its folder, and a copy of that."""
    root = world.scratch / f"strangers{len(list(world.scratch.iterdir()))}"
    good, served = root / "good", root / "served"
    write_good(good, small_model(documents=True))
    shutil.copytree(good, served)
    with Server(model=served, drain_seconds=0, **settings) as server:
        yield server, served, good


def sparse_file(path):
    with path.open("wb") as file:
        file.truncate(SPARSE)


def restore(served, good):
    shutil.rmtree(served)
    shutil.copytree(good, served)


def check_refused(server, before):
    """Reload a folder that holds no model: 409, the old one serves on, one line more in the log that says why."""
    lines = len(server.logged().splitlines())
    began = time.monotonic()
    status, body = server.request("POST", "/models/served/reload", b"", seconds=10)
    assert (status, json.loads(body)["error"]["code"]) == (409, "reload_failed")
    assert time.monotonic() - began < 10
    assert canary(server) == before
    assert server.get("/models")[0] == 200
    assert server.get("/metrics")[0] == 200
    own = [json.loads(line) for line in server.logged().splitlines()[lines:]]
    (reason,) = [line["message"] for line in own if line["level"] == "error"]
    assert reason.isprintable()
    assert "Traceback" not in server.logged()


def folders_of_strangers(world, name, mebibytes):
    """Each in turn; afterwards the good one is loaded again."""
    with served_folder(world) as (server, served, good):
        before = canary(server)
        rss = server.usage().rss
        for number, damage in enumerate(HOSTILE.values(), start=1):
            damage(served)
            check_refused(server, before)
            assert server.metric("fenestra_reload_failures_total") == number
            restore(served, good)
        assert server.request("POST", "/models/served/reload", b"")[0] == 200
        assert server.usage().rss - rss <= mebibytes * 2**20


def folders_with_what_is_no_file(world, name, mebibytes):
    with served_folder(world) as (server, served, good):
        before = canary(server)
        rss = server.usage().rss
        for kind in NO_FILES.values():
            for file in ("README.md", "manifest.json", "weights.safetensors"):
                kind(served / file)
                check_refused(server, before)
                restore(served, good)
        assert server.request("POST", "/models/served/reload", b"")[0] == 200
        assert server.usage().rss - rss <= mebibytes * 2**20


def starts_with_folders_of_strangers(world, name, faults):
    """``fenestra serve`` and ``fenestra tag``: one line, exit code 2, and no longer than a good one takes."""
    root = world.scratch / "starts"
    write_good(root / "good", small_model(documents=True))
    with ExitStack() as stack:
        processes = []
        for number, fault in enumerate(faults):
            shutil.copytree(root / "good", folder := root / str(number))
            (HOSTILE.get(fault) or (lambda path, fault=fault: NO_FILES[fault](path / "weights.safetensors")))(folder)
            for command in (FENESTRA, (*FENESTRA[:-1], "tag", "--model", str(folder), "-")):
                settings = {"port": 0, "model": folder} if command == FENESTRA else {}
                process = subprocess.Popen(
                    command, env=environment(**settings), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )  # fmt: skip
                processes.append((fault, stack.enter_context(process)))
        for fault, process in processes:
            output, errors = process.communicate(timeout=60)
            assert (process.returncode, output) == (2, b""), fault
            (line,) = [line for line in errors.decode().splitlines() if not _is_beside_the_point(line)]
            assert line.isprintable()


def _is_beside_the_point(line):
    """Whether a line is one of those that any start has, or any that fails."""
    return '"level":"info"' in line or "Application startup failed" in line


def links_in_a_watched_folder(world, name, watch_seconds):
    """What editors and copying programs leave there does not keep the watcher from what is new."""
    with served_folder(world, watch_seconds=watch_seconds) as (server, served, _):
        version = json.loads(server.tag(CANARY)[1])["model"]["version"]
        (served / ".#config.json").symlink_to("someone@host.1234")
        (served / "loop").symlink_to("loop")
        sparse_file(served / "draft")
        time.sleep(4 * watch_seconds)
        assert server.metric("fenestra_reloads_total") == 0
        rewrite(served, "README.md", b"Another card")
        deadline = time.monotonic() + 20
        while json.loads(server.tag(CANARY)[1])["model"]["version"] == version:
            assert time.monotonic() < deadline
            time.sleep(watch_seconds)
        assert server.metric("fenestra_reload_failures_total") == 0
