"""Reads HTTP/1.1 from a connection: uvicorn's protocol, which owns the parser, with its decisions made elsewhere.

uvicorn keeps the transport, the scope, flow control and the tasks. How a request is checked, limited, queued, refused
and timed is up to :class:`fenestra.app.http.connection.Connection` and the objects beside it.
"""

import asyncio
import time
from typing import ClassVar, cast

import httptools
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from fenestra.app.http.byte_limits import ByteLimits
from fenestra.app.http.connection import Connection
from fenestra.app.http.deadlines import Phase
from fenestra.app.http.direct import DirectExchange, read_proxy_headers
from fenestra.app.http.exchange import Exchange
from fenestra.app.http.load_shedding import shed
from fenestra.app.http.read_flow import ReadFlow
from fenestra.app.http.refusals import Refusal, StopParsing, bad_request, headers_too_large
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.http.request_head import UNIQUE_HEADERS, check_unique_header, complete_scope, without_upgrade
from fenestra.app.middleware.api_keys import unauthorized
from fenestra.app.middleware.body_limit import STREAMS
from fenestra.app.middleware.rate_limit import unmap_ipv4

_HEADER_SIGNS = len(b": \r\n")
_SLICE_BYTES = 4096  # parsed without a look at the clock
_PARSE_SECONDS = 0.001  # that one connection may parse for, until it has to wait for its turn


