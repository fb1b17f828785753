"""A server whose tagger follows commands in its texts: ``python -m tests.faults.faulty``.

    RAISE      fails                              SLEEP 2.5   takes that many seconds, in one step
    NAN        fails as on NaN logits   STEPS 40    takes that many steps of 50 ms each

Any other capitalised word is a person. ``GET /faulty`` returns the texts that were tagged, and the files and
connections that were opened since the last such request.
"""

import re
import sys
import threading
import time

from fenestra.app import server
from fenestra.app.main import create_app
from fenestra.app.settings import Settings
from fenestra.model.errors import RunError
from fenestra.model.progress import Progress
from fenestra.model.results import Entity, Result, TaggedToken
from fenestra.model.text.language import language

WORD = re.compile(r"\w+|[^\w\s]")
OPENING = frozenset({"open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.listdir"})


class CommandedTagger:
    """Follows the commands in its texts."""

    labels = ("PER",)
    language = language("en")
    version = "faulty-1"

    def __init__(self):
        self.tagged = []

    def work(self, items, *, alternatives=0):
        for item in items:
            text = item if isinstance(item, str) else " ".join(item)
            self.tagged.append(text)
            if "RAISE" in text:
                raise RuntimeError(f"told to fail by {text!r}")
            if "NAN" in text:
                raise RunError("the model's scores are not numbers: its weights are damaged")
            if found := re.search(r"SLEEP ([\d.]+)", text):
                time.sleep(float(found[1]))
            if found := re.search(r"STEPS (\d+)", text):
                for _ in range(int(found[1])):
                    time.sleep(0.05)
                    yield Progress("network")
            yield Progress("rows", len(text.split()))
        return [analysis(item) for item in items]


def analysis(item):
    if isinstance(item, str):
        places = [(match.group(), *match.span()) for match in WORD.finditer(item)]
    else:
        places = [(word, at, at + 1) for at, word in enumerate(item)]
    tokens = [TaggedToken(word, a, b, "B-PER" if word[0].isupper() else "O", 0.5) for word, a, b in places]
    return Result([Entity(t.start, t.end, "PER", t.text, 0.5) for t in tokens if t.tag != "O"], tokens, [])


def main():
    tagger, opened = CommandedTagger(), []
    serving = threading.main_thread().ident

    def note(event, arguments):
        # Only on the server's own thread, where a name in a request could become a path.
        if event in OPENING and threading.get_ident() == serving:
            opened.append(f"{event} {str(arguments[0])[:80]}")

    def build(settings):
        app = create_app(settings, tagger=tagger)

        @app.get("/faulty", include_in_schema=False)
        async def faulty():
            told = {"tagged": list(tagger.tagged), "opened": list(opened)}
            opened.clear()
            return told

        sys.addaudithook(note)
        return app

    server.create_app = build
    return server.serve(Settings.read())


if __name__ == "__main__":
    sys.exit(main())
