"""Pauses reading from a connection, for two reasons that do not know of each other."""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl


class ReadFlow(FlowControl):
    """uvicorn's flow control, and beside it a hold: bytes that have arrived wait to be parsed."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.held = False
        """Whether bytes wait to be parsed."""

    def pause_reading(self) -> None:
        """Read no more until the application asks for it."""
        if not self.held and not self.read_paused:
            self._transport.pause_reading()
        self.read_paused = True

    def resume_reading(self) -> None:
        """Read on, unless bytes wait to be parsed."""
        if not self.held and self.read_paused:
            self._transport.resume_reading()
        self.read_paused = False

    def hold(self) -> None:
        """Read no more until all bytes are parsed."""
        if not self.held and not self.read_paused:
            self._transport.pause_reading()
        self.held = True

    def release(self) -> None:
        """Read on, unless the application does not want to."""
        if self.held and not self.read_paused:
            self._transport.resume_reading()
        self.held = False
