"""Scenarios of starts, shutdowns and reloads."""

import asyncio
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.checkpoints import files_of, put_in_place, write_variant
from benchmarks.clients import LOST, REFUSED, Pool
from benchmarks.load import runner
from benchmarks.reloads import reloads_under_load
from benchmarks.serving import FENESTRA, HOST, Server, environment
from benchmarks.stops import stop_under_load
from benchmarks.wire import Wire, post
from fenestra.model.bundled import bundled_model
from tests.faults.world import CANARY, canary


def stops(world, name, times):
    for seed in range(times):
        result = stop_under_load(seed)
        assert (result.lost, result.exit_code, set(result.statuses)) == (0, 0, {200}), seed


def stop_with_a_stuck_client(world, name, grace_seconds):
    """One client does not read a large response, one does not finish its request, one sends nothing."""
    with Server(grace_seconds=grace_seconds, drain_seconds=0) as server, ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port)) for _ in range(3)]
        wires[0].send(post(json.dumps({"tokens": ["Ada"] * 100_000, "details": True}).encode()))
        wires[1].send(post(b'{"text":', length=100))
        time.sleep(0.5)
        server.terminate()
        assert server.process.wait(grace_seconds + 5) == 0


def good_reloads(world, name, times):
    with tempfile.TemporaryDirectory(dir=world.scratch) as scratch:
        result = reloads_under_load(Path(scratch), times)
    assert set(result.statuses) == {200}
    assert dict(result.reloads) == {200: times}
    assert len(result.versions) == 2
    assert result.mixed == 0


def bad_reloads(world, name):
    good = world.scratch / "good"
    write_variant(good)
    served = world.scratch / "served"
    served.mkdir()
    put_in_place(good, served)
    with Server(model=served, drain_seconds=0) as server:
        before = canary(server)
        failures = "fenestra_reload_failures_total"
        for number, (fault, damage) in enumerate(DAMAGED.items(), start=1):
            damage(served)
            status, body = server.request("POST", "/models/served/reload", b"", seconds=60)
            assert status == 409, fault
            assert json.loads(body)["error"]["code"] == "reload_failed"
            assert str(served).encode() not in body
            assert canary(server) == before, fault
            assert server.metric(failures) == number
            for path in served.iterdir():
                path.unlink()
            put_in_place(good, served)
        assert server.request("POST", "/models/served/reload", b"", seconds=60)[0] == 200
        assert canary(server) == before


def _rewritten(**changed):
    """Write a checkpoint whose manifest matches its changed files."""

    def damage(folder):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        write_variant(folder, changed={name.replace("__", "."): content for name, content in changed.items()})

    return damage


def _truncated(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _bit_flipped(folder):
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _being_written(folder):
    (folder / "manifest.json").unlink()
    _truncated(folder)


def _of_another_shape():
    config = json.loads(files_of(bundled_model())["config.json"])
    config["model"]["hidden"] = [301]
    return json.dumps(config).encode()


def _a_word_short():
    return b"".join(files_of(bundled_model())["words.txt"].splitlines(keepends=True)[:-1])


def _nan_weights():
    """All bits of a weight are ones, which is NaN in every float type."""
    content = files_of(bundled_model())["weights.safetensors"]
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    base = 8 + int.from_bytes(content[:8], "little")
    begin, end = next(
        at["data_offsets"] for name, at in header.items() if name != "__metadata__" and at["dtype"].startswith("F")
    )
    return content[: base + begin] + b"\xff" * (end - begin) + content[base + end :]


DAMAGED = {
    "truncated": _truncated,
    "one bit flipped": _bit_flipped,
    "a file missing": lambda folder: (folder / "words.txt").unlink(),
    "being written": _being_written,
    "another shape": lambda folder: _rewritten(config__json=_of_another_shape())(folder),
    "a word short": lambda folder: _rewritten(words__txt=_a_word_short())(folder),
    "NaN weights": lambda folder: _rewritten(weights__safetensors=_nan_weights())(folder),
    "a pickle for weights": lambda folder: _rewritten(weights__safetensors=pickle.dumps({"weights": 1}))(folder),
}


def a_killed_process(world, name, ready_seconds):
    """Only requests in progress are lost, and a new process serves on the same port."""
    clients = 16
    replies = []

    async def load(server):
        pool = Pool(server.port, clients)

        def again(reply):
            replies.append(reply)
            if reply.status == 200:
                pool.send(post(CANARY), time.perf_counter(), again)

        for _ in range(clients):
            pool.send(post(CANARY), time.perf_counter(), again)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.kill)
        while sum(reply.status != 200 for reply in replies) < clients:
            await asyncio.sleep(0.01)

    with Server(drain_seconds=0) as server, runner() as run:
        before = canary(server)
        run.run(load(server))
        assert {reply.status for reply in replies} <= {200, LOST, REFUSED}
        assert sum(reply.status == LOST for reply in replies) <= clients
        server.start()
        server.wait_ready(ready_seconds)
        assert canary(server) == before


