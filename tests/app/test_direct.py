"""A plain request gets the same response whether the application answers it or the shortcut around the application."""

import contextlib
import gc
import gzip
import hashlib
import json
import os
import re
import time
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fenestra.app.api import direct
from fenestra.app.api.json_body import parse
from fenestra.app.api.reading import PlainLimits, read_plain, read_strictly
from fenestra.app.api.schemas import ExplainRequest, TagRequest
from fenestra.app.api.tagging import LONG_BYTES
from fenestra.app.errors import Problem
from fenestra.app.http.known_heads import KnownHeads
from fenestra.app.main import create_app
from fenestra.app.middleware.request_id import new_id
from fenestra.app.settings import Settings
from tests.app.conftest import StubTagger
from tests.app.live import TEXT, Gate, LiveServer, request, wait_for
from tests.app.test_json_body import BAD

SETTINGS = Settings()
LIMITS = PlainLimits.of(SETTINGS)
SECRET = "Geheimnis"
KEY = "correct horse"
KEYS = hashlib.sha256(KEY.encode()).hexdigest()

# ── reading in one pass ──

VALUES = [
    *('"Ada"', '""', '"a\\"b"', '"\\u0041\\u00e9"', '"é🚀"', '"\\ud83d\\ude00"', '"\\ud800"', '"a\\\\"', '"a\\\\\\"b"'),
    *("1", "0", "-0", "3.0", "0.5", "1e-3", "1e999", "NaN", "-Infinity", "9" * 25, "01", "true", "false", "null"),
    *('["Ada"]', "[]", '["a","b"]', '[["a"],["b"]]', '["a",["b"]]', "[[]]", '["a",1]', '{"a":1}', '"utf16"', '"utf8"'),
    *('"english"', '"x" ', "\x00", '"\x01"', "'a'", "", '[""]'),
]
NAMES = [*TagRequest.model_fields, "token", "other", "t\\u0065xt", "\\u0074ext"]
MEMBERS = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text().map(json.dumps))
OBJECTS = st.lists(MEMBERS, max_size=4).map(lambda all_: "{" + ",".join(f'"{n}":{v}' for n, v in all_) + "}")


def strictly(kind, raw):
    """As the strict parser and the schema read a body: the request, or the code of what is wrong."""
    try:
        return read_strictly(kind, parse(raw), SETTINGS)
    except Problem as problem:
        return problem.code


@settings(max_examples=400)
@given(st.sampled_from([TagRequest, ExplainRequest]), OBJECTS)
@example(TagRequest, '{"text":"a","text":"b"}')
@example(TagRequest, '{"details":true,"details":true,"text":["a","b"]}')
@example(TagRequest, '{"text":"a\\\\","text":"b"}')
@example(TagRequest, '{"text":"\\"","text":"b"}')
@example(TagRequest, '{"text":"a","min_score":0.1,"min_score":0.2}')
@example(ExplainRequest, '{"text":"a","token":0,"token":0}')
def test_what_is_read_in_one_pass_is_what_the_strict_parser_reads(kind, text):
    raw = text.encode("utf-8", "surrogatepass")
    found = read_plain(kind, raw, LIMITS)
    assert found is None or found == strictly(kind, raw)


@pytest.mark.parametrize(
    "body",
    ['{"text":"Ada met Ito."}', '{"text":"a\\"b\\u00e9"}', ' {"text" : ["a", "b"], "details" : true}\n',
     '{"tokens":["Ada","met"],"labels":["PER"],"min_score":0.5,"offsets":"utf8","model":null}', '{"tokens":[]}',
     '{"text":"a","details":true,"alternatives":3.0}'],
)  # fmt: skip
def test_usual_bodies_are_read_in_one_pass(body):
    assert read_plain(TagRequest, body.encode(), LIMITS) == strictly(TagRequest, body.encode())


@pytest.mark.parametrize(("raw", "status", "code"), BAD.values(), ids=BAD)
def test_what_is_refused_is_not_read_in_one_pass(raw, status, code):
    assert read_plain(TagRequest, raw, LIMITS) is None


