"""``fenestra mcp`` with the client of the protocol's own SDK, over standard input and output and over HTTP."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the SDK of the Model Context Protocol is not installed")

import anyio
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

from fenestra.integrations.mcp.tools import Tools, new_server
from fenestra.integrations.mcp.transports import security
from fenestra.model.results import DIGITS

LOVELACE = "Ada Lovelace met Charles Babbage in London 😀, not in Paris."
SECRET = "Xanthippe"
COMMAND = [sys.executable, "-m", "fenestra", "mcp"]


def entities(found):
    return [short(entity) for entity in found]


def short(found):
    """The fields of a tuple, as they are answered."""
    fields = found._asdict().items()
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in fields}


def long_text(words):
    """Words that the model has never seen, each once."""
    letters = "bcdfghjklmnprstvwz"
    return " ".join(f"{letters[n % 18]}a{letters[n // 18 % 18]}u{letters[n // 324 % 18]}ix" for n in range(words))


@asynccontextmanager
async def over_stdio(*options):
    parameters = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *options])
    async with Client(stdio_client(parameters)) as client:
        yield client


@contextmanager
def served(*options):
    """A server on a port of its own: its process and where it is."""
    command = [*COMMAND, "--transport", "http", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, re.search(r"at (http://\S+)$", process.stderr.readline())[1]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def http_server():
    with served() as (_, url):
        yield url


@pytest.fixture(params=["stdio", "http"])
def connect(request):
    """Opens a client."""
    if request.param == "stdio":
        return over_stdio
    url = request.getfixturevalue("http_server")
    return lambda: Client(url)


def run(function, *arguments):
    """Run an asynchronous test, which may take a minute."""

    async def bounded():
        with anyio.fail_after(60):
            await function(*arguments)

    anyio.run(bounded)


def raw(*messages):
    """Lines of the protocol."""
    return "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)


INITIALIZE = {
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}},
}
READY = {"method": "notifications/initialized"}


def call(number, name, **arguments):
    return {"id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


# ── the page ──


def test_the_page_shows_what_happens(try_section, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    try_section("mcp.md", "The tools")


def test_configurations_that_the_page_shows_start_a_server():
    page = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
    shown = [json.loads(block)["mcpServers"] for block in re.findall(r"^```json\n(.*?)^```", page, re.M | re.S)]
    servers = [server for servers in shown for server in servers.values()]
    assert len(servers) == 3
    for server in servers:
        if not server["args"][-1].startswith("/"):  # a folder that is not here
            done = subprocess.run([*COMMAND[:-1], *server["args"]], input="", capture_output=True, timeout=60)
            assert (server["command"], done.returncode, done.stdout) == ("fenestra", 0, b"")


# ── what can be called ──


def test_tools_say_what_they_take_and_give(connect):
    async def test():
        async with connect() as client:
            assert client.server_info.name == "fenestra"
            tag, explain = (await client.list_tools()).tools
            assert (tag.name, explain.name) == ("tag_entities", "explain")
            assert "LOC, ORG, PER" in tag.description
            assert "100,000 characters" in tag.description
            assert tag.annotations.read_only_hint
            assert tag.input_schema["required"] == explain.input_schema["required"] == ["text"]
            assert set(tag.input_schema["properties"]) == {"text", "labels", "min_score"}
            assert set(explain.input_schema["properties"]) == {"text", "start", "token", "against"}
            for tool in (tag, explain):
                for described in (tool.input_schema, tool.output_schema, *tool.output_schema["$defs"].values()):
                    assert all(one.get("description") for one in described["properties"].values())
            assert set(tag.output_schema["$defs"]["Entity"]["required"]) == {"start", "end", "label", "text", "score"}

    run(test)


def test_entities_are_those_of_the_tagger(connect, tagger, texts):
    async def test():
        async with connect() as client:
            for text in [*texts[:197], LOVELACE, "", "\n"]:
                answer = await client.call_tool("tag_entities", {"text": text})
                assert not answer.is_error
                assert answer.structured_content == {"entities": entities(tagger(text))}
                assert json.loads(answer.content[0].text) == answer.structured_content

    run(test)


def test_labels_and_scores_may_be_asked_for(tagger):
    found = entities(tagger(LOVELACE))
    least = sorted(entity["score"] for entity in found)[1]

    async def test():
        async with Client(new_server(tagger)) as client:
            for labels in (["LOC"], ["PER", "ORG"], []):
                answer = await client.call_tool("tag_entities", {"text": LOVELACE, "labels": labels})
                assert answer.structured_content["entities"] == [e for e in found if e["label"] in labels]
            answer = await client.call_tool("tag_entities", {"text": LOVELACE, "min_score": least - 1e-6})
            assert answer.structured_content["entities"] == [e for e in found if e["score"] >= least]
            assert len(answer.structured_content["entities"]) == len(found) - 1

    run(test)


@pytest.mark.parametrize("compared", [{}, {"against": "ORG"}, {"against": "O"}])
def test_a_tag_is_explained_by_the_place_or_the_number_of_its_word(connect, tagger, compared):
    explanation = tagger.explain(LOVELACE, 6, **compared)
    expected = {**short(explanation), "token": short(explanation.token)}
    expected["window"] = [short(share) for share in expected.pop("shares")]
    assert expected.pop("alternatives") == ()  # which the tool does not offer
    assert bool(expected["against"]) == bool(compared)
    assert expected["token"]["text"] == "London"

    async def test():
        async with connect() as client:
            for place in ({"token": 6}, {"start": 36}, {"start": 41}):
                answer = await client.call_tool("explain", {"text": LOVELACE, **place, **compared})
                assert answer.structured_content == expected

    run(test)


# ── what is refused ──


WRONG = [
    ("tag_entities", {}, "text: Field required"),
    ("tag_entities", {"text": [SECRET]}, "text: Input should be a valid string"),
    ("tag_entities", {"text": SECRET, "min_score": 2}, "min_score: Input should be less than or equal to 1"),
    ("tag_entities", {"text": SECRET, "min_score": "NaN"}, "min_score: Input should be less than or equal to 1"),
    ("tag_entities", {"text": SECRET, "labels": [SECRET]}, "labels: expected some of LOC, ORG, PER"),
    ("tag_entities", {"text": SECRET * 12_000}, "text: expected at most 100,000 characters; send it in parts"),
    ("explain", {"text": SECRET}, "expected exactly one of start and token"),
    ("explain", {"text": SECRET, "start": 0, "token": 0}, "expected exactly one of start and token"),
    ("explain", {"text": SECRET + " ", "start": 9}, "start: no word has a character at this index"),
    ("explain", {"text": SECRET, "token": 1}, "token: expected a number from 0 to below the count of tokens, 1"),
    ("explain", {"text": SECRET, "token": -1}, "token: Input should be greater than or equal to 0"),
    ("explain", {"text": SECRET, "token": 0, "against": SECRET}, "against: expected another tag, or a label, of this"),
    ("tag_entities", {"text": SECRET, SECRET: 1}, "an argument is unknown; there are text, labels, min_score"),
    ("explain", {"text": SECRET, "token": 0, "labels": []}, "an argument is unknown; there are text, start, token"),
    (SECRET, {"text": SECRET}, "no such tool; there are tag_entities and explain"),
]


def test_what_is_wrong_is_said_in_a_line_without_the_text(connect):
    async def test():
        async with connect() as client:
            for name, arguments, message in WRONG:
                answer = await client.call_tool(name, arguments)
                (content,) = answer.content
                assert answer.is_error
                assert message in content.text
                assert "\n" not in content.text
                assert SECRET not in content.text
            assert not (await client.call_tool("tag_entities", {"text": LOVELACE})).is_error

    run(test)


def test_the_length_of_a_text_can_be_limited(tagger):
    async def test():
        async with Client(new_server(tagger, max_chars=5)) as client:
            assert not (await client.call_tool("tag_entities", {"text": "Paris"})).is_error
            answer = await client.call_tool("explain", {"text": "Berlin", "token": 0})
            assert "at most 5 characters" in answer.content[0].text

    run(test)


def test_more_calls_than_can_wait_are_refused(tagger, monkeypatch):
    opened = threading.Event()

    def work(_items):
        opened.wait(30)
        yield
        return tagger.tag([""])

    async def test():
        tools, refused = Tools(tagger, 100), []
        monkeypatch.setattr(tools, "_tagger", type("Slow", (), {"work": staticmethod(work), "labels": ()}))

        async def ask():
            try:
                await tools.tag_entities("Paris")
            except Exception as error:
                refused.append(str(error))
                opened.set()

        async with anyio.create_task_group() as group:
            for _ in range(tools._threads.total_tokens + 65):
                group.start_soon(ask)
        assert refused == ["busy: too many calls are waiting; try again in a second"]

    run(test)


# ── several calls at once ──


def test_a_short_call_does_not_wait_for_a_long_one(tagger, monkeypatch):
    """The long one ends only after the short one has."""
    answered, work = threading.Event(), type(tagger).work

    def slow(tagger, items):
        while items == ["long"] and not answered.wait(0.01):
            yield
        return (yield from work(tagger, items))

    monkeypatch.setattr(type(tagger), "work", slow)

    async def test():
        async with Client(new_server(tagger)) as client, anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "tag_entities", {"text": "long"})
            await client.call_tool("tag_entities", {"text": LOVELACE})
            answered.set()

    run(test)


def test_calls_at_once_each_get_their_answer(connect, tagger, texts):
    async def test():
        async with connect() as client:

            async def ask(text):
                answer = await client.call_tool("tag_entities", {"text": text})
                assert answer.structured_content == {"entities": entities(tagger(text))}

            async with anyio.create_task_group() as group:
                for text in [long_text(10_000), *texts[:30], "\n".join(texts)]:
                    group.start_soon(ask, text)

    run(test)


def test_a_call_that_is_cancelled_stops(tagger, monkeypatch):
    pieces, stopped = [], threading.Event()

    def work(_tagger, _items):
        try:
            for piece in range(1000):
                pieces.append(piece)
                time.sleep(0.01)
                yield
            return []
        finally:
            stopped.set()

    monkeypatch.setattr(type(tagger), "work", work)

    async def test():
        async with Client(new_server(tagger)) as client:
            with anyio.move_on_after(0.2):
                await client.call_tool("tag_entities", {"text": LOVELACE})
            assert await anyio.to_thread.run_sync(stopped.wait, 30)
            assert 0 < len(pieces) < 1000

    run(test)


def test_a_client_may_give_up_on_a_call_and_go_on(connect, tagger):
    async def test():
        async with connect() as client:
            for seconds in (0.001, 0.01, 0.1):
                with anyio.move_on_after(seconds):
                    await client.call_tool("tag_entities", {"text": long_text(12_000)})
            answer = await client.call_tool("tag_entities", {"text": LOVELACE})
            assert answer.structured_content == {"entities": entities(tagger(LOVELACE))}

    run(test)


# ── standard input and output ──


@pytest.fixture
def process():
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield process
        process.kill()


def test_standard_output_has_the_protocol_alone_and_standard_error_no_text(process):
    lines = raw(INITIALIZE, READY, call(1, "tag_entities", text=SECRET), call(2, "tag_entities", text=[SECRET]))
    process.stdin.write(lines + f'{{"broken": "{SECRET}"\n[]\n' + raw(call(3, SECRET), call(4, "explain", text=SECRET)))
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(5)]
    assert {answer["jsonrpc"] for answer in answers} == {"2.0"}
    assert sorted(answer["id"] for answer in answers) == [0, 1, 2, 3, 4]
    output, errors = process.communicate(timeout=30)
    assert (output, process.returncode) == ("", 0)
    assert SECRET not in errors


def test_it_ends_with_its_input_even_while_it_works(process):
    process.stdin.write(raw(INITIALIZE, READY, call(1, "tag_entities", text=long_text(12_000))))
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == 0
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert all(json.loads(line)["id"] == 1 for line in output.splitlines())
    assert errors == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it(process, number, code):
    process.stdin.write(raw(INITIALIZE))
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(number)
    assert process.wait(30) == code
    assert process.stderr.read() == ""


# ── HTTP ──


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Host": "localhost"}, 200),
    ],
)
def test_only_local_names_reach_it(http_server, headers, status):
    port = int(http_server.rsplit(":", 1)[1].partition("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    connection.request("POST", "/mcp", raw(INITIALIZE), sent)
    assert connection.getresponse().status == status
    connection.close()


def test_names_that_are_allowed_reach_it():
    found = security("192.0.2.7", ["ner.example", "ner.example:8443"])
    assert {"192.0.2.7:*", "localhost:*", "ner.example", "ner.example:*", "ner.example:8443"} <= set(
        found.allowed_hosts
    )
    assert "https://ner.example" in found.allowed_origins
    assert security("0.0.0.0").allowed_hosts == security("127.0.0.1").allowed_hosts[:6]
    assert "[2001:db8::7]:*" in security("2001:db8::7").allowed_hosts


def test_a_request_that_is_too_large_is_refused(http_server):
    port = int(http_server.rsplit(":", 1)[1].partition("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/mcp", b"", {"Content-Type": "application/json", "Content-Length": str(5 << 20)})
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_while_a_client_is_there(number, code):
    with served() as (process, url):

        async def test():
            async with Client(url, mode="legacy") as client:
                await client.call_tool("tag_entities", {"text": SECRET})
                process.send_signal(number)
                assert await anyio.to_thread.run_sync(process.wait, 30) == code

        run(test)
        assert SECRET not in process.stderr.read()
        assert process.stdout.read() == ""


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*COMMAND, "--transport", "http", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"fenestra: .*[Aa]ddress already in use.*\n", done.stderr)