def bad_starts(world, name):
    """All in parallel; each names the error in one line."""
    folder = world.scratch / "empty"
    folder.mkdir()
    with socket.create_server((HOST, 0)) as taken:
        wrong = {
            "FENESTRA_PORT": {"port": 99999},
            "port": {"port": taken.getsockname()[1]},
            "FENESTRA_THREADS": {"threads": 4096},
            "FENESTRA_PROT": {"prot": 1},
            "FENESTRA_API_KEYS": {"api_keys": "open sesame"},
            "empty": {"model": folder},
        }
        starts = {name_of_setting: _start(**settings) for name_of_setting, settings in wrong.items()}
        for name_of_setting, process in starts.items():
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 2, name_of_setting
            assert output == b""
            (line,) = [line for line in errors.decode().splitlines() if not line.startswith("INFO")]
            assert name_of_setting in line
            assert "sesame" not in line


class Sentinel:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def pickles(world, name):
    """As weights with a matching manifest, as a file of torch's old format, as gensim's vectors."""
    sentinel = world.scratch / "unpickled"
    evil = pickle.dumps(Sentinel(sentinel))
    write_variant(world.scratch / "evil", changed={"weights.safetensors": evil})
    write_variant(
        world.scratch / "legacy", changed={"weights.safetensors": None, "weights.pt": evil, "vectors.kv": evil}
    )
    for file in ("model.pt", "vectors.kv"):
        (world.scratch / file).write_bytes(evil)
    places = [world.scratch / place for place in ("evil", "legacy", "model.pt", "vectors.kv")]
    for place, process in [(place, _start(model=place)) for place in places]:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert place.name in errors.decode()
        assert "Traceback" not in errors.decode()
    assert not sentinel.exists()


UNREAD = {"a pipe": os.pipe, "a socket": socket.socketpair}


def unread_logs(world, name, requests):
    """Standard error is full and nobody reads it, or it leads nowhere; all is answered, and a stop is a stop."""
    for kind, make in UNREAD.items():
        reader, writer = make()
        with Server(drain_seconds=0, log_to=writer) as server:
            for _ in range(requests):
                canary(server)
            assert server.metric("fenestra_log_lines_dropped_total") > 0, kind
            server.terminate()
            assert server.process.wait(15) == 0, kind
        for end in (reader, writer):
            os.close(end) if isinstance(end, int) else end.close()
    for kind, redirected in {"closed": "2>&-", "a full disk": "2>/dev/full"}.items():
        with Server(("sh", "-c", f'exec "$@" {redirected}', "-", *FENESTRA), drain_seconds=0) as server:
            canary(server)
            server.terminate()
            assert server.process.wait(15) == 0, kind


def few_descriptors(world, name):
    for limit, code in ((40, 2), (79, 2), (120, 0)):
        command = f'ulimit -n {limit}; exec "$@"'
        process = subprocess.Popen(
            ("sh", "-c", command, "-", *FENESTRA), env=environment(port=0, drain_seconds=0), stderr=subprocess.PIPE
        )
        if code:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == code
            (line,) = errors.decode().splitlines()
            assert f"the limit on open files is {limit}" in line
            assert "at least 80 are needed" in line
        else:
            lines = iter(process.stderr.readline, b"")
            assert any(b"startup complete" in line for line in lines)
            process.terminate()
            process.communicate(timeout=60)
            assert process.returncode == 0


def signals(world, name):
    with Server(drain_seconds=0) as server:
        before = canary(server)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            server.process.send_signal(number)
        assert canary(server) == before
        for times in range(1, 4):
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 30
            while server.metric('fenestra_reloads_total.*outcome="ok"') < times:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert canary(server) == before
    early = _start(drain_seconds=0)
    assert early.stderr.readline()  # it is about to load its model
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        early.send_signal(number)
    assert any(b"startup complete" in line for line in iter(early.stderr.readline, b""))
    early.terminate()
    early.communicate(timeout=60)
    assert early.returncode == 0


def other_servers(world, name):
    """The factory as other servers call it, alone and with several processes."""
    for options in ((), ("--workers", "2"), ("--loop", "asyncio", "--http", "h11")):
        command = (
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "fenestra.app.main:create_app",
            "--port",
            "0",
            *options,
        )
        process = subprocess.run(command, env=environment(), capture_output=True, timeout=60)
        errors = [line for line in process.stderr.decode().splitlines() if line.startswith("ERROR")]
        assert any("run `fenestra serve` instead" in line for line in errors)
        assert "Traceback" not in process.stderr.decode()


def _start(**settings):
    return subprocess.Popen(
        FENESTRA, env=environment(**{"port": 0, **settings}), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