@pytest.mark.parametrize(
    ("limits", "body"),
    [
        ({"max_chars": 20}, {"text": "a" * 21}),
        ({"max_texts": 2}, {"text": ["a", "b", "c"]}),
        ({"max_tokens": 2}, {"tokens": ["a", "b", "c"]}),
        ({"max_texts": 2}, {"tokens": [[], [], []]}),
    ],
)
def test_what_may_exceed_a_limit_is_left_to_the_strict_parser(limits, body):
    raw = json.dumps(body).encode()
    assert read_plain(TagRequest, raw, PlainLimits.of(Settings(**limits))) is None


# ── the same bytes ──


class Pair:
    """Two servers, one without the shortcut, that are sent the same."""

    def __init__(self, stack, **options):
        self.servers = [stack.enter_context(LiveServer(StubTagger(), **options)) for _ in range(2)]
        self.servers[1].server._registry.direct = None
        self.taken = 0
        handler = self.servers[0].app.state.direct
        new_answer = handler.new_answer

        def count(exchange):
            self.taken += 1
            return new_answer(exchange)

        handler.new_answer = count

    def compare(self, pieces, answers=1):
        """Send pieces to both on a new connection; returns the status of the last response."""
        one, other = (list(responses(server, pieces, answers)) for server in self.servers)
        assert one == other
        return int(one[-1][0].split()[1])

    def compare_counts(self):
        wait_for(lambda: counts(self.servers[0]) == counts(self.servers[1]))


