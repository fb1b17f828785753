"""What the sequences share: two models and a broken one, the service, and the bytes that each version has to answer."""

import json
import re
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from benchmarks.stateful.service import NAME, Service, State
from fenestra.model.checkpoint import save
from tests.model.conftest import tame_model

GOOD, BROKEN = ("a", "b"), "broken"
"""Names of the folders."""
_TEXT = "Ada Lovelace met Siemens in Munich. Nobody met Ada ."
BODIES = {
    "text": {"text": _TEXT, "details": True},
    "texts": {"text": [_TEXT, "", "Munich"], "offsets": "utf16", "min_score": 0.2},
    "tokens": {"tokens": [["Ada", "met", "Munich", "."], ["met"]], "details": True, "alternatives": 2},
    "long": {"text": f"{_TEXT}\n\n" * 300},  # in several steps, so that something can happen in between
    "wide": {"tokens": ["Ada", "met"] * 1500, "details": True},  # an answer that fills the buffers of a slow reader
}
"""Requests that are fine."""
WRONG: dict[str, tuple[bytes, str]] = {
    "no JSON": (b'{"text":', "bad_json"),
    "no UTF-8": (b'{"text":"\xff"}', "bad_json"),
    "half a pair": (b'{"text":"\\ud800"}', "invalid_unicode"),
    "twice": (b'{"text":"a","text":"b"}', "unknown_or_duplicate_field"),
    "unknown field": (b'{"text":"a","txt":1}', "unknown_or_duplicate_field"),
    "no field": (b"{}", "invalid_request"),
    "unknown label": (b'{"text":"a","labels":["NOPE"]}', "invalid_request"),
    "unknown model": (b'{"text":"a","model":"nope"}', "not_found"),
    "deep": (b"[" * 5000, "bad_json"),
    "empty word": (b'{"tokens":[""]}', "invalid_request"),
}
"""Requests that are not, and the codes of their refusals."""
_STUCK_SECONDS = 5.0  # without becoming less
_TEMPERATURE = re.compile(rb'("temperature": ?)(\d)')


class World:
    """The service and what it has to answer."""

    def __init__(self, *, without: str = "") -> None:
        """Prepare; ``without`` names a safeguard to take away once the right answers are known."""
        self._without = without
        self._stack = ExitStack()
        self.restarts = 0

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="fenestra-models-")))
        self._write_models()
        self._link = self._folder / NAME
        self.put(GOOD[0])
        with Service(self._link) as service:
            self._learn(service)
        self.service = self._stack.enter_context(Service(self._link, without=self._without))
        self.look()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def put(self, folder: str) -> None:
        """Let the served folder be another one, as operators do: in one step."""
        draft = self._folder / "draft"
        draft.symlink_to(folder)
        draft.replace(self._link)

    def look(self) -> None:
        """Take what an idle service holds as the measure."""
        for name in ("text", "long"):
            self.service.get("/tag", "POST", json.dumps(BODIES[name]).encode())
        time.sleep(0.05)
        self.idle = self.service.state()

    def restart(self) -> None:
        """Start the service, which has ended."""
        self.service.start()
        self.restarts += 1
        self.look()

    def heal(self) -> None:
        """Kill the service and start it: after a violation nobody knows what it holds."""
        if self.service.pid:
            self.service.stop()
        self.put(GOOD[0])
        self.restart()

    def settled(self) -> State:
        """Wait until the service holds no more than when it was idle, or what it holds has not become less for long.

        Less than ever before: the connections of those that look at it come and go.
        """
        least, since = self.service.state(), time.monotonic()
        deepest = least.deepest
        while True:
            state = self.service.state()
            deepest = max(deepest, state.deepest)
            state = state._replace(deepest=0)
            if (less := State(*map(min, least, state))) != least:
                least, since = less, time.monotonic()
            if state == self.idle._replace(deepest=0) or time.monotonic() - since > _STUCK_SECONDS:
                return state._replace(deepest=deepest)
            time.sleep(0.005)

    def version(self) -> str:
        """Of the model that is served now."""
        return str(json.loads(self.service.get("/models")[1])["models"][0]["version"])

    def _write_models(self) -> None:
        model = tame_model()
        save(model, self._folder / GOOD[0])
        calibration = replace(model.calibration, temperature=1.7 * model.calibration.temperature)
        save(replace(model, calibration=calibration), self._folder / GOOD[1])
        broken = self._folder / BROKEN
        broken.mkdir()
        for path in (self._folder / GOOD[1]).iterdir():
            content = path.read_bytes()
            if path.name == "config.json":
                # Not shared by the good ones, or a mixture of folders could be one of them.
                content, changes = _TEMPERATURE.subn(_another_digit, content)  # still read, with other scores
                assert changes == 1
            (broken / path.name).write_bytes(content)

    def _learn(self, service: Service) -> None:
        """Ask everything of each version, one after another."""
        self.answers: dict[tuple[str, str], bytes] = {}
        self.version_of: dict[str, str] = {}
        for folder in GOOD:
            self.put(folder)
            status, _ = service.get(f"/models/{NAME}/reload", "POST", b"")
            assert status == 200
            for name, body in BODIES.items():
                status, answer = service.get("/tag", "POST", json.dumps(body).encode())
                assert status == 200, answer
                version = json.loads(answer)["model"]["version"]
                self.version_of[folder] = version
                self.answers[version, name] = answer
        assert len({*self.version_of.values()}) == len(GOOD)


def _another_digit(found: re.Match[bytes]) -> bytes:
    """The same number with another first digit."""
    return found[1] + (b"2" if found[2] == b"1" else b"1")
