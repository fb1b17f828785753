"""Scenarios of many requests at once, of large ones, and of a model that fails."""

import asyncio
import json
import socket
import struct
import time
from collections import Counter
from contextlib import ExitStack, suppress
from http.client import HTTPException
from threading import Thread

from benchmarks.clients import Pool
from benchmarks.load import closed_loop, open_loop, runner
from benchmarks.memory import serve_many
from benchmarks.same_bytes import compare
from benchmarks.serving import Server
from benchmarks.wire import Wire, post
from benchmarks.workloads import requests, texts
from tests.faults import makers
from tests.faults.world import FAULTY, canary, check_refusal


def overload(world, name, seconds):
    asked = requests(texts("sentences"))
    with Server(log_level="warning", drain_seconds=0, max_waiting=16) as server, runner() as run:
        capacity = run.run(closed_loop(server.port, asked, clients=12, seconds=1, warm_up=0.5))
        replies = run.run(open_loop(server.port, asked, rate=2 * capacity, seconds=seconds))
        canary(server)
    assert {reply.status for reply in replies} == {200, 503}
    assert all(reply.retry_after for reply in replies if reply.status == 503)


def all_at_once(world, name, requests, waiting):
    """More requests than may wait: each gets a response, and the queue never exceeds its limit."""
    raw, depths, replies = post(b'{"text":"Ada STEPS 1"}'), [], []

    async def attack(server):
        pool = Pool(server.port, requests)
        for _ in range(requests):
            pool.send(raw, time.perf_counter(), replies.append)
        while len(replies) < requests:
            depths.append(await asyncio.to_thread(server.metric, "fenestra_queue_depth"))
        pool.close()

    with Server(FAULTY, max_waiting=waiting, drain_seconds=0) as server, runner() as run:
        before = canary(server)
        run.run(asyncio.wait_for(attack(server), 60))
        assert canary(server) == before
    statuses = Counter(reply.status for reply in replies)
    assert set(statuses) == {200, 503}
    assert statuses[200] >= waiting
    assert max(depths) <= waiting


def large_and_small_requests(world, name, small):
    """Small requests are answered while three requests of a hundred thousand words are being computed.

    Those have begun as soon as a shorter request that was sent before them is answered, however fast the machine is.
    """
    server = world.server(name)
    shorter, large = (post(json.dumps({"tokens": ["Ada", "met", "Ito", "."] * n}).encode()) for n in (2_500, 25_000))
    done = []

    async def attack():
        pool = Pool(server.port, 5)
        first, *rest = [asyncio.create_task(pool.ask(raw)) for raw in (shorter, large, large, large)]
        slow = [await first]
        for _ in range(small):
            done.append(await pool.ask(post(b'{"text":"Ada met Ito."}')))  # noqa: PERF401 (one after the other)
        slow += [await reply for reply in rest]
        pool.close()
        return slow

    with runner() as run:
        slow = run.run(attack())
    assert {reply.status for reply in [*slow, *done]} == {200}
    assert sum(reply.done < max(s.done for s in slow) for reply in done) >= min(small, 5)


def larger_than_a_batch(world, name, batch_tokens, texts):
    """The response does not depend on the number of steps in which it is computed."""
    body = {"text": [f"Ada Lovelace met Charles Babbage in London, number {n}." for n in range(texts)], "details": True}
    whole = world.server(name).tag(body)
    with Server(batch_tokens=batch_tokens, drain_seconds=0) as server:
        assert server.tag(body) == whole
        canary(server)


def one_failing_request_of_a_batch(world, name, others):
    """They wait while the model is busy, so they are one batch; only the request at fault fails."""
    server = world.server(name)
    for bad in ("RAISE secret", "NAN secret"):
        with ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.port)) for _ in range(others + 2)]
            wires[0].send(post(b'{"text":"STEPS 8"}'))
            time.sleep(0.1)
            for wire, text in zip(wires[1:], [bad] + ["Ada met Ito"] * others, strict=True):
                wire.send(post(json.dumps({"text": text}).encode()))
            first, offender, *rest = [wire.answer() for wire in wires]
        assert {answer.status for answer in (first, *rest)} == {200}
        assert len({answer.body for answer in rest}) == 1
        check_refusal(offender, bad.encode())
        assert (offender.status, offender.code) == (500, "internal"), bad
        assert json.loads(offender.body)["error"]["request_id"] in server.logged()
        canary(server)
    assert "secret" not in server.logged()


