"""The service with a watchdog on its event loop: ``python -m tests.faults.watched``.

``GET /watchdog`` returns the longest block since the last such request: how long one callback kept the event loop's
thread at work, in milliseconds, and which. That is time on a processor, so a busy machine does not count; but one whose
processor is slow at the moment does, so a fixed piece of work, the yardstick, is timed beside it. On a virtual machine
the host may take the processor away in the middle of a callback, which counts as its time: how long is told, too.
"""

import os
import sys
import time
from asyncio import events
from pathlib import Path

from fenestra.app import server
from fenestra.app.main import create_app
from fenestra.app.settings import Settings


class Watchdog:
    """Measures every callback that runs on an event loop of asyncio."""

    def __init__(self):
        self.longest, self.callback, self.stolen = 0.0, "", stolen()

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
        told["stolen"], self.stolen = stolen() - self.stolen, stolen()
        self.longest, self.callback = 0.0, ""
        return told


def stolen():
    """Milliseconds that the host of a virtual machine has taken since its start; 0 where nobody counts them."""
    try:
        ticks = int(Path("/proc/stat").read_text().splitlines()[0].split()[8])
    except (OSError, IndexError):
        return 0.0
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


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
