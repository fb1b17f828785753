"""Checks of a request's head, beyond those of the parser.

Two programs that understand a request differently can disagree on where it ends (request smuggling). The parser
(llhttp) refuses most of what is ambiguous; the rest is refused here.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import unquote

import httptools
from uvicorn._types import HTTPScope

from fenestra.app.http.refusals import bad_request

Header = tuple[bytes, bytes]

UNIQUE_HEADERS = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""Headers that may come once: a second one could be understood instead of the first."""


def check_unique_header(name: bytes, value: bytes, earlier: Iterable[Header], version: str) -> None:
    """Check one of :data:`UNIQUE_HEADERS`.

    Args:
        name: in lower case.
        value: as it was sent.
        earlier: the headers before it.
        version: of HTTP, such as ``1.1``.

    Raises:
        Refusal: it is ambiguous.
    """
    for other, _ in earlier:
        if name == other:
            raise bad_request("a header that may come once comes twice")
    if name == b"transfer-encoding" and (value.lower() != b"chunked" or version == "1.0"):
        raise bad_request("this Transfer-Encoding is not understood")


def complete_scope(scope: HTTPScope, headers: Iterable[Header], *, method: bytes, version: str, target: bytes) -> None:
    """Add to an ASGI scope what the request line says.

    Raises:
        Refusal: another version of HTTP, no Host, or a target on another host.
        HttpParserInvalidURLError: the target is malformed.
    """
    if version not in ("1.0", "1.1"):
        raise bad_request("only HTTP/1.1 and HTTP/1.0 are spoken here")
    host = None
    for name, value in headers:
        if name == b"host":
            host = value
            break
    if host is None and version == "1.1":
        raise bad_request("the Host header is missing")
    url = httptools.parse_url(target)
    if url.path is None or (url.schema is not None and not _authority_is(host, target)):
        raise bad_request("the request's target is for another host, or none")
    path = url.path.decode("ascii")
    scope["method"] = method.decode("ascii")
    scope["http_version"] = version
    scope["path"] = unquote(path) if "%" in path else path
    scope["raw_path"] = url.path
    scope["query_string"] = url.query or b""


def _authority_is(host: bytes | None, target: bytes) -> bool:
    """Whether an absolute target names the same host as the Host header."""
    authority = target.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
    return host is not None and authority.lower() == host.lower()


def without_upgrade(headers: Sequence[Header], *, method: bytes, version: str, target: bytes) -> bytes:
    """Write a head again, without its Upgrade header; ends with the blank line."""
    lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
    lines += [b"%s: %s" % header for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])
