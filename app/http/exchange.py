"""One request and its response, as the application sees them."""

import asyncio
from collections.abc import Callable, Sized

from uvicorn._types import ASGI3Application, ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fenestra.app.errors import Problem, log

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""The interim response."""


class Exchange(RequestResponseCycle):
    """One request and its response. An error in the body is raised where the body is read."""

    fault: Problem | None = None
    """Why the rest of the body will not come."""
    persistent: bool = True
    """Whether the connection may stay open afterwards, unless the service stops."""
    following: Sized = ()
    """The requests that wait behind this one."""

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Have the request answered. A response that breaks off closes the connection, so that the client notices."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            log.info("a request was cut off by the stop")
        except Exception as error:  # app.middleware.observe has logged the frames; the message may quote the user
            log.error("a request broke off with %s", type(error).__name__)
        if not (self.response_complete or self.disconnected):
            self.transport.close()
        self.on_response = _nothing
        self.body = bytearray()  # what nobody read of it: only the garbage collector frees an exchange, some time later

    async def receive(self) -> ASGIReceiveEvent:
        """Wait for a piece of the body.

        Raises:
            Problem: the rest of the body will not come, or is malformed.
        """
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(CONTINUE)
            self.waiting_for_100_continue = False
        if not (self.disconnected or self.response_complete or self.fault):
            if self.more_body or not self.following:  # the latter to notice when the client disconnects
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.fault and not (self.disconnected or self.response_started):
            raise self.fault
        if self.disconnected or self.response_complete or self.fault:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        if not (self.more_body or self.following):  # nobody asks again: or who disconnects now would not be noticed
            self.flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def add_body(self, piece: bytes) -> int:
        """Hand a piece of the body to the application; returns how many bytes it has not taken yet."""
        self.body += piece
        self.message_event.set()
        return len(self.body)

    def complete_body(self) -> None:
        """Tell the application that the body is complete."""
        self.more_body = False
        if not self.response_complete:
            self.message_event.set()

    def fail(self, fault: Problem) -> None:
        """Tell the application that the body is broken; its response is the last of the connection."""
        self.fault = fault
        self.end_connection()
        self.message_event.set()

    def end_connection(self) -> None:
        """Make this the last exchange of its connection."""
        self.persistent = self.keep_alive = False

    def disconnect(self) -> None:
        """Tell the application that the client has disconnected."""
        self.disconnected = True
        self.message_event.set()


class ResponseTransport:
    """What an exchange sees of the transport: it writes its response, and closes the connection by lingering."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


def _nothing() -> None:
    """Replaces the callback of a complete response after the task has ended."""
