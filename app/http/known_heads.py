"""Heads that have come before: a client on a kept connection sends the same bytes again and again, but for the body.

What the parser says of a head depends on its bytes alone. So when a whole request has come at once, its head is kept
with what the parser has said, and a request that begins with the same bytes needs no parser. It stands where it stood:
behind a request that is complete.
"""

from typing import NamedTuple

from uvicorn._types import HTTPScope

_END = b"\r\n\r\n"
_MOST_BYTES = 2048  # of a head that is kept
_MOST = 1024
_CHANGING = frozenset({b"x-request-id", b"traceparent", b"tracestate"})  # such a head does not come again


class KnownHead(NamedTuple):
    """What the parser has said of a head."""

    fields: HTTPScope
    """Of the scope, as far as the head decides them."""
    headers: list[tuple[bytes, bytes]]
    size: int
    """Of the head in bytes, with its last line end."""
    length: int
    """Of the body in bytes."""


class KnownHeads:
    """Heads that have come before, on any connection; so many that they take a few megabytes at most."""

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}

    def find(self, data: bytes) -> KnownHead | None:
        """What is known of the head of what has arrived, if that is one whole request and nothing else."""
        size = data.find(_END) + len(_END)
        known = self._heads.get(data[:size])
        return known if known is not None and size + known.length == len(data) else None

    def keep(self, data: bytes, scope: HTTPScope) -> None:
        """Keep the head of what has arrived: one whole request and nothing else, of this scope."""
        size = data.find(_END) + len(_END)
        headers = list(scope["headers"])
        lengths = [value for name, value in headers if name == b"content-length"]
        if size > _MOST_BYTES or len(lengths) != 1 or size + int(lengths[0]) != len(data):
            return
        if any(name in _CHANGING for name, _ in headers):
            return
        if len(self._heads) >= _MOST:
            self._heads.clear()
        fields = {name: scope[name] for name in ("method", "http_version", "path", "raw_path", "query_string")}
        self._heads[data[:size]] = KnownHead(fields, headers, size, int(lengths[0]))  # type: ignore[arg-type]