def responses(server, pieces, answers):
    """The head and the body of each response, but for the time and the ids that the server has made."""
    with server.connect() as wire:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.002)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                wire.send(piece)
        for _ in range(answers):
            head = wire.take_until(b"\r\n\r\n")
            while head.startswith(b"HTTP/1.1 100"):
                yield head, b""
                head = wire.take_until(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = wire.take(int(length[1]) if length else 0)
            if b"\r\ncontent-encoding: gzip" in head:
                head, body = head.replace(length[0], b"content-length: that of the id"), gzip.decompress(body)
            own = re.search(rb"x-request-id: ([0-9a-f]{16})\r\n", head)
            head = re.sub(rb"date: [^\r]+", b"date: now", head)
            yield (head.replace(own[1], b"ID"), body.replace(own[1], b"ID")) if own else (head, body)
            if b"\r\nconnection: close" in head:
                assert wire.closed() == b""
                return


def counts(server):
    text = server.app.state.service.metrics.exposition().decode()
    wanted = (
        r"^(fenestra_(?:requests|refused|cancelled|texts|entities|tokens)_total.*|fenestra_request_seconds_count.*)$"
    )
    return set(re.findall(wanted, text, re.MULTILINE))


@pytest.fixture(scope="module")
def pairs():
    """Servers of different settings."""
    with ExitStack() as stack:
        yield {
            "usual": Pair(stack),
            "locked": Pair(stack, api_keys=KEYS, rate_limit="100000/hour"),
            "compressed": Pair(stack, gzip_min_bytes=120),
            "not compressed": Pair(stack, gzip_min_bytes=0),
            "small": Pair(stack, max_body_bytes=60, max_chars=20, max_texts=2, max_tokens=4),
            "of other pages": Pair(stack, allowed_origins="https://app.example", allowed_hosts="ner.example"),
        }


HEADS = st.fixed_dictionaries(
    {
        b"Host": st.sampled_from([b"localhost"] * 8 + [b"127.0.0.1:8000", b"evil.test", b"ner.example", b"", b"a b"]),
        b"Content-Type": st.sampled_from(
            [b"application/json"] * 8
            + [
                b"application/json; charset=utf-8",
                b"APPLICATION/JSON",
                b"text/plain",
                b"",
                b" application/json\xe9",
                None,
            ]
        ),
        b"Authorization": st.sampled_from([None, b"Bearer correct horse", b"Bearer wrong", b"Basic !"]),
        b"X-Request-ID": st.sampled_from([None, None, b"order-66", b"a b", b"x" * 65, b"\xe9"]),
        b"Accept-Encoding": st.sampled_from([None, None, b"gzip", b"gzip;q=0", b"br, gzip", b"identity"]),
        b"Content-Encoding": st.sampled_from([None] * 6 + [b"identity", b"gzip", b"br"]),
        b"Origin": st.sampled_from([None] * 5 + [b"https://app.example", b"https://evil.test", b"null"]),
        b"Connection": st.sampled_from([None, None, b"close", b"keep-alive"]),
        b"Expect": st.sampled_from([None] * 5 + [b"100-continue"]),
        b"X-Forwarded-For": st.sampled_from([None, b"192.0.2.1"]),
    }
)
TARGETS = st.sampled_from([b"/tag"] * 8 + [b"/tag?x=1", b"/%74ag", b"/tag/", b"/explain", b"/TAG", b"//tag"])
BODIES = st.one_of(
    st.text(max_size=40).map(lambda text: json.dumps({"text": text})),
    st.text(max_size=40).map(lambda text: json.dumps({"text": text}, ensure_ascii=False)),
    OBJECTS,
    st.sampled_from(
        [json.dumps({"text": "Ada met Ito. " * 40}), json.dumps({"text": "Ada met Ito. " * 100, "details": True}),
         json.dumps({"text": ["Ada", "Bo"], "labels": ["PER"], "offsets": "utf16"}), '{"text":"a","labels":["X"]}',
         json.dumps({"text": "a" * LONG_BYTES}), '{"text":"a","model":"no such"}', '{"text":"a","model":"english"}',
         json.dumps({"text": "Ada", "details": True, "alternatives": 2}), json.dumps({"text": " " * 2000})]
    ),
).map(lambda text: text.encode("utf-8", "surrogatepass"))  # fmt: skip


def write(method, target, head, body, framing):
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    lines += [b"%b: %b" % header for header in head.items() if header[1] is not None]
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
    return b"\r\n".join([*lines, b"", b""]), body


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["usual", "locked", "compressed", "not compressed", "small", "of other pages"]),
    st.sampled_from([b"POST"] * 8 + [b"GET", b"PUT", b"HEAD"]),
    TARGETS,
    HEADS,
    BODIES,
    st.sampled_from(["length"] * 6 + ["chunked"]),
    st.sampled_from(["at once", "at once", "body apart", "torn"]),
)
def test_any_request_gets_the_same_bytes(pairs, name, method, target, head, body, framing, sending):
    if method != b"POST":
        body, framing = b"", "none"
    head, body = write(method, target, {**head, b"Connection": head[b"Connection"] or b"close"}, body, framing)
    if method == b"HEAD":
        return  # its responses announce a body that does not come
    pieces = {
        "at once": [head + body],
        "body apart": [head, body],
        "torn": [head[:20], head[20:], body[:5], body[5:]],
    }[sending]
    pairs[name].compare([piece for piece in pieces if piece])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["usual", "locked", "compressed", "small", "of other pages"]),
    HEADS,
    st.lists(st.sampled_from([TEXT, TEXT.replace(b"Ada", b"ada"), b'{"text":"A', b'{"text":"Ada", "x":1 }', b"{}"]),
             min_size=2, max_size=6),
    st.sampled_from(["one by one", "two at once", "torn", "with line ends before"]),
)  # fmt: skip
def test_requests_with_the_same_head_get_the_same_bytes(pairs, name, head, bodies, sending):
    """From the second on, the head is one that has come before."""
    kept = {**head, b"Connection": None, b"Expect": None}
    one_head, _ = write(b"POST", b"/tag", kept, bytes(len(TEXT)), "length")
    requests = [one_head + body.ljust(len(TEXT)) for body in bodies]
    if sending == "two at once":
        requests = [b"".join(requests[at : at + 2]) for at in range(0, len(requests), 2)]
    if sending == "torn":
        requests = [part for one in requests for part in (one[:30], one[30:-3], one[-3:])]
    if sending == "with line ends before":
        requests = [b"\r\n\r\n" + one for one in requests]
    pairs[name].compare(requests, answers=len(bodies))


