"""Requests and replies, and what becomes of them, without any input or output.

What is done over HTTP is a generator here: it yields a :class:`Call` to be made, and is sent the :class:`Reply`; or it
yields seconds to wait. So threads and asyncio share all of it (client.py, async_client.py), and tests need no clock.
"""

import gzip
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from fenestra.app.api.schemas import ErrorResponse
from fenestra.client.errors import ClientError, ConnectionFailed, ServiceError, UnexpectedAnswer, kind_of, name_of
from fenestra.client.retries import Patience, Retries, read_retry_after
from fenestra.model.version import VERSION

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

NDJSON = "application/x-ndjson"
RETRIED = frozenset({429, 502, 503, 504})
"""Statuses that say: not now. Nothing has been done, or doing it again does no harm."""
_MAX_RATIO = 50  # the service takes a stream that grows more than 100 times for an attack
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.ProxyError)


class Call(NamedTuple):
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None
    repeatable: bool = True
    """Whether doing it twice does no harm."""


@dataclass(frozen=True)
class Reply:
    """What came of a call."""

    status: int | None = None
    """None if not even the head of an answer came."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    """As much of it as came."""
    failure: httpx.HTTPError | None = None
    """What ended it early."""

    @property
    def broken(self) -> bool:
        """Whether the connection failed, which may go better the next time."""
        return isinstance(self.failure, httpx.TransportError) and not isinstance(self.failure, _HOPELESS)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait."""
        return read_retry_after(self.headers.get("retry-after"))

    def error(self) -> ClientError | None:
        """The error that this is; None if it is a whole answer of success."""
        if self.failure is not None:
            error: ClientError = ConnectionFailed(_told(self.failure), code="no_answer", status=self.status)
            error.__cause__ = self.failure
            return error
        status = self.status or 0
        if 200 <= status < 300:
            return None
        try:
            told = ErrorResponse.model_validate_json(self.body).error
        except ValidationError:
            message = "the answer comes from something before the service, or from another one"
            return kind_of(status)(message, code=name_of(status), status=status, retry_after=self.retry_after)
        return kind_of(status)(
            told.message, code=told.code, status=status, request_id=told.request_id, retry_after=self.retry_after
        )

    def read(self, kind: type[M]) -> M:
        """Read the body of an answer of success.

        Raises:
            UnexpectedAnswer: it is something else.
        """
        try:
            return kind.model_validate_json(self.body)
        except ValidationError:
            raise UnexpectedAnswer(
                f"the answer is no {kind.__name__}", code="unexpected_answer", status=self.status
            ) from None


Steps = Generator[Call | float, Reply | None, T]


@dataclass(frozen=True)
class Address:
    """Where the service is, how it is spoken to, and how patiently."""

    url: str
    headers: Mapping[str, str]
    gzip_min_bytes: int
    retries: Retries

    @classmethod
    def of(cls, base_url: str, api_key: str | None, gzip_min_bytes: int, retries: Retries) -> "Address":
        """Put together what all requests have in common.

        Raises:
            ValueError: that is no address of a service.
            TypeError: ``retries`` is something else, such as a number.
        """
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
            raise ValueError("base_url: expected an address such as http://localhost:8000")
        headers = {"User-Agent": f"fenestra-client/{VERSION}", "Accept": f"application/json, {NDJSON}"}
        headers["Accept-Encoding"] = "gzip" if gzip_min_bytes else "identity"
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        if not isinstance(retries, Retries):
            raise TypeError(f"retries: expected fenestra.client.Retries, got {type(retries).__name__}")
        return cls(base_url.rstrip("/"), headers, gzip_min_bytes, retries)

    @property
    def shown(self) -> str:
        """The address without a password that may be in it."""
        url = httpx.URL(self.url)
        return str(url.copy_with(userinfo=b"")) if url.userinfo else self.url

    def get(self, path: str) -> Call:
        """A call without a body."""
        return Call("GET", self.url + path, self.headers)

    def post(
        self, path: str, body: bytes = b"", media_type: str = "application/json", *, repeatable: bool = True
    ) -> Call:
        """A call with a body, compressed if that is worth it."""
        headers = {**self.headers, "Content-Type": media_type} if body else self.headers
        if self.gzip_min_bytes and len(body) >= self.gzip_min_bytes:
            packed = gzip.compress(body, 1)
            if len(packed) * _MAX_RATIO > len(body):
                body, headers = packed, {**headers, "Content-Encoding": "gzip"}
        return Call("POST", self.url + path, headers, body, repeatable)


def ask(call: Call, retries: Retries) -> Steps[Reply]:
    """Make a call until it succeeds, is refused for good, or patience is at its end.

    Raises:
        ClientError: the last attempt failed.
    """
    patience = Patience(retries)
    while True:
        reply = yield call
        assert reply is not None
        if (error := reply.error()) is None:
            return reply
        pause = patience.pause(reply.retry_after) if _again(call, reply) else None
        if pause is None:
            raise error
        yield pause


def _again(call: Call, reply: Reply) -> bool:
    """Whether it makes sense to make a call again, and does no harm."""
    if not call.repeatable:
        return isinstance(reply.failure, _NEVER_SENT)
    return reply.broken if reply.failure is not None else reply.status in RETRIED


def _told(failure: httpx.HTTPError) -> str:
    """What became of a connection, and where; httpx's own words only where they cannot hold a key."""
    where = failure.request.url.netloc.decode()
    if isinstance(failure, httpx.ConnectError):
        return f"nothing can be reached at {where}: {failure}"
    return f"no whole answer came from {where}: {type(failure).__name__}"


def refused(error: ClientError) -> bool:
    """Whether a smaller request may be accepted: something in this one is too large, or wrong."""
    return isinstance(error, ServiceError) and error.status in (None, 413, 422)
