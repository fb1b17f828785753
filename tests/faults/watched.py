"""The service with a watchdog on its event loop: ``python -m tests.faults.watched``.

``GET /watchdog`` returns the longest block since the last such request: how long one callback kept the event loop's
thread at work, in milliseconds, and which. That is time on a processor, so a busy machine does not count; but one whose
processor is slow at the moment does, so a fixed piece of work, the yardstick, is timed beside it.
"""

import sys
import time
from asyncio import events

from fenestra.app import server
from fenestra.app.main import create_app
from fenestra.app.settings import Settings


class Watchdog:
    """Measures every callback that runs on an event loop of asyncio."""

    def __init__(self):
        self.longest, self.callback = 0.0, ""

    def watch(self):
        """Begin with the next callback."""
        run, watchdog = events.Handle._run, self

        def measured(handle):
            began = time.thread_time()
            run(handle)
            if (took := time.thread_time() - began) > watchdog.longest:
                watchdog.longest, watchdog.callback = took, repr(handle)[:300]

        events.Handle._run = measured

    def report(self):
        """What was longest since the last report."""
        told = {"milliseconds": round(1000 * self.longest, 1), "callback": self.callback, "yardstick": yardstick()}
        self.longest, self.callback = 0.0, ""
        return told


def yardstick():
    """Milliseconds that a fixed piece of work takes on this processor now."""
    began, total = time.thread_time(), 0
    for number in range(200_000):
        total += number
    return round(1000 * (time.thread_time() - began), 1)


def watched(build, watchdog):
    """A function like create_app, whose application also answers GET /watchdog."""

    def create(settings):
        app = build(settings)

        @app.get("/watchdog", include_in_schema=False)
        async def report():
            return watchdog.report()

        return app

    return create


def use_asyncio():
    """Let the server run on asyncio's own event loop: uvloop's callbacks cannot be measured."""
    new_server = server.new_server

    def on_asyncio(app, settings):
        made = new_server(app, settings)
        made.config.loop = "asyncio"
        return made

    server.new_server = on_asyncio


def main():
    watchdog = Watchdog()
    use_asyncio()
    server.create_app = watched(create_app, watchdog)
    watchdog.watch()
    return server.serve(Settings.read())


if __name__ == "__main__":
    sys.exit(main())
