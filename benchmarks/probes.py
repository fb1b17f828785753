"""Requests made up at random, most of them wrong somewhere: what benchmarks/fuzz.py sends.

Every kind is a function of a random generator, so a seed gives the same requests again. The name of a function is the
name of the kind.
"""

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.wire import chunked, post

Rng = random.Random


class Probe(NamedTuple):
    """A request."""

    raw: bytes
    whole: bool = True
    """Whether the server can tell where it ends. If not, the client says that it has no more to send."""
    leave: bool = False
    """Hang up without waiting for the answer."""
    fine: bool = False
    """Nothing is wrong with it, so 200 is the only right answer."""


WORDS = "Ada Lovelace met Ito in New York , U.S. and Kraków . 3.14 can't e-mail x@y.z #NER 日本 🙂".split()
CLASSES = [
    (0x20, 0x7E), (0x00, 0x1F), (0x7F, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF),
    (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x2000, 0x206F), (0x20D0, 0x20FF), (0x3040, 0x30FF),
    (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xF8FF), (0xFB00, 0xFDFF), (0xFE00, 0xFE0F), (0xFF00, 0xFFFF),
    (0x10300, 0x1034F), (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF),
    (0xE0000, 0xE01EF), (0x10FFF0, 0x10FFFF),
]  # fmt: skip
ODD = [
    None, True, False, 0, 1, -1, 0.5, 1e308, 10**19, 10**30, "", " ", "\0", "a" * 3000, "\u202e", [], {}, [[]],
    [None], {"a": 1}, [[["a"]]], "PER", ["PER"], ["NOPE"], "codepoint", "utf16", "utf-8", "english", "../x", [""],
    [0], "1", "true", "NaN",
]  # fmt: skip
FIELDS = [
    "text",
    "tokens",
    "labels",
    "min_score",
    "details",
    "offsets",
    "model",
    "token",
    "texts",
    "Text",
    "",
    "__proto__",
]
HEADERS = [
    "Content-Type: text/plain", "Content-Type: application/json;charset=utf-16",
    "Content-Type: application/json,text/html", "Content-Encoding: gzip", "Content-Encoding: identity",
    "Accept: text/html", "Accept-Encoding: br", "Expect: 100-continue", "Expect: everything", "Range: bytes=0-1",
    "If-None-Match: *", "Upgrade: websocket", "Connection: upgrade", "Connection: close",
    "Connection: keep-alive, close", "Cookie: a=b", "X-Request-ID: a b", "X-Request-ID: fine",
    "Authorization: Bearer x", "Origin: null", "Origin: http://evil.example", "X-Forwarded-For: 1.2.3.4",
    "X-HTTP-Method-Override: DELETE", "TE: trailers", "Host: evil.example", "Content-Length: 3",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "X: é", "X:",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "traceparent: zz",
    "Forwarded: for=1.2.3.4",
]  # fmt: skip
PIECES = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud800", b"\r\n", b"\0", b"NaN", b"-"]
METHODS = "GET POST PUT DELETE PATCH HEAD OPTIONS TRACE CONNECT PROPFIND SEARCH BREW get".split()
PATHS = """
    / /tag /tag/ /TAG /tag/stream /explain /models /models/english/reload/x /livez /readyz /metrics /docs /openapi.json
    /static/page.js /static/../x /%2e%2e/ /tag?x=1 /tag%00 //tag /models/%2e%2e/reload http://evil.example/tag *
    /favicon.ico /.env /wp-login.php
""".split()


def sentence(rng: Rng, longest: int = 60) -> str:
    """Words of several scripts."""
    return " ".join(rng.choices(WORDS, k=rng.randint(0, longest)))


def options(rng: Rng) -> dict[str, Any]:
    """What may stand beside ``text``."""
    choices: dict[str, Any] = {
        "labels": rng.choice([["PER"], ["LOC", "ORG"], []]), "min_score": rng.random(), "details": rng.random() < 0.5,
        "offsets": rng.choice(["codepoint", "utf16", "utf8"]), "model": "english",
    }  # fmt: skip
    return {name: value for name, value in choices.items() if rng.random() < 0.3}


def asked(rng: Rng) -> dict[str, Any]:
    """A body that is fine."""
    kind = rng.randrange(4)
    if kind == 0:
        return options(rng) | {"text": sentence(rng)}
    if kind == 1:
        return options(rng) | {"text": [sentence(rng) for _ in range(rng.randint(0, 5))]}
    if kind == 2:
        return options(rng) | {"tokens": sentence(rng).split()}
    return options(rng) | {"tokens": [sentence(rng).split() for _ in range(rng.randint(0, 5))]}


def encode(rng: Rng, value: object) -> bytes:
    """JSON, with escapes or without."""
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def fine(rng: Rng) -> Probe:
    """Nothing wrong."""
    return Probe(post(encode(rng, asked(rng))), fine=True)


def in_chunks(rng: Rng) -> Probe:
    """Nothing wrong, in chunks."""
    body = encode(rng, asked(rng))
    size = rng.randint(1, 50)
    return Probe(chunked([body[at : at + size] for at in range(0, len(body), size)]), fine=True)