def test_the_same_was_counted_and_plain_requests_took_the_shortcut(pairs):
    for name, head in (
        ("usual", {}),
        ("locked", {"Authorization": f"Bearer {KEY}"}),
        ("compressed", {}),
        ("small", {}),
    ):
        before = pairs[name].taken
        assert pairs[name].compare([request("/tag", TEXT, Connection="close", **head)]) == 200
        assert pairs[name].taken == before + 1
        pairs[name].compare_counts()


@pytest.mark.parametrize(
    "sent",
    [
        [request("/tag", TEXT) * 3],
        [request("/tag", b"{") * 3],
        [request("/tag", TEXT) + request("/livez") + request("/tag", TEXT)],
        [request("/tag", TEXT) + request("/tag", b"{") + request("/tag", TEXT, Connection="close")],
        [request("/tag", TEXT)[:-4], request("/tag", TEXT)[-4:] + request("/tag", TEXT) + request("/livez")],
        [request("/tag", TEXT, Host="evil.test") + request("/tag", TEXT) * 2],
    ],
)
def test_requests_that_follow_at_once_are_answered_in_order(pairs, sent):
    count = sum(piece.count(b" HTTP/1.1\r\n") for piece in [b"".join(sent)])
    pairs["usual"].compare(sent, answers=count)


def test_every_refusal_of_a_body_is_the_same(pairs):
    for raw, status, _ in BAD.values():
        if 0 < len(raw) <= LONG_BYTES:
            assert pairs["usual"].compare([request("/tag", raw, Connection="close")]) == status


@pytest.mark.parametrize("size", [1024, 1025, LONG_BYTES, LONG_BYTES + 1])
def test_bodies_of_every_size_are_answered(pairs, size):
    body = json.dumps({"text": ""})[:-2]
    raw = (body + "A" * (size - len(body) - 2) + '"}').encode()
    assert len(raw) == size
    assert pairs["usual"].compare([request("/tag", raw, Connection="close")]) == 200


# ── what happens to a connection ──


@pytest.fixture(params=["shortcut", "application"])
def gated(request):
    """A server whose model waits, with and without the shortcut; and the model."""
    gate = Gate()
    with LiveServer(gate, max_waiting=4) as server:
        if request.param == "application":
            server.server._registry.direct = None
        yield server, gate
        gate.opened.set()


def test_a_client_that_leaves_while_its_text_waits_is_not_computed_and_counted(gated):
    server, gate = gated
    with server.connect() as first, server.connect() as second:
        first.send(request("/tag", TEXT))
        wait_for(lambda: gate.begun == 1)
        second.send(request("/tag", TEXT))
        wait_for(lambda: server.count("fenestra_queue_depth") == 2)
    wait_for(lambda: server.count("fenestra_open_connections") == 0)
    gate.opened.set()
    wait_for(lambda: server.count('fenestra_requests_total{method="POST",route="/tag",status="499"}') == 2)
    assert server.count("fenestra_cancelled_total") == 2
    assert gate.begun == 1


def test_clients_that_have_left_hold_no_place_in_a_full_queue(gated):
    server, gate = gated
    with server.connect() as first:
        first.send(request("/tag", TEXT))
        wait_for(lambda: gate.begun == 1)
        with ExitStack() as stack:
            for number in range(3):
                stack.enter_context(server.connect()).send(request("/tag", TEXT))
                wait_for(lambda number=number: server.count("fenestra_queue_depth") == number + 2)
        wait_for(lambda: server.count("fenestra_open_connections") == 1)
        with server.connect() as late:
            late.send(request("/tag", TEXT))
            wait_for(lambda: server.count("fenestra_queue_depth") == 2)
            gate.opened.set()
            assert [first.answer().status, late.answer().status] == [200, 200]
    assert server.refused("overloaded") == 0


