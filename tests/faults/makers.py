"""Builds the bodies and raw requests that cases.yaml refers to.

The functions up to ``many_texts`` build bodies of POST /tag, those after it whole requests. Requests that are too large
for memory come in pieces.
"""

import gzip
import json

from benchmarks.wire import post

PIECE = 1 << 20
CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": None}


def digits(count):
    return b'{"text":"a","min_score":' + b"9" * count + b"}"


def nested(depth):
    return b'{"text":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def nested_objects(depth):
    return b'{"a":' * depth + b"1" + b"}" * depth


def unclosed(depth):
    return b"[" * depth


def encoded(codec, text="a"):
    return f'{{"text":"{text}"}}'.encode(codec)


def cut_character():
    return '{"text":"é'.encode()[:-1]


def surrogate_bytes():
    return b'{"text":"\xed\xa0\x80"}'


def gzip_bomb(mebibytes):
    """A thousandth of its decompressed size: a gzip file may have many members."""
    return gzip.compress(bytes(PIECE * 64)) * (mebibytes // 64)


def long_text(characters):
    return b'{"text":"' + b"x" * characters + b'"}'


def words(characters):
    return json.dumps({"text": "a " * (characters // 2) + "a" * (characters % 2)}).encode()


def one_letter_words(count):
    return json.dumps({"tokens": ["a"] * count}).encode()


def many_texts(count):
    return json.dumps({"text": ["Ada met Ito."] * count}).encode()


def many(item, count, before='{"text":[', after="]}"):
    """The same item again and again, with commas between."""
    return f"{before}{','.join([item] * count)}{after}".encode()


def fields(count):
    """An object of so many fields."""
    return json.dumps({f"f{number}": 1 for number in range(count)}).encode()


def zipped(text, cut=0, again=1):
    """A gzip file, without its last bytes, so many times."""
    whole = gzip.compress(text.encode())
    return whole[: len(whole) - cut] * again


def literal(text):
    return text.encode("utf-8", "surrogateescape")


def with_lines(lines):
    """A request with these header lines, which would be valid without them."""
    own = ["Host: localhost", "Content-Type: application/json"]
    own += (
        [] if any(line.lower().startswith(("content-length", "transfer")) for line in lines) else ["Content-Length: 12"]
    )
    return ("POST /tag HTTP/1.1\r\n" + "\r\n".join(own + lines) + "\r\n\r\n").encode() + b'{"text":"a"}'


def length_and_chunks():
    body = b"c\r\n" + b'{"text":"a"}' + b"\r\n0\r\n\r\n"
    return post(body, {"Transfer-Encoding": "chunked"})


def bad_chunk(size):
    return post(
        f'{size}\r\n{{"text":"a"}}\r\n0\r\n\r\n'.encode(), {"Transfer-Encoding": "chunked", "Content-Length": None}
    )


def tls_hello():
    return bytes.fromhex("16030100a5010000a10303") + bytes(range(160))


# Headers and trailers have `each` bytes a line.


def _lines(total, each):
    line = b"X-" + b"y" * 6 + b": " + b"z" * max(each - 12, 1) + b"\r\n"
    for _ in range(-(-total // len(line))):
        yield line


def long_headers(**size):
    yield b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
    yield from _lines(size["bytes"], size["each"])
    yield b"\r\n"


def long_path(**size):
    return b"GET /" + b"a" * size["bytes"] + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


def long_trailers(**size):
    yield post(b'c\r\n{"text":"a"}\r\n0\r\n', CHUNKED)
    yield from _lines(size["bytes"], 1000)
    yield b"\r\n"


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def two_keys(first, second):
    return with_lines([f"Authorization: Bearer {first}", f"Authorization: Bearer {second}"])


def long_key(**size):
    return with_lines(["Authorization: Bearer " + "x" * size["bytes"]])
