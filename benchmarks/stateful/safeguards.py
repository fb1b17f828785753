"""Safeguards of the service, taken away one at a time: ``python -m benchmarks.stateful.safeguards``.

Prints after how many random sequences each absence is noticed. Exits with 1 if one is not, within ``--sequences``.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Safeguard(NamedTuple):
    """One of them."""

    what: str
    remove: Callable[[], None]
    """Takes it away from the process that it is called in, before that serves."""


def _queue_limit() -> None:
    from fenestra.app.engine.inference import Inference

    Inference._check_room = lambda self, job: None  # type: ignore[method-assign]
    Inference.full = property(lambda self: False)  # type: ignore[assignment, method-assign]


def _queue_clean_up() -> None:
    from fenestra.app.engine.inference import Inference

    cancel = Inference.cancel
    Inference.cancel = lambda self, job: None if job.gone() else cancel(self, job)  # type: ignore[method-assign]


def _deliver_to_those_left() -> None:
    from fenestra.app.engine.inference import Inference

    def deliver(self: Inference, answers: Any) -> None:  # noqa: ANN401
        for job, answer in answers:
            if job.gone():
                raise RuntimeError("nobody waits for this answer")
            self._answer(job, answer)

    Inference._deliver = deliver  # type: ignore[method-assign]


def _wake_waiters() -> None:
    from fenestra.app.engine.inference import Inference

    Inference._wake_waiters = lambda self, count: None  # type: ignore[method-assign]


def _own_model() -> None:
    from fenestra.app.engine.models import Models

    get = Models.get

    class Late:
        """A model whose version is that of the one that is served when it is asked for."""

        def __init__(self, models: Models, name: str | None) -> None:
            self._models, self._name = models, name
            found = get(models, name)
            self.name, self.tagger, self.labels, self.folder = found.name, found.tagger, found.labels, found.folder

        @property
        def version(self) -> str:
            return get(self._models, self._name).version

    Models.get = lambda self, name=None: Late(self, name)  # type: ignore[method-assign, assignment, return-value]


def _checksums() -> None:
    from fenestra.model.manifest import Files

    def read(self: Files, name: str, pieces: Iterable[memoryview]) -> None:
        for _ in pieces:
            self._pause()

    Files.check_sum = read  # type: ignore[method-assign]


def _pipeline_order() -> None:
    from fenestra.app.http.pipeline import Pipeline

    def start(self: Pipeline, exchange: Any) -> bool:  # noqa: ANN401
        self.current = exchange
        return True

    Pipeline.start = start  # type: ignore[method-assign]


def _disconnect() -> None:
    from fenestra.app.http.connection import Connection

    Connection._disconnect = lambda self: None  # type: ignore[method-assign]


def _registry() -> None:
    from fenestra.app.http.registry import ConnectionRegistry

    ConnectionRegistry.remove = lambda self, connection: None  # type: ignore[method-assign]


def _last_answer() -> None:
    from fenestra.app.http import refusals

    refusals._CLOSE.clear()


def _stop_waits() -> None:
    from fenestra.app.server import Server

    async def wait(self: Server, seconds: float, done: Callable[[], bool]) -> None:
        return

    Server._wait = wait  # type: ignore[method-assign]


def _half_pairs() -> None:
    from fenestra.app.api import json_body

    json_body._has_lone_surrogate = lambda value: False


def _half_close() -> None:
    from fenestra.app.http.connection import Connection

    def end_input(self: Connection) -> bool:
        self._disconnect()
        return False

    Connection.end_input = end_input  # type: ignore[method-assign]


def _fresh_reload() -> None:
    from fenestra.app.engine.reloads import Reloads

    answer = Reloads._answer

    async def answer_latecomers(self: Any, name: str, waiters: list[Any]) -> None:  # noqa: ANN401
        load = self._reload

        async def load_and_share(name: str) -> Any:  # noqa: ANN401
            try:
                return await load(name)
            finally:
                waiters.extend(self._waiting.pop(name, []))

        self._reload = load_and_share
        try:
            await answer(self, name, waiters)
        finally:
            self._reload = load

    Reloads._answer = answer_latecomers  # type: ignore[method-assign]


def _hang_up_signal() -> None:
    from fenestra.app.engine.service import Service

    Service.reload_all = lambda self: None  # type: ignore[method-assign]


SAFEGUARDS = {
    "queue-limit": Safeguard("a request is refused when the queue is full", _queue_limit),
    "queue-clean-up": Safeguard("a request whose client has gone leaves the queue", _queue_clean_up),
    "waiting-lines": Safeguard("lines of streams that wait for room are woken", _wake_waiters),
    "gone-in-a-batch": Safeguard("answers to clients that have gone stop no others", _deliver_to_those_left),
    "own-model": Safeguard("a request keeps the model that it began with", _own_model),
    "checksums": Safeguard("a reload compares the files with their checksums", _checksums),
    "pipeline-order": Safeguard("answers of a connection come in the order of its requests", _pipeline_order),
    "disconnect": Safeguard("the work for a client ends when it hangs up", _disconnect),
    "registry": Safeguard("a connection that has ended is forgotten", _registry),
    "last-answer": Safeguard("a refusal that ends the connection says so", _last_answer),
    "stop-waits": Safeguard("a stop waits for requests in progress", _stop_waits),
    "half-close": Safeguard("a client that sends no more is still answered", _half_close),
    "fresh-reload": Safeguard("a reload answers only those who asked before it began", _fresh_reload),
    "SIGHUP": Safeguard("SIGHUP reloads the models", _hang_up_signal),
    "half-pairs": Safeguard("a string that is no Unicode is refused", _half_pairs),
}  # fmt: skip


def main() -> int:
    """Return 0 if every absence was noticed."""
    from benchmarks.stateful.run import run  # which imports this file

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="python -m benchmarks.stateful.safeguards",
    )  # fmt: skip
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(SAFEGUARDS), action="append")
    options = parser.parse_args()
    missed, names = 0, options.only or list(SAFEGUARDS)
    print(f"{'safeguard':16} {'sequences':>9} {'seconds':>8}  noticed by", flush=True)
    for name in names:
        began = time.monotonic()
        found = run(options.sequences, options.steps, options.seed, without=name)
        told = found.violation.splitlines()[0][:110] if found.violation else "NOT NOTICED"
        missed += not found.violation
        print(f"{name:16} {found.sequences:9} {time.monotonic() - began:8.0f}  {told}", flush=True)
    print(f"{len(names) - missed} of {len(names)} safeguards are noticed within {options.sequences} sequences")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