def test_a_client_that_leaves_within_its_body_is_counted(gated):
    server, _ = gated
    with server.connect() as wire:
        wire.send(request("/tag", TEXT)[:-3])
        wait_for(lambda: server.count("fenestra_open_connections") == 1)
        time.sleep(0.05)
    wait_for(lambda: server.count('fenestra_requests_total{method="POST",route="/tag",status="400"}') == 1)
    assert not server.app.state.service.inference.depth


def test_a_body_that_does_not_come_is_refused_and_the_connection_ends(gated):
    server, _ = gated
    object.__setattr__(server.settings, "body_seconds", 0.3)
    with server.connect() as wire:
        wire.send(request("/tag", TEXT)[:-3])
        answer = wire.answer()
        assert (answer.status, answer.code, answer.closes) == (400, "bad_request", True)
        assert wire.closed() == b""
    assert server.refused("slow_client") == 1


def test_a_full_queue_refuses_at_once_and_a_request_past_its_deadline_times_out(gated):
    server, gate = gated
    object.__setattr__(server.settings, "deadline_seconds", 0.5)
    server.app.state.service.inference._deadline = 0.5
    with ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(5)]
        for number, wire in enumerate(wires):
            wire.send(request("/tag", TEXT))
            if number < 4:
                wait_for(lambda number=number: server.count("fenestra_queue_depth") == number + 1)
        assert wires[4].answer().status == 503
        assert {wire.answer().status for wire in wires[:4]} == {504}
    assert server.refused("timeout") == 4
    gate.opened.set()


def test_a_stop_that_does_not_wait_cuts_requests_off(gated, caplog):
    server, gate = gated
    with server.connect() as waiting, server.connect() as sending:
        waiting.send(request("/tag", TEXT))
        wait_for(lambda: gate.begun == 1)
        sending.send(request("/tag", TEXT)[:-3])
        wait_for(lambda: len(server.server.server_state.tasks) == 2)
        with caplog.at_level("INFO", "uvicorn.error"):
            server.__exit__()
            gate.opened.set()
        assert waiting.closed() == sending.closed() == b""
    assert [record.getMessage() for record in caplog.records].count("a request was cut off by the stop") == 2
    assert server.count('fenestra_requests_total{method="POST",route="/tag",status="0"}') == 2
    assert not server.server.server_state.tasks


def test_an_error_that_nobody_expects_is_a_500_with_frames_in_the_log(caplog):
    class Breaks(StubTagger):
        def work(self, items, **options):
            raise ValueError(SECRET)
            yield

    with LiveServer(Breaks()) as server:
        answer = server.ask(request("/tag", TEXT))
        assert (answer.status, answer.code) == (500, "internal")
        assert server.ask(request("/tag", TEXT)).status == 500
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "ValueError" in logged
    assert SECRET not in logged


def test_the_clients_behind_a_trusted_proxy_have_limits_of_their_own():
    with LiveServer(rate_limit="2/hour", trusted_proxies="127.0.0.1") as server:
        statuses = [
            server.ask(request("/tag", TEXT, X_Forwarded_For=client)).status
            for client in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2, 127.0.0.1", "192.0.2.2"]
        ]
    assert statuses == [200, 200, 200, 429, 200, 429]


def test_a_request_keeps_the_model_that_it_began_with(gated):
    server, gate = gated
    models = server.app.state.service.models
    with server.connect() as wire:
        wire.send(request("/tag", TEXT))
        wait_for(lambda: gate.begun == 1)
        other = StubTagger()
        other.version = "stub-2"
        (served,) = models
        models._served[served.name] = type(served)(served.name, served.folder, other, served.files)
        gate.opened.set()
        assert wire.answer().json["model"]["version"] == "stub-1"
        wire.send(request("/tag", TEXT))
        assert wire.answer().json["model"]["version"] == "stub-2"


