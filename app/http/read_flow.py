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
        self._switch(paused=True, held=self.held)

    def resume_reading(self) -> None:
        """Read on, unless bytes wait to be parsed."""
        self._switch(paused=False, held=self.held)

    def hold(self) -> None:
        """Read no more until all bytes are parsed."""
        self._switch(paused=self.read_paused, held=True)

    def release(self) -> None:
        """Read on, unless the application does not want to."""
        self._switch(paused=self.read_paused, held=False)

    def _switch(self, *, paused: bool, held: bool) -> None:
        stopped = paused or held
        if stopped != (self.read_paused or self.held):
            (self._transport.pause_reading if stopped else self._transport.resume_reading)()
        self.read_paused, self.held = paused, held
