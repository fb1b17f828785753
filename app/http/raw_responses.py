"""Error responses that the connection writes to the socket itself, without an application."""

from collections.abc import Iterable
from http import HTTPStatus

from fenestra.app.errors import Problem
from fenestra.app.middleware.request_id import NOSNIFF

Header = tuple[bytes, bytes]
_MARK = "@"  # of a template, where the request id belongs, if the body has it


def render_response(problem: Problem, request_id: str, headers: Iterable[Header], path: str = "") -> bytes:
    """Write a whole response.

    Args:
        problem: what went wrong.
        request_id: goes into the body and a header.
        headers: further headers, such as the date.
        path: of the request, as far as it is known: the body has the shape that its clients expect.
    """
    response = problem.response(request_id, path)
    own = (*response.raw_headers, (b"x-request-id", request_id.encode()), NOSNIFF)
    status = HTTPStatus(response.status_code)
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
    lines += [b"%s: %s" % header for header in (*headers, *own)]
    return b"\r\n".join([*lines, b"", bytes(response.body)])


class ResponseTemplate:
    """A response that is sent so often that it is rendered in advance; only the request id and the date change."""

    def __init__(self, problem: Problem, path: str = "") -> None:
        head, _, self._body = render_response(problem, _MARK, (), path).partition(b"\r\n\r\n")
        self._status, *headers = head.split(b"\r\n")
        kept = [header for header in headers if not header.startswith((b"content-length:", b"x-request-id:"))]
        self._head = b"\r\n".join([*kept, b"x-request-id: "])

    def render(self, request_id: str, headers: Iterable[Header], *, close: bool) -> bytes:
        """Write the response to one request; with ``close`` it is the last of its connection."""
        identifier = request_id.encode()
        lines = [self._status, *[b"%s: %s" % header for header in headers], self._head + identifier]
        if close:
            lines.append(b"connection: close")
        body = self._body.replace(_MARK.encode(), identifier)
        lines.append(b"content-length: %d\r\n" % len(body))
        return b"\r\n".join([*lines, body])
