"""The client for threads."""

import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from fenestra.app.api.schemas import Entity, ExplainResponse, ModelInfo, ReloadResponse, Result, TagResponse
from fenestra.client import operations
from fenestra.client.batches import BatchSize, batches, tag_batch
from fenestra.client.calls import Address, Call, Reply, Steps
from fenestra.client.requests import ExplainOptions, Item, TagOptions, check_items, check_options, check_text
from fenestra.client.retries import Retries
from fenestra.client.streams import PORTION, Line, tag_lines

T = TypeVar("T")

TIMEOUT = httpx.Timeout(40.0, connect=5.0)
"""The service gives up on a request after 30 seconds."""
LIMITS = httpx.Limits(max_keepalive_connections=20, keepalive_expiry=4.0)
"""The service closes a connection that is idle for 5 seconds."""


class Client:
    """Speaks to one service. Safe from several threads; a context manager, or to be closed with :meth:`close`.

    Every method that asks the service raises :class:`fenestra.client.ClientError` (fenestra/client/errors.py). Tagging
    does no harm when it is done twice: so it is tried again, as ``retries`` says, when the service cannot be reached
    or refuses for now (429, 502, 503, 504).
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        retries: Retries | None = None,
        gzip_min_bytes: int = 16 * 1024,
        timeout: httpx.Timeout | float = TIMEOUT,
        http: httpx.Client | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            base_url: as ``https://tagger.example``, with the path if a proxy serves it under one.
            api_key: one of those whose hashes the service knows.
            retries: how long to try; a minute unless told otherwise.
            gzip_min_bytes: smallest request that is compressed; 0 compresses neither requests nor answers.
            timeout: of each attempt; a number is seconds without a byte.
            http: a client of httpx with a transport, a proxy or certificates of your own. It stays open in the end,
                and its timeouts count.
        """
        self._address = Address.of(base_url, api_key, gzip_min_bytes, Retries() if retries is None else retries)
        self._owned = http is None
        self._http = http or httpx.Client(timeout=timeout, limits=LIMITS)

    def __call__(self, text: str) -> list[Entity]:
        """The entities of a text, as ``fenestra.load(…)(text)`` gives them."""
        check_text(text)
        return self.tag(text).results[0].entities

    def tag(
        self,
        text: str | Sequence[str] | None = None,
        *,
        tokens: Sequence[str] | Sequence[Sequence[str]] | None = None,
        **options: Unpack[TagOptions],
    ) -> TagResponse:
        """Find the entities of a text or several, or of sentences that are words already: in one request."""
        return self._run(operations.tag(self._address, text, tokens, options))

    def tag_many(
        self, items: Iterable[Item], *, batch: BatchSize | None = None, **options: Unpack[TagOptions]
    ) -> Iterator[Result]:
        """Find the entities of any number of texts, or of sentences of words: one result each, in order.

        Texts are taken from ``items`` as they are needed, and go out in batches.
        """
        check_items(items)
        check_options(options)
        return self._tag_many(items, batch or BatchSize(), options)

    def _tag_many(self, items: Iterable[Item], size: BatchSize, options: TagOptions) -> Iterator[Result]:
        for found in batches(items, size):
            yield from self._run(tag_batch(self._address, found, options))

    def stream(self, items: Iterable[Item], **options: Unpack[TagOptions]) -> Iterator[Line]:
        """As :meth:`tag_many`, over ``POST /tag/stream``: waits where single requests are refused.

        One text that is refused stops nothing: its answer is a :class:`fenestra.client.LineError`. ``line`` of an
        answer is the place of its text in ``items``, from 1.
        """
        check_items(items)
        check_options(options)
        return self._stream(items, options)

    def _stream(self, items: Iterable[Item], options: TagOptions) -> Iterator[Line]:
        for portion in batches(items, PORTION):
            yield from self._run(tag_lines(self._address, portion, options))

    def explain(
        self,
        text: str | None = None,
        *,
        token: int,
        tokens: Sequence[str] | None = None,
        **options: Unpack[ExplainOptions],
    ) -> ExplainResponse:
        """Say what each word around a token, counted from 0, adds to the score of its tag."""
        return self._run(operations.explain(self._address, text, tokens, token, options))

    def models(self) -> list[ModelInfo]:
        """The models that can be asked for; the first is the default one."""
        return self._run(operations.models(self._address))

    def ready(self) -> bool:
        """Whether the service can be reached and its model is loaded; asked once, never raises."""
        return self._run(operations.ready(self._address))

    def reload(self, name: str) -> ReloadResponse:
        """Have the service read a model's folder again. Not tried again if it may have been done."""
        return self._run(operations.reload(self._address, name))

    def close(self) -> None:
        """Close the connections."""
        if self._owned:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.shown!r})"

    def _run(self, steps: Steps[T]) -> T:
        """Take the steps of an operation."""
        reply: Reply | None = None
        try:
            while True:
                step = steps.send(reply)
                reply = None
                if isinstance(step, Call):
                    reply = self._send(step)
                else:
                    time.sleep(step)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, call: Call) -> Reply:
        """Make a call; returns as much of the answer as comes."""
        body = bytearray()
        status, headers = None, httpx.Headers()
        try:
            with self._http.stream(call.method, call.url, headers=call.headers, content=call.content) as response:
                status, headers = response.status_code, response.headers
                for piece in response.iter_bytes():
                    body += piece
        except httpx.RequestError as failure:
            return Reply(status, headers, bytes(body), failure)
        return Reply(status, headers, bytes(body))
