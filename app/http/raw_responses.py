"""Answers that leave without an application: written to the socket as they are, by the connection itself."""

from collections.abc import Iterable
from http import HTTPStatus

from fenestra.app.errors import Problem
from fenestra.app.middleware.request_id import NOSNIFF

Header = tuple[bytes, bytes]


def rendered(problem: Problem, request_id: str, headers: Iterable[Header]) -> bytes:
    """Write a whole answer.

    Args:
        problem: what to tell.
        request_id: goes into the body and the header.
        headers: more of them, such as the date.
    """
    response = problem.response(request_id)
    own = (*response.raw_headers, (b"x-request-id", request_id.encode()), NOSNIFF)
    status = HTTPStatus(response.status_code)
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
    lines += [b"%s: %s" % header for header in (*headers, *own)]
    return b"\r\n".join([*lines, b"", bytes(response.body)])


class Canned:
    """An answer that is sent so often that it is written beforehand; only the request's id and the date change."""

    def __init__(self, problem: Problem) -> None:
        mark = "@"
        head, _, body = rendered(problem, mark, ()).partition(b"\r\n\r\n")
        self._status, *headers = head.split(b"\r\n")
        kept = [header for header in headers if not header.startswith((b"content-length:", b"x-request-id:"))]
        self._head = b"\r\n".join([*kept, b"x-request-id: "])
        self._before, _, self._after = body.partition(mark.encode())

    def rendered(self, request_id: str, headers: Iterable[Header], *, close: bool) -> bytes:
        """Write it for one request."""
        identifier = request_id.encode()
        lines = [self._status, *[b"%s: %s" % header for header in headers], self._head + identifier]
        if close:
            lines.append(b"connection: close")
        lines.append(b"content-length: %d\r\n" % (len(self._before) + len(identifier) + len(self._after)))
        return b"\r\n".join([*lines, self._before + identifier + self._after])
