"""Scenarios of bodies that take more than one exchange."""

import json
from contextlib import ExitStack
from itertools import islice
from threading import Thread

from benchmarks.wire import Wire, chunked, exchange, post
from tests.faults import makers
from tests.faults.world import ask, check_refusal

SMALL = b'{"text":"a"}'
NDJSON = {"Content-Type": "application/x-ndjson"}


def sizes_around_the_limit(world, name, limit):
    server = world.server(name)
    whole = SMALL + b" " * (limit - len(SMALL))
    same = {"X-Request-ID": "same"}
    assert ask(server, post(whole))[0].status == 200
    refusals = [
        ask(server, post(whole + b" ", same)),
        ask(server, chunked([whole[at : at + 65536] for at in range(0, limit, 65536)] + [b" "], same)),
        ask(server, post(b"", same, length=limit + 1)),  # refused before a byte of the body
    ]
    for answer, closed in refusals:
        check_refusal(answer)
        assert (answer.status, answer.code, closed) == (413, "too_large", True)
    assert len({answer.body for answer, _ in refusals}) == 1
    answer, _ = ask(server, post(SMALL, length=len(SMALL) - 5))
    assert answer.status == 400
    check_refusal(answer)
    with Wire(server.port) as wire:
        wire.send(post(SMALL, length=len(SMALL) + 5))
        wire.no_more()
        answer = wire.answer()
    assert answer is None or answer.status == 400


def many_errors(world, name, errors, told):
    answer = exchange(world.server(name).port, post(json.dumps({"tokens": [1] * errors}).encode()))
    check_refusal(answer)
    assert (answer.status, answer.code) == (422, "invalid_request")
    message = json.loads(answer.body)["error"]["message"]
    assert message.count("tokens[") == told


HEAVY = [
    makers.many("1", 1_000_000, '{"text":"a","labels":['), makers.fields(150_000), makers.many("[]", 690_000),
    makers.many("1", 100_000, '{"tokens":['), makers.many("{}", 690_000), makers.many("[1]", 1000, '{"tokens":['),
    makers.many('""', 600_000, '{"text":"a","labels":['), makers.many("[", 900_000, "", ""),
]  # fmt: skip
LIGHT = [b"1", b"{}", b"[[[[", b'{"text":"a","x":1}', b'{"tokens":[1,1,1]}', b'{"text":' * 40, b'"', b"\xff"]


def heavy_lines(world, name, streams):
    """Streams side by side, each of lines that take long to refuse, and of many that take little."""
    server = world.server(name)
    lines = [line for heavy in HEAVY for line in (heavy, *LIGHT * 25)]
    body = b"\n".join([SMALL, *lines, SMALL])
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port, 60)) for _ in range(streams)]
        senders = [Thread(target=wire.send, args=(post(body, NDJSON, path="/tag/stream"),)) for wire in wires]
        for sender in senders:
            sender.start()
        answers = [wire.answer() for wire in wires]
        for sender in senders:
            sender.join(60)
    for answer in answers:
        first, *errors, last = map(json.loads, answer.body.splitlines())
        assert (first["line"], last["line"]) == (1, len(lines) + 2)
        assert first["results"] == last["results"]
        assert [error["line"] for error in errors] == list(range(2, len(lines) + 2))
        codes = {error["error"]["code"] for error in errors}
        assert codes == {"invalid_request", "bad_json", "unknown_or_duplicate_field"}


ODD = [
    "Ada\0Ito met Bo", "Ada \x01\x1f\x7f Ito", "Ada \u202eotI\u202c Bo", "A\u0301da Ito\u0308\u0323",
    "👩‍🚀👩🏽‍🚀 Ada 🇩🇪 Ito", "𝔄𝔡𝔞 met 𐍈 in 𝕃ondon", "Zoë Müller", "Zoe\u0308 Mu\u0308ller",
    "Ada \uffff\ufdd0\U0010ffff Ito", "\ufeffAda\u200bIto", "İstanbul ﬁnds ǅ ß", "日本のAdaさん",
    "Ada\u2028Ito\u0085Bo", "مريم met Ada", "a" * 300 + "\u0301" * 300 + " Ada",
]  # fmt: skip
CODECS = {"codepoint": ("utf-32-le", 4), "utf16": ("utf-16-le", 2), "utf8": ("utf-8", 1)}


def offsets_of_odd_characters(world, name):
    """Slice the text as the client's language does, such as JavaScript in UTF-16."""
    server = world.server(name)
    for unit, (codec, width) in CODECS.items():
        body = json.dumps({"text": ODD, "offsets": unit, "details": True}).encode()
        status, answer = server.tag(body)
        assert status == 200
        for text, result in zip(ODD, json.loads(answer)["results"], strict=True):
            units = text.encode(codec)
            assert result["tokens"]
            for span in result["entities"] + result["tokens"]:
                cut = units[span["start"] * width : span["end"] * width]
                assert cut.decode(codec) == span["text"]


PATTERNS = [
    "a", "a.", "U.S.", "1,", "-", "http://", "a@", "'", "a'", "((", " ", "\n", "é", "e\u0301", "中", "👩‍🚀", "A",
    "Ab", "1/2/", "&amp;", "<a ", "\u200b", ".", "...", "!?", "a-b-", "$1.0", "#a", "a_", "\t", "0", "1.1.1.1:",
    "\"", "“", "www.", "a\u0307", "x.com/", "Mr. ", "a a", ". A", "\u202e", "\U0001f1e9", "ﬁ", "ß", "\0", "''",
    "``", "--", "can't", "p.m.",
]  # fmt: skip


def work_grows_with_length(world, name, characters, ratio, patterns):
    """CPU time, the minimum of three runs, so that other load on the machine counts little."""
    server = world.server(name)
    for pattern in islice(PATTERNS, patterns):
        once, twice = (min(_work(server, pattern, size) for _ in range(3)) for size in (characters, 2 * characters))
        assert twice <= ratio * once + 0.01, pattern


def _work(server, pattern, characters):
    body = json.dumps({"text": (pattern * (characters // len(pattern) + 1))[:characters]}).encode()
    before = server.usage().cpu
    assert server.tag(body)[0] == 200
    return server.usage().cpu - before
