"""The benchmarks of the service: what is posted, what a round says, and the bounds that stand beside it."""

import asyncio
import json
import subprocess
import sys

import httpx
import pytest

from benchmarks import bounds, service, workloads
from benchmarks.service import Bodies, Load, Round, Server, Target
from tests.conftest import ROOT

WRK = """Running 3s test @ http://127.0.0.1:1/tag
  Latency Distribution
     50%    1.02ms
     99%  {p99}
  30123 requests in 3.00s, 7.10MB read
{more}Requests/sec:  10034.51
"""


@pytest.mark.parametrize(("p99", "ms"), [("730.00us", 0.73), ("3.21ms", 3.21), ("1.05s", 1050)])
def test_what_wrk_prints_is_read(p99, ms):
    assert service.read_wrk(WRK.format(p99=p99, more="")) == (30123, 10034.51, ms)


@pytest.mark.parametrize("more", ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 1\n"])
def test_a_round_with_other_answers_counts_for_nothing(more):
    with pytest.raises(RuntimeError, match=r"Non-2xx|Socket errors"):
        service.read_wrk(WRK.format(p99="1ms", more=more))


def test_new_sentences_have_26_words_and_the_made_up_ones_come_once():
    sentences = workloads.new_sentences(200)
    words = [word for sentence in sentences for word in sentence.split()]
    assert {len(sentence.split()) for sentence in sentences} == {26}
    known = {word for text in workloads.texts("sentences") for word in text.split()}
    made_up = [word for word in words if word not in known]
    assert 0.07 < len(made_up) / len(words) < 0.13
    assert len(set(made_up)) == len(made_up)


def test_sentences_of_texts_are_all_their_words_in_order(tmp_path):
    texts = [" ".join(map(str, range(60))), "a b", ""]
    (tmp_path / "texts.json").write_text(json.dumps({"texts": texts}))
    found = workloads.sentences_of(tmp_path / "texts.json")
    assert [len(sentence.split()) for sentence in found] == [26, 26, 8, 2]
    assert " ".join(found).split() == " ".join(texts).split()


class StandIn:
    """A server that counts how often it was started."""

    port = 1

    def __init__(self):
        self.started = 0
        self.process = self

    def terminate(self):
        pass

    def wait(self, seconds):
        pass

    def start(self):
        self.started += 1

    def wait_ready(self):
        pass

    def usage(self):
        return type("Usage", (), {"cpu": 0.0})


def test_a_round_goes_on_where_the_last_one_ended_and_fresh_servers_begin_anew(tmp_path, monkeypatch):
    bodies = Bodies.write(["a", "b", "c"], tmp_path / "bodies.jsonl")
    assert [json.loads(line) for line in bodies.file.read_text().splitlines()] == [{"text": text} for text in "abc"]
    load = Load(0, tmp_path)
    begins = []

    def ask(target, seconds):
        begins.append(load._asked.get(target.name, 0))
        load._asked[target.name] = begins[-1] + 2
        return 2.0, None

    monkeypatch.setattr(load, "ask", ask)
    kept = Target("kept", StandIn(), "/tag", bodies)
    fresh = Target("fresh", StandIn(), "/tag", bodies, fresh=True)
    for target in (kept, fresh):
        for _ in range(2):
            load.measure(target, 1)
    assert begins == [0, 2, 4, 6, 0, 2, 0, 2]
    assert (kept.server.started, fresh.server.started) == (0, 2)
    assert load.passes(fresh) == 4 / 3


def test_ratios_are_taken_within_a_round():
    rounds = {
        "tag, new text": [Round(100, 1.0, 1, 10.0), Round(50, 3.0, 1, 20.0), Round(400, 2.0, 1, 10.0)],
        service.PLAIN: [Round(200, None, 1, 5.0), Round(25, None, 1, 40.0), Round(400, None, 1, 10.0)],
    }
    lines = service._table(rounds, {"tag, new text": 100, service.PLAIN: 200}).splitlines()
    assert lines[2] == "| tag, new text | 100 (50 – 400) | 10.0 | 2.0 | 1.00 | 1.00 |"
    assert lines[3] == "| plain FastAPI | 200 (25 – 400) | 10.0 | – | 1.00 | 1.00 |"


def test_the_bounds_answer_a_constant():
    async def ask(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.post("/tag", json={"text": "Ada"})

    for app in (bounds.plain, bounds.raw):
        answer = asyncio.run(ask(app))
        assert (answer.status_code, answer.json()) == (200, {"entities": []})


def test_all_that_is_asked_starts_and_answers(tmp_path, monkeypatch):
    monkeypatch.delenv("PEER_DIR", raising=False)
    with service.targets(0, ["Ada met Ito."], ["Ada", "Ada Lovelace"], tmp_path) as asked:
        for target in asked:
            status, body = target.server.request(
                "POST", target.path, b'{"text":"Ada"}', {"Content-Type": "application/json"}
            )
            assert (status, target.name) == (200, target.name)
            assert json.loads(body)
        assert [target.name for target in asked if target.fresh] == ["tag, new text"]
        assert all(isinstance(target.server, Server) for target in asked)


def test_the_hot_path_is_measured_both_ways(tmp_path):
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "benchmarks.hot_path", "--rounds", "10", "--json", str(out)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=ROOT).stdout
    found = json.loads(out.read_text())
    assert list(found) == ["the shortcut", "the application"]
    assert all(value > 0 for ways in found.values() for value in ways.values())
    assert [line.split("|")[1].strip() for line in printed.splitlines()[2:]] == list(found)
