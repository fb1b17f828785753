"""``fenestra serve`` with the tagger of :mod:`tests.faults.faulty`: ``python -m tests.workers.odd [FILE]``.

Each worker that starts adds a line to FILE. If there is a file ``FILE.fail`` then, it ends at once with code 3; if
there is ``FILE.end``, after 50 ms.
"""

import os
import sys
import threading
from pathlib import Path

from fenestra.app import server
from fenestra.app.settings import Settings
from fenestra.app.workers import supervisor
from tests.faults.faulty import CommandedTagger


def main():
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    work = server._work

    def note_and_work(settings, lines, start):
        if file is not None:
            with file.open("a") as opened:
                opened.write(f"{os.getpid()}\n")
            if file.with_suffix(".fail").exists():
                return 3
            if file.with_suffix(".end").exists():
                threading.Timer(0.05, os._exit, [3]).start()
        return work(settings, lines, start)

    supervisor.open_model = lambda folder, before, settings, pause: CommandedTagger()
    server._work = note_and_work
    return server.serve(Settings.read())


if __name__ == "__main__":
    sys.exit(main())
