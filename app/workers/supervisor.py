"""The supervisor: forks the workers, replaces those that end, and keeps what holds for all of them.

It has no event loop and no thread, so that it can fork at any time. It loads the models before it forks, and again at a
reload, so that each worker begins with the models that all the others serve, whatever their folders hold by then; what
is loaded before the fork is in memory once.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

from fenestra.app.engine.heap import release_memory
from fenestra.app.engine.models import ServedModel, check_label_map, freeze_objects, open_model, read_model
from fenestra.app.errors import frames, log
from fenestra.app.learning.lineage import is_learning, serving
from fenestra.app.middleware.rate_limit import MAX_WINDOWS
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings
from fenestra.app.workers.channel import Channel, Message
from fenestra.app.workers.link import SupervisorLink
from fenestra.app.workers.rate_windows import SharedWindowStorage
from fenestra.app.workers.reloads import Reloads
from fenestra.app.workers.scrapes import Scrapes
from fenestra.app.workers.shared import Locks, Shares
from fenestra.app.workers.worker_process import Asker, Start, Worker
from fenestra.model.progress import no_pause

_BACKLOG = 2048
_TICK_SECONDS = 1.0
_START_SECONDS = 60.0
"""How long a worker may take until it can accept connections."""
_LEAST_SILENCE = 3
"""Pings in a row, one a second, that a worker may leave unanswered; or as many as the model has seconds."""
_SHORT_LIFE_SECONDS = 10.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 10.0
_STOP_MARGIN_SECONDS = 6.0
"""Of a stop, for the backlog, for the last traces, and for a busy machine."""
_FORCED_SECONDS = 3.0
_RENEW_SECONDS = 2.0
"""How long no model has been replaced before workers are."""
_SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD


class Supervisor:
    """Runs the workers until a signal ends them."""

    def __init__(self, settings: Settings, listener: socket.socket, locks: Locks) -> None:
        """Load the models.

        Args:
            settings: of the service.
            listener: bound, and not listening yet.
            locks: of the service.

        Raises:
            FenestraError: a model cannot be loaded.
        """
        self._settings = settings
        self._listener = listener
        listener.setblocking(False)
        self.metrics = Metrics()
        """Of the supervisor itself."""
        self.metrics.workers(0)
        self._open = partial(open_model, settings=settings, pause=no_pause)
        now = [serving(settings, served.name) for served in settings.served]
        self._models = {served.name: read_model(served, None, self._open) for served in now}
        check_label_map(settings, self._models)
        for model in self._models.values():
            log.info("model %s %s is ready", model.name, model.version)
        self._windows = SharedWindowStorage(MAX_WINDOWS, locks.limits) if settings.rate_limit else None
        self._shares = Shares(settings.workers + 2)  # one more that begins, and the one that ends then
        self._workers: dict[int, Worker] = {}  # by process id
        self._reloads = Reloads(self.metrics, self._models, self._read_again, self._kill)
        self._scrapes = Scrapes(self.metrics)
        self._serving = False  # whether all workers have started once
        self._stopping = False
        self._exit_code = 0
        self._stop_by = 0.0
        self._next_tick = 0.0
        self._short_lives = 0  # workers in a row that ended soon
        self._start_after = 0.0
        self._renew_after = 0.0
        self._caught: list[int] = []
        self._interrupted = False
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    def run(self, work: Callable[[Start], int]) -> int:
        """Serve until SIGTERM or SIGINT.

        Args:
            work: what a worker does; returns its exit code.

        Returns:
            0 after SIGTERM; 1 if a second signal, or the end of its time, cut requests off; or the exit code of a
            worker that could not start when the service did.

        Raises:
            KeyboardInterrupt: after SIGINT.
        """
        self._work = work
        freeze_objects()
        before = self._catch_signals()
        self._selector.register(self._woken, selectors.EVENT_READ)
        try:
            while self._workers or not self._stopping:
                self._fork_missing()
                self._wait()
                self._heed_signals()
                self._reap()
                self._reloads.go_on(self._workers.values())
                self._scrapes.go_on(self._workers.values())
                self._on_time()
        finally:
            self._selector.close()
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._interrupted:
            raise KeyboardInterrupt
        return self._exit_code

    # ── waiting, and what is said ──

    def _wait(self) -> None:
        """Wait for a message, a signal or the next moment at which something is due, and read what has come."""
        due = [self._next_tick]
        if (end := self._scrapes.end) is not None:
            due.append(end)
        if self._missing:
            due.append(self._start_after)
        for worker in self._workers.values():
            if worker.channel.socket in self._selector.get_map():
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.has_unsent else 0)
                self._selector.modify(worker.channel.socket, events, worker)
        for key, events in self._selector.select(max(min(due) - time.monotonic(), 0.0)):
            if key.data is None:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
            else:
                if events & selectors.EVENT_WRITE:
                    key.data.channel.flush()
                if events & selectors.EVENT_READ:
                    self._read(key.data)

    def _read(self, worker: Worker) -> bool:
        """Read what a worker says; returns whether there may be more."""
        messages = worker.channel.receive()
        if messages is None and worker.channel.socket in self._selector.get_map():
            self._selector.unregister(worker.channel.socket)  # it ends, and its exit code follows
        for message in messages or ():
            self._heed(worker, message)
        return bool(messages)

    def _heed(self, worker: Worker, message: Message) -> None:
        """Note what a worker tells, or do what it asks for."""
        told = message["told"]
        if told == "alive":
            worker.silent = 0
        elif told == "started":
            worker.started = True
            self._let_accept(worker)
        elif told == "unwanted":
            worker.unwanted = True
        elif told == "metrics":
            self._scrapes.told(worker, message["families"], message.get("round"))
        elif told == "scrape":
            self._scrapes.ask(Asker(worker.channel, message["number"]))
        elif told == "reload":
            self._reloads.ask(message["model"], Asker(worker.channel, message["number"]), self._workers.values())
        elif told == "loaded":
            self._reloads.loaded(
                worker, message["round"], message["model"], message["version"], message.get("reason")
            )  # fmt: skip
        elif told == "switched":
            self._reloads.switched(worker, message["round"], message["model"])

    def _let_accept(self, worker: Worker) -> None:
        """Let a worker that has started accept connections; at the start of the service, all when the last one has."""
        if self._stopping:
            return
        if self._serving:
            worker.channel.send({"do": "accept"})
            if (old := worker.replaces) is not None:
                worker.replaces, old.retiring = None, True
                old.channel.send({"do": "retire"})
        elif not self._missing and all(other.started for other in self._workers.values()):
            self._serving = True
            self._listener.listen(_BACKLOG)
            for other in self._workers.values():
                other.channel.send({"do": "accept"})
            log.info("%d workers serve", len(self._workers))

    # ── the workers ──

    @property
    def _missing(self) -> int:
        """How many workers are to be forked."""
        if self._stopping:
            return 0
        there = sum(not worker.retiring and worker.replaces is None for worker in self._workers.values())
        return self._settings.workers - there

    def _fork_missing(self) -> None:
        """Fork the workers that are missing, and one for a worker that is to be replaced."""
        now = time.monotonic()
        while self._missing and now >= self._start_after and self._fork(None):
            pass
        replaced = any(worker.retiring or worker.replaces for worker in self._workers.values())
        if not self._serving or self._stopping or self._missing or replaced or now < self._start_after:
            return
        unwanted = [worker for worker in self._workers.values() if worker.unwanted]
        if not unwanted and now >= self._renew_after and not self._reloads.busy:
            unwanted = [worker for worker in self._workers.values() if worker.generation < self._reloads.generation]
            if unwanted and is_learning(self._settings):  # what a worker learns would end with it
                self._renew_after = now + _RENEW_SECONDS
                return
        if unwanted:
            self._fork(unwanted[0])

    def _fork(self, replaces: Worker | None) -> bool:
        """Fork a worker, which takes the place of another one if there is one; returns whether that is possible now."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            return self._postpone(error)
        place = min(set(range(self._settings.workers + 2)) - {worker.place for worker in self._workers.values()})
        watches = replaces is None and not any(worker.watches for worker in self._workers.values())
        watches = watches or bool(replaces and replaces.watches)
        try:
            pid = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            return self._postpone(error)
        if not pid:
            self._become_worker(theirs, ours, place, watches=watches)
        theirs.close()
        worker = Worker(pid, place, Channel(ours), time.monotonic(), self._reloads.generation, watches, replaces)
        self._workers[pid] = worker
        self._selector.register(ours, selectors.EVENT_READ, worker)
        self._reloads.forked(worker)
        return True

    def _postpone(self, error: OSError) -> bool:
        """Begin no worker for a while: the system has no room for one."""
        log.error("no worker can be started: %s", error.strerror)
        self._start_after = time.monotonic() + _LONGEST_PAUSE_SECONDS
        return False

    def _become_worker(self, end: socket.socket, other_end: socket.socket, place: int, *, watches: bool) -> None:
        """Do a worker's work in a process that was just forked, and end it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            for number in (signal.SIGINT, signal.SIGHUP):  # the supervisor gets them, too, and says what to do
                signal.signal(number, signal.SIG_IGN)
            self._selector.close()
            other_ends = [other_end, self._woken, self._waker]
            for held in (*other_ends, *(worker.channel.socket for worker in self._workers.values())):
                held.close()
            link = SupervisorLink(end, self._models, watches=watches)
            code = self._work(Start(self._listener, link, self._shares, place, self._windows))
        except BaseException as error:
            log.critical("the worker ended with %s", frames(error))
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Notice which workers have ended."""
        for worker in tuple(self._workers.values()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                while self._read(worker):  # what it said before it ended
                    pass
                if worker.channel.socket in self._selector.get_map():
                    self._selector.unregister(worker.channel.socket)
                del self._workers[pid]
                worker.channel.socket.close()
                self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: Worker, code: int) -> None:
        """Go on without a worker, until another one takes its place."""
        self._shares.leave(worker.place)
        self._reloads.ended(worker)
        self._scrapes.ended(worker)
        for other in self._workers.values():
            if other.replaces is worker:
                other.replaces = None
        if worker.retiring or self._stopping:
            return
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        if not self._serving:
            log.critical("worker %d could not start: %s", worker.pid, how)
            self._exit_code = code if code > 0 else 1
            self._stop(signal.SIGTERM)
            return
        now = time.monotonic()
        self._short_lives = self._short_lives + 1 if now - worker.born < _SHORT_LIFE_SECONDS else 0
        pause = (
            min(_FIRST_PAUSE_SECONDS * 2**self._short_lives, _LONGEST_PAUSE_SECONDS) if self._short_lives > 1 else 0.0
        )
        self._start_after = now + pause
        log.error("worker %d ended with %s; another one takes its place in %.1f s", worker.pid, how, pause)
        if worker.replaces is None:
            self.metrics.worker_restarted()

    def _kill(self, worker: Worker) -> None:
        """End a worker that does not do what it should; its place is taken by another one."""
        log.error("worker %d does not answer", worker.pid)
        os.kill(worker.pid, signal.SIGKILL)

    def _read_again(self, model: ServedModel) -> ServedModel:
        """Load a model anew, for the workers to come."""
        new = read_model(serving(self._settings, model.name), model.tagger, self._open)
        freeze_objects()
        release_memory()
        self._renew_after = time.monotonic() + _RENEW_SECONDS
        return new

    # ── time and signals ──

    def _on_time(self) -> None:
        """Once a second, see whether the workers are alive; and end a stop that takes too long."""
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + _TICK_SECONDS
        for worker in self._workers.values():
            late = not worker.started and now > worker.born + _START_SECONDS
            if late or worker.silent >= max(self._settings.stuck_seconds, _LEAST_SILENCE):
                self._kill(worker)
            elif worker.started:
                worker.silent += 1
                worker.channel.send({"do": "ping"})
        if self._stopping and now > self._stop_by:
            self._exit_code = self._exit_code or 1
            for worker in self._workers.values():
                self._kill(worker)

    def _catch_signals(self) -> dict[int, Any]:
        """Note signals from now on; returns the handlers before."""

        def note(number: int, _frame: FrameType | None) -> None:
            self._caught.append(number)

        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        return {number: signal.signal(number, note) for number in _SIGNALS}

    def _heed_signals(self) -> None:
        """Do what signals ask for."""
        while self._caught:
            number = self._caught.pop(0)
            if number == signal.SIGHUP and self._serving and not self._stopping:
                log.info("SIGHUP: all models are loaded again")
                self._reloads.ask_all(self._workers.values())
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._interrupted = self._interrupted or number == signal.SIGINT
                self._stop(number)

    def _stop(self, number: int) -> None:
        """Stop all workers, gracefully; the second time, at once."""
        now = time.monotonic()
        if self._stopping:
            self._exit_code = self._exit_code or 1
            self._stop_by = now + _FORCED_SECONDS
        else:
            self._stop_by = now + self._settings.drain_seconds + self._settings.grace_seconds + _STOP_MARGIN_SECONDS
            self._listener.close()  # the workers' copies are the last ones
        self._stopping = True
        for worker in self._workers.values():
            worker.channel.send({"do": "stop", "signal": number})