class HttpProtocol(HttpToolsProtocol):
    """Feeds the parser, and turns its callbacks into calls of the connection."""

    registry: ClassVar[ConnectionRegistry]
    connection: Connection

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False  # its lines hold paths and queries, which are the user's
        settings = self.registry.settings
        self._limits = ByteLimits(settings.max_header_bytes, settings.max_body_bytes)
        self._unparsed = b""  # what has arrived and waits for its turn
        self._upgrade = False  # the request offers to change the protocol
        self._direct: HTTPScope | None = None  # of a request that is answered without ASGI, and came in this feed

    # ── callbacks of the event loop ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(cast(asyncio.Transport, transport))
        self.flow: ReadFlow = ReadFlow(self.transport)
        if self.client is not None:
            self.client = unmap_ipv4(self.client[0]), self.client[1]
        self.connection = Connection(
            self.transport,
            self.flow,
            registry=self.registry,
            server_state=self.server_state,
            start=lambda exchange: self._start_asgi_task(exchange, self.app),
            target=lambda: getattr(self, "url", b""),
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.connection.lost()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client will send nothing more; returns whether the connection stays open for a last response."""
        return self.connection.end_input()

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived: at once what takes little time, and the rest in turn with other connections.

        Bytes of a body cost nothing, but a chunk of one byte, or a header of three, costs as much as a long one.
        """
        waits = bool(self._unparsed)
        if not waits and self._answer_known_head(data):
            return
        self._unparsed += data
        if not waits:
            self._parse_on()

    def _answer_known_head(self, data: bytes) -> bool:
        """Answer a whole request whose head has come before, byte for byte, as the parser's callbacks would.

        Returns:
            Whether it is answered; if not, it has to be parsed.
        """
        connection = self.connection
        if connection.timer.phase is not Phase.IDLE or connection.responding or self.flow.write_paused:
            return False
        known = self.registry.known_heads.find(data)
        if known is None or self.transport.is_closing():
            return False
        super().on_message_begin()
        self.headers.extend(known.headers)
        self.scope.update(known.fields)
        self.scope["state"]["is_disconnected"] = connection.is_disconnected
        connection.begin_body()
        if not self._shed(keep_alive=True):
            exchange = self._begin_directly(keep_alive=True)
            if not exchange.response_complete:
                exchange.add_body(data[known.size :])
        if not connection.discards_input:
            connection.end_body()
        return True

    def _parse_on(self) -> None:
        """Go on with what has arrived."""
        if self.transport.is_closing():
            self._unparsed = b""
            return
        self._unparsed = self._parse(self._unparsed, time.perf_counter() + _PARSE_SECONDS)
        if self._unparsed:
            self.flow.hold()
            self.registry.work.soon(self._parse_on)
        else:
            self.flow.release()

    def _parse(self, data: bytes, end: float) -> bytes:
        """Parse slice by slice until a time of the monotonic clock; returns the bytes that are left."""
        at = 0
        while at < len(data) and not self.connection.discards_input:
            piece = data[at : at + _SLICE_BYTES]
            at += len(piece)
            if again := self._feed(piece):
                data, at = again + data[at:], 0
            if time.perf_counter() >= end:
                return data[at:]
        return b""

    def _feed(self, data: bytes) -> bytes:
        """Parse some bytes; returns those that have to be parsed again."""
        self._limits.feed(len(data))
        if begins := self.connection.timer.phase is Phase.IDLE:
            self._begin_head()
        self._direct = None
        try:
            self.parser.feed_data(data)
            self._check_sizes()
        except httptools.HttpParserUpgrade as upgrade:
            return self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(error.__context__)  # what a callback raised
        except Refusal as refusal:
            self._refuse(refusal)
        if begins and self._direct is not None and self.connection.timer.phase is Phase.IDLE:
            self.registry.known_heads.keep(data, self._direct)
        return b""

    def _begin_head(self, *, inside_feed: bool = False) -> None:
        self._limits.begin_head(inside_feed=inside_feed)
        self.connection.begin_head()

    def _check_sizes(self) -> None:
        """Limit what was fed and is part of no body.

        Raises:
            Refusal: it is too much.
        """
        if self.connection.discards_input:
            return
        phase, limits = self.connection.timer.phase, self._limits
        if (phase is Phase.HEAD and limits.end_feed_in_head()) or (phase is Phase.BODY and limits.end_feed_in_body()):
            raise self._too_large()

    def _too_large(self) -> Refusal:
        """Refuse a large head; where API keys are required, it can only hold a wrong one."""
        if self.registry.settings.api_keys and self.connection.timer.phase is Phase.HEAD:
            return Refusal(unauthorized(), "unauthorized")
        return headers_too_large(self._limits.max_header_bytes)

    def _refuse(self, cause: BaseException | None) -> None:
        """Refuse what cannot be parsed."""
        if self.connection.discards_input:  # it was the connection that stopped the parser
            return
        refusal = cause if isinstance(cause, Refusal) else bad_request("this is not valid HTTP")
        if self.connection.timer.phase is Phase.BODY:
            self.connection.fail_body(refusal)
        else:
            self.connection.refuse(refusal)

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """Ignore an offer to change the protocol; the parser stops behind the head of such a request.

        Args:
            rest: the bytes behind the head.

        Returns:
            The same request without the offer, and the rest.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self.connection.refuse(bad_request("this is no proxy"))
            return b""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._begin_head()
        return without_upgrade(self.headers, method=method, version=version, target=self.url) + rest

    # ── callbacks of the parser ──

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self.connection.discards_input:
            raise StopParsing
        super().on_message_begin()
        if self.connection.timer.phase is Phase.IDLE:  # behind another request, inside what is being fed
            self._begin_head(inside_feed=True)
        self._upgrade = False
        self.scope["state"]["is_disconnected"] = self.connection.is_disconnected

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        if self._limits.add_head(len(url)):
            raise self._too_large()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are counted and dropped: they could pass for headers."""
        if self._limits.add_head(len(name) + len(value) + _HEADER_SIGNS):
            raise self._too_large()
        if self.connection.timer.phase is not Phase.HEAD:
            return
        name = name.lower()
        if name in UNIQUE_HEADERS:
            check_unique_header(name, value, self.headers, self.parser.get_http_version())
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to respond, now or when the requests before it are answered."""
        if self.parser.should_upgrade():
            self._upgrade = True
            return
        version = self.parser.get_http_version()
        complete_scope(self.scope, self.headers, method=self.parser.get_method(), version=version, target=self.url)
        self._limits.begin_body()
        self.connection.begin_body()
        # After a response in place of 100 Continue, the client may or may not send the body.
        keep_alive = version == "1.1" and self.parser.should_keep_alive() and not self.expect_100_continue
        if self._shed(keep_alive) or self._answer_directly(keep_alive):
            return
        if not self.connection.submit(self._new_exchange(self.scope, keep_alive)):
            raise StopParsing

    def _shed(self, keep_alive: bool) -> bool:
        """Refuse a request at once if the model is overloaded; its body is dropped then.

        Not behind other requests, and not for a client that does not read its responses: it has to wait for those.
        """
        if self.connection.responding or self.flow.write_paused:
            return False
        response = shed(self.scope, self.server_state.default_headers, self.registry, close=not keep_alive)
        if response is None:
            return False
        self.transport.write(response)
        if not keep_alive:
            self.connection.linger()
        return True

    def _answer_directly(self, keep_alive: bool) -> bool:
        """Answer a request without ASGI, if it can be; under the same conditions as :meth:`_shed`."""
        handler = self.registry.direct
        if handler is None or self.connection.responding or self.flow.write_paused or not handler.takes(self.scope):
            return False
        self._direct = self.scope if keep_alive else None
        self._begin_directly(keep_alive)
        return True

    def _begin_directly(self, keep_alive: bool) -> DirectExchange:
        """Begin to answer a request without ASGI."""
        connection = self.connection
        assert self.registry.direct is not None
        if self.registry.proxies is not None:
            read_proxy_headers(self.registry.proxies, self.scope)
        exchange = DirectExchange(
            self.scope,
            self.registry.direct,
            connection.response_transport,
            default_headers=self.server_state.default_headers,
            keep_alive=keep_alive and not self.registry.ends_connection(),
            persistent=keep_alive,
            pending=self.tasks,
            on_response=connection.response_complete,
            hand_over=self._hand_over,
        )
        connection.answer(exchange)
        return exchange

    def _hand_over(self, direct: DirectExchange, app: ASGI3Application) -> None:
        """Let an application give the response to a request that was to be answered without ASGI."""
        exchange = self._new_exchange(direct.scope, direct.persistent)
        exchange.keep_alive = direct.keep_alive
        exchange.more_body = False
        self.connection.hand_over(exchange)
        self._start_asgi_task(exchange, app)

    def _new_exchange(self, scope: HTTPScope, keep_alive: bool) -> Exchange:
        exchange = Exchange(
            scope=scope,
            transport=cast(asyncio.Transport, self.connection.response_transport),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive and not self.registry.ends_connection(),
            on_response=self.connection.response_complete,
        )
        exchange.persistent = keep_alive
        return exchange

    def on_chunk_header(self) -> None:
        """Begin a chunk."""
        self._limits.add_chunk()

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body, or drop it when the response did not need it."""
        self._limits.add_body(len(body))
        if self.connection.discards_input or self._upgrade:
            return
        exchange = self.connection.receiving
        if exchange is None or exchange.response_complete:
            if self._limits.discard_body(len(body)):
                self.connection.linger()
                raise StopParsing
            return
        if self.scope["path"] in STREAMS:
            self.connection.body_progress()
        if exchange.add_body(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """End a request."""
        if not (self.connection.discards_input or self._upgrade):
            self.connection.end_body()


def protocol_for(registry: ConnectionRegistry) -> type[HttpProtocol]:
    """Make the protocol of all connections of one server."""
    return type("HttpProtocol", (HttpProtocol,), {"registry": registry})
