"""Error responses that the connection writes to the socket itself, without an application."""

from collections.abc import Iterable
from http import HTTPStatus

from fenestra.app.errors import Problem
from fenestra.app.middleware.request_id import NOSNIFF

Header = tuple[bytes, bytes]


def render_response(problem: Problem, request_id: str, headers: Iterable[Header]) -> bytes:
    """Write a whole response.

    Args:
        problem: what went wrong.
        request_id: goes into the body and a header.
        headers: further headers, such as the date.
    """
    response = problem.response(request_id)
    own = (*response.raw_headers, (b"x-request-id", request_id.encode()), NOSNIFF)
    status = HTTPStatus(response.status_code)
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
    lines += [b"%s: %s" % header for header in (*headers, *own)]
    return b"\r\n".join([*lines, b"", bytes(response.body)])


class ResponseTemplate:
    """A response that is sent so often that it is rendered in advance; only the request id and the date change."""

    def __init__(self, problem: Problem) -> None:
        mark = "@"
        head, _, body = render_response(problem, mark, ()).partition(b"\r\n\r\n")
        self._status, *headers = head.split(b"\r\n")
        kept = [header for header in headers if not header.startswith((b"content-length:", b"x-request-id:"))]
        self._head = b"\r\n".join([*kept, b"x-request-id: "])
        self._before, _, self._after = body.partition(mark.encode())

    def render(self, request_id: str, headers: Iterable[Header], *, close: bool) -> bytes:
        """Write the response to one request; with ``close`` it is the last of its connection."""
        identifier = request_id.encode()
        lines = [self._status, *[b"%s: %s" % header for header in headers], self._head + identifier]
        if close:
            lines.append(b"connection: close")
        lines.append(b"content-length: %d\r\n" % (len(self._before) + len(identifier) + len(self._after)))
        return b"\r\n".join([*lines, self._before + identifier + self._after])