def characters(rng: Rng) -> Probe:
    """Any characters of any classes, none of them half a pair."""
    ranges = rng.choices(CLASSES, k=rng.randint(1, 3))
    drawn = [chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 400))]
    body = options(rng) | {"text": "".join(c for c in drawn if not "\ud800" <= c <= "\udfff")}
    return Probe(post(encode(rng, body)), fine=True)


def long(rng: Rng) -> Probe:
    """One pattern, very often; or very many texts."""
    if rng.random() < 0.5:
        pattern = "".join(chr(rng.randint(*CLASSES[0])) for _ in range(rng.randint(1, 6)))
        return Probe(post(encode(rng, {"text": pattern * (rng.randint(1, 20_000) // len(pattern))})), fine=True)
    return Probe(post(encode(rng, {"text": [sentence(rng, 3)] * rng.randint(1, 1000)})), fine=True)


def mangled(rng: Rng) -> Probe:
    """A body with a few bytes changed."""
    return Probe(post(mutate(rng, encode(rng, asked(rng)))))


def reshaped(rng: Rng) -> Probe:
    """A body with something else in a place of it."""
    body = asked(rng)
    for _ in range(rng.randint(1, 3)):
        body = replace(rng, body)
    return Probe(post(encode(rng, body)))


def invented(rng: Rng) -> Probe:
    """A body of known and unknown fields with any values."""
    names = rng.choices(FIELDS, k=rng.randint(0, 5))
    members = (json.dumps(name) + ":" + json.dumps(rng.choice(ODD)) for name in names)
    return Probe(post(("{" + ",".join(members) + "}").encode()))


def explained(rng: Rng) -> Probe:
    """A request for an explanation, its token anywhere."""
    body: dict[str, Any] = {"token": rng.choice([0, 1, 5, -1, 10**6, 1.5, None, "0"])}
    body[rng.choice(["text", "tokens"])] = rng.choice([sentence(rng), sentence(rng).split(), [], "", None])
    return Probe(post(encode(rng, body), path="/explain"))


def lines(rng: Rng) -> Probe:
    """A stream, some of its lines wrong."""
    rows = [encode(rng, asked(rng)) for _ in range(rng.randint(0, 10))]
    rows = [mutate(rng, row) if rng.random() < 0.3 else row for row in rows]
    return Probe(post(b"\n".join(rows), {"Content-Type": "application/x-ndjson"}, path="/tag/stream"), fine=True)


def headers(rng: Rng) -> Probe:
    """Odd headers, and more than one of a kind."""
    head, _, body = post(encode(rng, asked(rng))).partition(b"\r\n\r\n")
    extra = [line.encode() for line in rng.choices(HEADERS, k=rng.randint(1, 4))]
    return Probe(b"\r\n".join([head, *extra]) + b"\r\n\r\n" + body, whole=False)


def paths(rng: Rng) -> Probe:
    """Any method at any path."""
    made_up = "/" + "".join(chr(rng.randint(33, 126)) for _ in range(rng.randint(0, 80)))
    line = f"{rng.choice(METHODS)} {rng.choice(PATHS) if rng.random() < 0.7 else made_up} HTTP/1.1"
    return Probe(f"{line}\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode(), whole=False)


def wire(rng: Rng) -> Probe:
    """A whole request with bytes of it changed, wherever they stand."""
    return Probe(mutate(rng, post(encode(rng, asked(rng)))), whole=False)


def noise(rng: Rng) -> Probe:
    """Bytes."""
    return Probe(rng.randbytes(rng.randint(1, 2000)), whole=False)


def hang_up(rng: Rng) -> Probe:
    """A request, or a part of one, and then nobody is there."""
    raw = post(encode(rng, asked(rng)))
    return Probe(raw[: rng.randint(0, len(raw))] if rng.random() < 0.5 else raw, leave=True)


KINDS: dict[str, tuple[Callable[[Rng], Probe], int]] = {
    kind.__name__: (kind, weight)
    for kind, weight in (
        (fine, 8), (in_chunks, 6), (characters, 14), (long, 1), (mangled, 16), (reshaped, 14), (invented, 8),
        (explained, 4), (lines, 4), (headers, 8), (paths, 5), (wire, 8), (noise, 2), (hang_up, 2),
    )
}  # fmt: skip
"""Every kind, with how often it is drawn."""


def mutate(rng: Rng, data: bytes) -> bytes:
    """Change, drop, double or put in a few bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(changed))
        end = min(len(changed), at + rng.randint(1, 8))
        kind = rng.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[at:end]
        elif kind == 2:
            changed[at:at] = changed[at:end]
        elif kind == 3:
            changed[at:at] = rng.randbytes(rng.randint(1, 4))
        else:
            changed[at:at] = rng.choice(PIECES)
    return bytes(changed)


def replace(rng: Rng, value: Any) -> Any:  # noqa: ANN401
    """Put something odd in some place of a JSON value."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice([*value])
        return {**value, name: replace(rng, value[name])} if rng.random() < 0.8 else {**value, rng.choice(FIELDS): 1}
    if isinstance(value, list) and value and rng.random() < 0.6:
        at = rng.randrange(len(value))
        return [*value[:at], replace(rng, value[at]), *value[at + 1 :]]
    return rng.choice(ODD)
