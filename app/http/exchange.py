"""One request and its answer, as the application sees them."""

import asyncio
from collections.abc import Sized

from uvicorn._types import ASGI3Application, ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fenestra.app.errors import Problem
from fenestra.app.http.registry import log


class Cycle(RequestResponseCycle):
    """One request and its answer. What goes wrong with the body comes out where the body is read."""

    fault: Problem | None = None
    persistent: bool = True
    """Whether the connection may go on afterwards, but for a stop of the service."""
    following: Sized = ()
    """The requests that wait behind this one."""

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Have the request answered. An answer that breaks off ends the connection: nothing else would tell."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            log.info("a request was cut off by the stop")
        except Exception as error:  # app.middleware.observe has logged where; its message may quote the user
            log.error("a request broke off with %s", type(error).__name__)
        if not (self.response_complete or self.disconnected):
            self.transport.close()
        self.on_response = _nothing

    async def receive(self) -> ASGIReceiveEvent:
        """Wait for a piece of the body.

        Raises:
            Problem: the rest of the body will not come, or is not HTTP.
        """
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not (self.disconnected or self.response_complete or self.fault):
            if self.more_body or not self.following:  # also to notice when the client hangs up
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.fault and not (self.disconnected or self.response_started):
            raise self.fault
        if self.disconnected or self.response_complete or self.fault:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def fail(self, fault: Problem) -> None:
        """Let the route know that the body is broken; its answer is the last on this connection."""
        self.fault = fault
        self.persistent = self.keep_alive = False
        self.message_event.set()

    def hang_up(self) -> None:
        """Let the route know that nobody is there any more."""
        self.disconnected = True
        self.message_event.set()


def _nothing() -> None:
    """What is to be done when an answer is complete, after its task has ended."""