def stuck_model(world, name, stuck_seconds, deadline_seconds):
    settings = {"stuck_seconds": stuck_seconds, "deadline_seconds": deadline_seconds, "drain_seconds": 0}
    with Server(FAULTY, **settings) as server, ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port, 30)) for _ in range(4)]
        for wire in wires:
            wire.send(post(b'{"text":"SLEEP 30"}'))
        for wire in wires:
            answer = wire.answer()
            check_refusal(answer)
            assert (answer.status, answer.code) == (504, "timeout")
        alive = [200]
        while server.process.poll() is None:
            try:
                alive.append(server.get("/livez")[0])
            except OSError:
                break
        assert set(alive) <= {200, 503}
        assert server.process.wait(15) == 1
        server.start()
        server.wait_ready(15)
        canary(server)


def same_bytes(world, name, texts, lengths, threads):
    chosen = sample_texts(texts)
    for count in threads:
        server = world.server(name)
        if count == 1:
            found = _compare(server, chosen, lengths)
        else:
            with Server(threads=count, drain_seconds=0) as own:
                found = _compare(own, chosen, lengths)
        assert found.different == 0
        assert found.places == sum(lengths)


def _compare(server, chosen, lengths):
    with runner() as run:
        return run.run(compare(server, chosen, lengths=lengths))


def sample_texts(count):
    """Sentences of the sample, and unusual ones that are difficult to tokenise."""
    odd = ["", "Ada", "👩‍🚀 Ada", "A " * 200, "İstanbul", "u.s. U.S.", "\n\nAda\n\n"]
    return [*odd, *dict.fromkeys(texts("sentences"))][:count]


WORST = [
    makers.many("1", 1_000_000, '{"text":"a","labels":['),
    makers.fields(150_000),
    makers.many("[]", 690_000),
    json.dumps({"text": ["😀" + "x" * 1990] * 1000}, ensure_ascii=False).encode(),
    json.dumps({"text": ["Ada met Ito. " * 150] * 1000, "details": True}).encode(),
    json.dumps(
        {"tokens": [f"ж{number:05}" for number in range(100_000)], "details": True}, ensure_ascii=False
    ).encode(),
]


def worst_bodies(world, name, clients, seconds, mebibytes):
    """As bodies and as lines of streams, each kind for a while. Then all leave, and whoever comes next is answered."""
    with Server(drain_seconds=0, log_level="warning", deadline_seconds=120, stuck_seconds=60) as server:
        before = canary(server), long_line(server)
        for body in WORST:
            line = {"Content-Type": "application/x-ndjson"}
            for raw in (post(body), post(body + b"\n", line, path="/tag/stream")):
                end = time.monotonic() + seconds / 2
                attackers = [Thread(target=_attack, args=(server.port, raw, end)) for _ in range(clients)]
                for attacker in attackers:
                    attacker.start()
                while any(attacker.is_alive() for attacker in attackers):
                    assert server.usage().rss <= mebibytes * 2**20
                    time.sleep(0.05)
                assert server.get("/livez", seconds=60)[0] == 200
                end = time.monotonic() + 60
                while server.metric("fenestra_queue_depth"):  # the rest of what was begun for those that have left
                    assert time.monotonic() < end
                    time.sleep(0.05)
                assert (canary(server), long_line(server)) == before


def long_line(server):
    """What answers a long line of a stream: nothing of those that have left keeps its room."""
    line = json.dumps({"text": "Ada met Ito in Rome. " * 2000}).encode() + b"\n"
    with Wire(server.port, 60) as wire:
        wire.send(post(line, {"Content-Type": "application/x-ndjson"}, path="/tag/stream"))
        body = wire.answer().body
    assert b"error" not in body
    return body


def _attack(port, raw, end):
    """Send again and again; whatever comes back, the client goes on, and leaves at the end."""
    while (left := end - time.monotonic()) > 0:
        with suppress(OSError, HTTPException), Wire(port, max(left, 0.1)) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves by a reset
            wire.send(raw)
            wire.answer()


def stays_as_it_is(world, name, requests, mebibytes):
    samples = serve_many(requests, looks=20)
    settled = [sample.usage for sample in samples[len(samples) // 3 :]]
    assert len({(usage.threads, usage.descriptors) for usage in settled}) == 1
    assert settled[-1].rss - settled[0].rss <= mebibytes * 2**20