def test_ids_are_never_given_twice_also_by_processes_that_were_forked():
    new_id()  # there are ids in stock now
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, " ".join(new_id() for _ in range(300)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = pipe.read().split()
    os.wait()
    ids = theirs + [new_id() for _ in range(1000)]
    assert len(set(ids)) == len(ids) == 1300
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)


def test_a_request_leaves_nothing_to_the_garbage_collector():
    with LiveServer() as server, server.connect() as wire:

        def ask(count):
            for _ in range(count):
                wire.send(request("/tag", TEXT))
                assert wire.answer().status == 200

        ask(5)
        gc.collect()
        gc.disable()
        try:
            ask(100)
            assert gc.collect() < 100
        finally:
            gc.enable()


HEAD = b"POST /tag HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


def scope_of(*headers):
    fields = {"method": "POST", "http_version": "1.1", "path": "/tag", "raw_path": b"/tag", "query_string": b""}
    return fields | {"headers": list(headers), "client": ("192.0.2.1", 1)}


def test_a_head_is_known_when_a_whole_request_has_come_with_it():
    heads = KnownHeads()
    assert heads.find(HEAD + b"body") is None
    heads.keep(HEAD + b"body", scope_of((b"host", b"a"), (b"content-length", b"4")))
    known = heads.find(HEAD + b"BODY")
    assert (known.size, known.length, known.headers) == (len(HEAD), 4, [(b"host", b"a"), (b"content-length", b"4")])
    assert "client" not in known.fields
    for other in (
        HEAD,
        HEAD + b"bod",
        HEAD + b"body+",
        HEAD + b"body" + HEAD + b"body",
        b"\r\n\r\n" + HEAD + b"body",
        b"",
    ):
        assert heads.find(other) is None


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (HEAD + b"bod", [(b"content-length", b"4")]),
        (b"\r\n\r\n" + HEAD + b"body", [(b"content-length", b"4")]),
        (HEAD + b"body", []),
        (HEAD + b"body", [(b"content-length", b"4"), (b"x-request-id", b"order-66")]),
        (b"A: " + b"x" * 2048 + b"\r\n\r\nbody", [(b"content-length", b"4")]),
    ],
)
def test_what_is_not_a_whole_request_or_will_not_come_again_is_not_kept(data, headers):
    heads = KnownHeads()
    heads.keep(data, scope_of(*headers))
    assert not heads._heads


def test_no_more_than_so_many_heads_are_kept():
    heads = KnownHeads()
    for number in range(5000):
        head = b"POST /tag HTTP/1.1\r\nA: %d\r\n\r\n" % number
        heads.keep(head + b"body", scope_of((b"content-length", b"4")))
        assert heads.find(head + b"body")
    assert len(heads._heads) <= 1024


def test_what_is_known_of_a_head_is_the_same_for_every_connection(pairs):
    server = pairs["usual"].servers[0]
    registry = server.server._registry
    registry.known_heads = KnownHeads()
    found = []
    find = registry.known_heads.find
    registry.known_heads.find = lambda data: found.append(find(data)) or found[-1]
    for _ in range(2):
        with server.connect() as wire:
            for _ in range(3):
                wire.send(request("/tag", TEXT))
                assert wire.answer().status == 200
    assert [known is not None for known in found] == [False, True, True, True, True, True]


def test_only_what_is_plain_takes_the_shortcut():
    service = create_app(Settings(), tagger=StubTagger()).state.direct
    plain = {
        "method": "POST",
        "path": "/tag",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"20")],
    }

    def takes(*headers, **changes):
        return service.takes({**plain, **changes, "headers": [*plain["headers"], *headers]})

    assert takes((b"accept", b"*/*"))
    assert not takes(path="/explain")
    assert not takes(method="GET")
    assert not takes((b"content-type", b"application/json"))
    for name in direct._NOT_PLAIN:
        assert not takes((name, b"x"))
    for length in (b"16385", b"1_0", b"", b"+1", "²".encode("latin-1"), b"0" * 30):
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        assert not service.takes({**plain, "headers": headers})
