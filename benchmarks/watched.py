"""``fenestra serve`` with a watchdog on its event loop: ``python -m benchmarks.watched``.

``GET /watched`` tells the longest work of the loop since the last such request, in milliseconds of the loop thread's
own CPU time, so that neither a busy machine nor the computing thread counts:

    callback  one callback, step of a task or piece of input: what a single request can do
    turn      all that was done until the loop came around: what a probe may have to wait for, less the model's share
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop
from fastapi import FastAPI

from fenestra.app import server
from fenestra.app.http.protocol import HttpProtocol
from fenestra.app.main import create_app
from fenestra.app.settings import Settings

_TICK_SECONDS = 0.001


class Watchdog:
    """The longest callback and the longest turn; lives on the loop's thread."""

    def __init__(self) -> None:
        self.callback = self.turn = 0.0
        self._last = 0.0
        self.longest = ""
        """What the longest callback was."""

    def watch(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Time each call of a function."""

        def timed(*arguments: Any) -> Any:  # noqa: ANN401
            began = time.thread_time()
            try:
                return function(*arguments)
            finally:
                took = time.thread_time() - began
                if took > self.callback:
                    self.callback, self.longest = took, name

        return timed

    def tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look how much was done since the loop came around last."""
        now = time.thread_time()
        self.turn = max(self.turn, now - self._last) if self._last else 0.0
        self._last = now
        loop.call_later(_TICK_SECONDS, self.tick, loop)

    def told(self) -> dict[str, float | str]:
        """The figures; they begin anew."""
        found = {"callback": 1000 * self.callback, "turn": 1000 * self.turn, "longest": self.longest}
        self.callback = self.turn = 0.0
        return found


WATCHDOG = Watchdog()


def _name(callback: Callable[..., Any]) -> str:
    """A function, or the coroutine whose next step a callback is; never its arguments, which may be megabytes."""
    callback = getattr(callback, "func", callback)  # of a partial
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return str(task.get_coro().__qualname__)  # type: ignore[union-attr]
    return str(getattr(callback, "__qualname__", type(callback).__name__))


class WatchedLoop(uvloop.Loop):
    """A loop that times what it calls. Steps of tasks come through ``call_soon``; input does not."""

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> Any:  # noqa: ANN401
        """As uvloop's."""
        return super().call_soon(WATCHDOG.watch(callback, _name(callback)), *arguments, context=context)

    def call_soon_threadsafe(self, callback: Any, *arguments: Any, context: Any = None) -> Any:  # noqa: ANN401
        """As uvloop's."""
        return super().call_soon_threadsafe(WATCHDOG.watch(callback, _name(callback)), *arguments, context=context)

    def call_later(self, delay: float, callback: Any, *arguments: Any, context: Any = None) -> Any:  # noqa: ANN401
        """As uvloop's."""
        return super().call_later(delay, WATCHDOG.watch(callback, _name(callback)), *arguments, context=context)


def build(settings: Settings) -> FastAPI:
    """The application, and the route that tells."""
    app = create_app(settings)

    @app.get("/watched", include_in_schema=False)
    async def watched() -> dict[str, float | str]:
        if not WATCHDOG._last:
            WATCHDOG.tick(asyncio.get_running_loop())
        return WATCHDOG.told()

    return app


def main() -> int:
    """Serve."""
    uvloop.new_event_loop = WatchedLoop
    for name in ("connection_made", "data_received", "eof_received", "connection_lost", "resume_writing"):
        setattr(HttpProtocol, name, _timed_method(getattr(HttpProtocol, name), name))
    server.create_app = build  # type: ignore[attr-defined]
    return server.serve(Settings.read())


def _timed_method(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    timed = WATCHDOG.watch(method, name)
    return lambda *arguments: timed(*arguments)  # a function, which binds to the instance


if __name__ == "__main__":
    sys.exit(main())
