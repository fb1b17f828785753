"""One connection: the requests on it, their responses, its deadlines and its end.

What is read drives it from above (:mod:`fenestra.app.http.protocol`), the registry of all connections from beside.
Responding goes on beside reading: requests that are read before an earlier one is answered wait in the pipeline.
"""

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable

from uvicorn.server import ServerState

from fenestra.app.codes import STATUS
from fenestra.app.errors import log
from fenestra.app.http.deadlines import Phase, PhaseTimer, WriteTimer
from fenestra.app.http.direct import DirectExchange
from fenestra.app.http.exchange import CONTINUE, Exchange, ResponseTransport
from fenestra.app.http.pipeline import Pipeline
from fenestra.app.http.raw_responses import render_response
from fenestra.app.http.read_flow import ReadFlow
from fenestra.app.http.refusals import Refusal, bad_request
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.middleware.request_id import new_id

_PROBE_SECONDS = 0.5
"""How long a client that has ended its sending waits until it is asked whether it still reads, and then again."""


class Connection:
    """One connection of a client. Lives on the event loop."""

    def __init__(
        self,
        transport: asyncio.Transport,
        flow: ReadFlow,
        *,
        registry: ConnectionRegistry,
        server_state: ServerState,
        start: Callable[[Exchange], None],
        target: Callable[[], bytes] = bytes,
    ) -> None:
        """Join the registry.

        Args:
            transport: to the client.
            flow: pauses reading from the transport.
            registry: of all connections.
            server_state: of uvicorn: the headers of every response, and the number of requests.
            start: makes the task that answers an exchange.
            target: of the request that is being read, as far as it is known.
        """
        self._transport = transport
        self._flow = flow
        self._registry = registry
        self._server_state = server_state
        self._start = start
        self._target = target
        self._now = asyncio.get_running_loop().time
        self.timer = PhaseTimer(registry.settings, self._now())
        self._write_timer = WriteTimer(registry.settings.write_seconds)
        self._pipeline = Pipeline()
        self.receiving: Exchange | DirectExchange | None = None
        """The exchange whose body is being read; None if the request was refused without one."""
        self.discards_input = False
        """Whether everything that still arrives is dropped unread."""
        self._disconnected = False
        self._input_ended = False  # the client will send nothing more
        self._next_probe = 0.0  # when to find out whether it still reads
        self._final_response = b""  # of a refusal, to be sent when all requests before it are answered
        self.response_transport = ResponseTransport(transport, close=self.linger)
        registry.add(self)

    # ── reading ──

    @property
    def responding(self) -> bool:
        """Whether a request is being answered."""
        return self._pipeline.current is not None

    def begin_head(self) -> None:
        """Note that a head begins."""
        self.timer.enter(Phase.HEAD, self._now())

    def begin_body(self) -> None:
        """Note that a head is complete."""
        self.receiving = None
        self.timer.enter(Phase.BODY, self._now())

    def body_progress(self) -> None:
        """Restart the deadline of the body, as for each piece of a stream."""
        self.timer.enter(Phase.BODY, self._now())

    def end_body(self) -> None:
        """Note that a request is read to its end."""
        now, receiving = self._now(), self.receiving
        self.timer.request_complete(now)
        if receiving is not None:
            receiving.complete_body()
        if receiving is None or receiving.response_complete:
            self._registry.mark_idle(self, now)

    def end_input(self) -> bool:
        """Note that the client will send nothing more. What it has sent is answered: it may still read.

        Returns:
            Whether the connection stays open for a response that is due.
        """
        self._input_ended = True
        if self.timer.phase is Phase.HEAD and not self.discards_input:
            self.refuse(bad_request("the request ends within its headers"))
            return True
        if self.timer.phase is Phase.BODY and not self.discards_input:
            return self.fail_body(bad_request("the request ends within its body"))
        if self._final_response:
            return True
        if self._pipeline.newest is None:
            return False
        self._pipeline.newest.end_connection()
        self._next_probe = self._now() + _PROBE_SECONDS
        return True

    # ── responding ──

    def answer(self, exchange: DirectExchange) -> None:
        """Have a request answered at once; no other one is being answered."""
        self._registry.mark_active(self)
        self.receiving = self._pipeline.current = exchange
        exchange.start()

    def hand_over(self, exchange: Exchange) -> None:
        """Let another exchange go on with the request that is being answered."""
        self._pipeline.current = exchange
        exchange.following = self._pipeline.waiting

    def submit(self, exchange: Exchange) -> bool:
        """Have a request answered, now or when those before it are answered.

        Returns:
            False if too many requests wait already: nothing more is read, and the last of them ends the connection.
        """
        self._registry.mark_active(self)
        self.receiving = exchange
        exchange.following = self._pipeline.waiting
        if self._pipeline.start(exchange):
            self._start(exchange)
            return True
        self._flow.pause_reading()
        if not self._pipeline.append(exchange):
            self.discards_input = True
            return False
        return True

    def response_complete(self) -> None:
        """Go on with the next request, if there is one."""
        self._server_state.total_requests += 1
        if self.timer.phase is Phase.LINGER or self._transport.is_closing():
            self._pipeline.current = None
            return
        if len(self._pipeline.waiting) <= 1:
            self._flow.resume_reading()
        if (exchange := self._pipeline.advance()) is not None:
            self._start(exchange)
        elif self._final_response:
            self._send_last(self._final_response)
        elif self._input_ended:
            self.linger()
        elif self.timer.phase is not Phase.BODY:
            now = self._now()
            if self.timer.phase is Phase.IDLE:
                self.timer.enter(Phase.IDLE, now)
            self._registry.mark_idle(self, now)

    def fail_body(self, refusal: Refusal) -> bool:
        """Give up on a body. The route reports what is wrong with it, if it has not answered yet.

        Returns:
            Whether a response is still to come.
        """
        exchange = self.receiving
        self.discards_input = True
        if exchange is None or exchange.response_complete:
            self.linger()
            return False
        self._registry.metrics.refused(refusal.reason)
        if exchange.response_started:
            exchange.disconnect()
            self.linger()
            return False
        exchange.fail(refusal.problem)
        return True

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is not a valid request, after all requests before it; nothing more is read."""
        self.discards_input = True
        request_id = new_id()
        status = STATUS[refusal.problem.code]
        self._registry.metrics.refused(refusal.reason)
        self._registry.metrics.answered({"method": ""}, status, self._now() - self.timer.since)
        fields = {"request_id": request_id, "status": status, "reason": refusal.reason}
        log.info("%(request_id)s refused %(status)d %(reason)s", fields, extra=fields)
        path = self._target().partition(b"?")[0].decode("latin-1")
        response = render_response(refusal.problem, request_id, self._server_state.default_headers, path)
        if self.responding:
            self._final_response = response
        else:
            self._send_last(response)

    def _send_last(self, response: bytes) -> None:
        self._final_response = b""
        self._transport.write(response)
        self.linger()

    # ── closing ──

    def is_disconnected(self) -> bool:
        """Whether the client has disconnected; may be called from any thread."""
        return self._disconnected

    def lost(self) -> None:
        """Note that the connection is closed."""
        self._disconnect()
        self._registry.remove(self)

    def _disconnect(self) -> None:
        """Cancel the work for this client."""
        self._disconnected = True
        self._pipeline.waiting.clear()
        current = self._pipeline.current
        if current is not None and not current.response_complete:
            current.disconnect()

    def linger(self) -> None:
        """Close as soon as the client has read its last response."""
        if self.timer.phase is Phase.LINGER:
            return
        self.timer.enter(Phase.LINGER, self._now())
        self.discards_input = True
        self._pipeline.waiting.clear()
        self._registry.mark_active(self)
        if self._transport.is_closing():
            return
        self._flow.resume_reading()
        if self._input_ended:
            self._transport.close()
        else:
            self._transport.write_eof()

    def announce_close(self) -> None:
        """Make the last response that is due say that it is the last one."""
        if (exchange := self._pipeline.newest) is not None:
            exchange.keep_alive = False

    def close_if_idle(self) -> None:
        """Close, if no request is being read or answered."""
        if self.timer.phase is Phase.IDLE and not self.responding:
            self.linger()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # ── deadlines ──

    def has_unread_input(self) -> bool:
        """Whether bytes have arrived that the event loop has not read yet."""
        return self._kernel_bytes(termios.FIONREAD) > 0

    def _kernel_bytes(self, queue: int) -> int:
        """The bytes in the kernel that are not read yet (``FIONREAD``), or not received yet (``TIOCOUTQ``)."""
        try:
            descriptor = self._transport.get_extra_info("socket").fileno()
            return int.from_bytes(fcntl.ioctl(descriptor, queue, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def check_deadlines(self, now: float) -> None:
        """Close the connection if its client is slower than allowed."""
        unsent = self._transport.get_write_buffer_size()
        in_all = unsent and unsent + self._kernel_bytes(termios.TIOCOUTQ)
        if self._write_timer.expired(in_all, now):
            self._registry.metrics.refused("slow_client")
            log.info("closed a connection whose client does not read")
            self._transport.abort()
        if unsent:
            return
        if self._input_ended:
            self._probe(now)
        waits = self.timer.phase is Phase.BODY and self._flow.read_paused
        if waits or self._flow.held:  # it is the service that does not read
            self.timer.since = now
        if not self.timer.expired(now, responding=self.responding):
            return
        if self.timer.phase is Phase.LINGER:
            self._transport.abort()
        elif not self.discards_input and not self.has_unread_input():
            self._time_out()

    def _probe(self, now: float) -> None:
        """Find out whether a client that will send nothing more still reads: if not, its system resets the connection.

        The end of its sending looks the same in both cases. An interim response is skipped by every client that reads.
        """
        current = self._pipeline.current
        if current is None or current.response_started or current.scope["http_version"] == "1.0":
            return
        if now >= self._next_probe:
            self._transport.write(CONTINUE)
            self._next_probe = now + _PROBE_SECONDS

    def _time_out(self) -> None:
        """End a request that takes too long, or an idle connection."""
        limit = self.timer.limit(responding=self.responding)
        if self.timer.phase is Phase.IDLE:
            self._transport.close()
        elif self.timer.phase is Phase.HEAD:
            self.refuse(bad_request(f"the headers were not complete within {limit:g} seconds", "slow_client"))
        else:
            self.fail_body(bad_request(f"the body was not complete within {limit:g} seconds", "slow_client"))
