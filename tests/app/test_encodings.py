"""Bodies that come as gzip, within the limits, and responses that go out as gzip."""

import gzip
import json
import random
import zlib

import pytest

from fenestra.app.middleware import decompression
from tests.app.test_ndjson import stream

GZIP = {"content-encoding": "gzip"}
SMALL = b'{"text":"Ada met Ito."}'


def test_a_body_that_comes_as_gzip_is_answered_as_it_would_be_plain(client):
    large = json.dumps({"text": ["Ada met Ito in Rome."] * 900, "details": True}).encode()
    for body in (SMALL, large):
        assert client.tag(gzip.compress(body), **GZIP).content == client.tag(body).content
        assert client.tag(gzip.compress(body, 0), **{"content-encoding": " GZIP "}).status_code == 200


def test_a_stream_that_comes_as_gzip_is_answered_line_by_line(client):
    body = (SMALL + b"\n") * 3000
    assert stream(client, gzip.compress(body), **GZIP) == stream(client, body)


@pytest.fixture
def inflated(monkeypatch):
    """The number of bytes that are inflated."""
    sizes = []
    inflate = decompression.DecompressionMiddleware.inflate

    async def count(self, *arguments):
        piece = await inflate(self, *arguments)
        sizes.append(len(piece))
        return piece

    monkeypatch.setattr(decompression.DecompressionMiddleware, "inflate", count)
    return sizes


def bomb(mebibytes):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(mebibytes)]) + packer.flush()


def test_a_bomb_is_refused_when_it_has_grown_to_the_limit_and_no_later(serve, refused, inflated):
    client = serve(max_body_bytes=300_000)
    refused(client.tag(bomb(100), **GZIP), 413, "too_large")
    assert sum(inflated) <= 400_000


def test_a_compressed_body_over_the_limit_is_refused_unread(serve, refused, inflated):
    refused(serve(max_body_bytes=1000).tag(random.Random(1).randbytes(2000), **GZIP), 413, "too_large")
    assert inflated == []


def test_a_bomb_of_line_ends_ends_the_stream(client, refused, inflated):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join([packer.compress(b"\n" * (1 << 20)) for _ in range(60)]) + packer.flush()
    answer = client.request(
        "POST", "/tag/stream", content=body, headers={"content-type": "application/x-ndjson", **GZIP}
    )
    (line,) = answer.text.splitlines()
    assert json.loads(line)["error"]["code"] == "too_large"
    assert sum(inflated) <= 101 * len(body) + (1 << 17)


WHOLE = gzip.compress(SMALL)
BROKEN = {
    "cut off": WHOLE[:-9],
    "without its checksum": WHOLE[:-4],
    "with another checksum": WHOLE[:-8] + bytes(8),
    "a second member": WHOLE + WHOLE,
    "something behind": WHOLE + b"{}",
    "not gzip": SMALL,
    "zlib without gzip": zlib.compress(SMALL),
    "nothing": b"",
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_one_whole_gzip_file_is_refused(client, refused, case):
    refused(client.tag(BROKEN[case], **GZIP), 400, "bad_json")


def test_a_large_response_is_compressed_for_those_who_accept_it(client):
    body = {"text": ["Ada met Ito in Rome."] * 500, "details": True}
    plain = client.tag(body, **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = client.tag(body, **{"accept-encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    assert packed.content == plain.content


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br, gzip; q=0.000", "deflate"])
def test_a_response_is_not_compressed_for_those_who_do_not_accept_it(client, accepted):
    answer = client.tag({"text": ["Ada met Ito."] * 500}, **{"accept-encoding": accepted})
    assert "content-encoding" not in answer.headers


def test_small_responses_and_streams_are_not_compressed_and_none_if_it_is_switched_off(client, serve):
    assert "content-encoding" not in client.tag({"text": "Ada"}).headers
    lines = (b'{"text":"' + b"Ada met Ito. " * 400 + b'"}\n') * 3
    answer = client.request("POST", "/tag/stream", content=lines, headers={"content-type": "application/x-ndjson"})
    assert len(answer.content) > 10_000
    assert "content-encoding" not in answer.headers
    assert "content-encoding" not in serve(gzip_min_bytes=0).tag({"text": ["Ada met Ito."] * 500}).headers
