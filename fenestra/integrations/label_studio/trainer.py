"""One training at a time, in the background; a project that is asked for again meanwhile gets its turn once more."""

import threading
from collections.abc import Callable


class Trainer:
    """A thread that works off projects to be trained, each once however often it was asked for."""

    def __init__(self, train: Callable[[str, threading.Event], None]) -> None:
        """Set up.

        Args:
            train: trains a project; never raises, and returns soon after the event is set.
        """
        self._train = train
        self._wanted: dict[str, None] = {}
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.running: str | None = None
        """The project that is being trained."""
        self._thread = threading.Thread(target=self._work, name="training", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def ask(self, project: str) -> None:
        """Train a project as soon as those asked for before are done."""
        with self._changed:
            self._wanted[project] = None
            self._changed.notify_all()

    def state(self, project: str) -> str:
        """``running``, ``waiting`` or ``idle``."""
        with self._changed:
            waits = "waiting" if project in self._wanted else "idle"
            return "running" if self.running == project else waits

    def close(self) -> None:
        """End the training that runs, and wait for that."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._stop.is_set())
                if self._stop.is_set():
                    return
                self.running = next(iter(self._wanted))
                del self._wanted[self.running]
            self._train(self.running, self._stop)
            with self._changed:
                self.running = None
                self._changed.notify_all()
