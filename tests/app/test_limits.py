"""The body limit and request ids, which apply before any route."""

import json
import re

import pytest

LIMIT = 40


def body(size):
    return json.dumps({"text": "x" * (size - 12)}).encode()


async def chunks(data, size=7):
    for start in range(0, len(data), size):
        yield data[start : start + size]


def post(client, content, **headers):
    headers = {"content-type": "application/json", **headers}
    return client.request("POST", "/tag", content=content, headers=headers)


@pytest.fixture
def small(serve):
    return serve(max_body_bytes=LIMIT)


def test_a_body_at_the_limit_is_served_whole_or_in_chunks(small):
    assert len(body(LIMIT)) == LIMIT
    assert post(small, body(LIMIT)).status_code == 200
    assert post(small, chunks(body(LIMIT))).status_code == 200


def test_one_byte_over_the_limit_is_refused_equally_whole_or_in_chunks(small, refused):
    answers = [post(small, body(LIMIT + 1), **{"x-request-id": "a"})]
    answers.append(post(small, chunks(body(LIMIT + 1)), **{"x-request-id": "a"}))
    for answer in answers:
        refused(answer, 413, "too_large")
    assert answers[0].content == answers[1].content
    assert answers[0].headers["connection"] == "close"


def test_fifty_megabytes_get_a_short_response(client, refused):
    answer = post(client, b'{"text":"' + b"x" * 50_000_000 + b'"}')
    refused(answer, 413, "too_large")
    assert len(answer.content) < 1024


@pytest.mark.parametrize("content_length", [LIMIT + 1, 10**9, 10**18])
def test_a_content_length_over_the_limit_is_refused_before_a_byte_is_read(small, content_length):
    status, reads = ask(small, [b"x"], content_length)
    assert (status, reads) == (413, 0)


def test_chunks_are_refused_at_the_first_byte_over_the_limit(small):
    status, reads = ask(small, [b"x" * LIMIT, b"x", b"x", b"x"], None)
    assert (status, reads) == (413, 2)


@pytest.mark.parametrize("lie", [-1, 1])
def test_a_body_that_differs_from_its_content_length_is_refused(small, lie):
    whole = body(LIMIT - 5)
    assert ask(small, [whole], len(whole) + lie)[0] == 400
    assert ask(small, [whole], len(whole))[0] == 200


def ask(client, pieces, content_length):
    """Speak ASGI by hand; returns the status and how many times the body was read."""
    reads = 0
    sent = []

    async def receive():
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": pieces[reads - 1], "more_body": reads < len(pieces)}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    if content_length is not None:
        headers.append((b"content-length", str(content_length).encode()))
    scope = {
        "type": "http", "method": "POST", "path": "/tag", "raw_path": b"/tag", "query_string": b"",
        "headers": headers, "scheme": "http", "http_version": "1.1", "server": ("test", 80), "client": ("test", 1),
    }  # fmt: skip
    client.run(client.app(scope, receive, send))
    return sent[0]["status"], reads


@pytest.mark.parametrize("path", ["/livez", "/tag", "/nowhere", "/"])
def test_every_response_carries_a_request_id(client, path):
    first, second = (client.get(path).headers["x-request-id"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert first != second


@pytest.mark.parametrize("sent", ["a", "Order-66_b.c", "x" * 64])
def test_a_harmless_request_id_is_kept(client, sent):
    assert client.get("/livez", headers={"x-request-id": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize(
    "sent", [b"a\r\nevil: 1", b"a\n", b"\x1b[31mred", b"x" * 65, b"x" * 10_000, b'{"a":1}', b"", b"a b", b"\xe9"]
)
def test_any_other_request_id_is_replaced(client, sent):
    answer = client.get("/livez", headers=[(b"x-request-id", sent)])
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


def test_of_two_request_ids_neither_is_used(client):
    answer = client.get("/livez", headers=[(b"x-request-id", b"one"), (b"x-request-id", b"two")])
    assert answer.headers.get_list("x-request-id") not in (["one"], ["two"])


def test_no_response_has_cors_headers(client):
    for method in ("GET", "OPTIONS"):
        answer = client.request(method, "/models", headers={"origin": "https://evil.test"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
