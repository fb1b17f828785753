"""How a contender is asked: a JSON object a line on its standard input, one a line on its standard output.

Each contender is a process of its own that stays alive between rounds. Only the standard library is used here, because
a peer runs this in its own virtual environment, which has nothing of ours.

    {"do": "tune", "way": "raw"}                                      look for the best settings
    {"do": "fresh"}                                                   load the model anew
    {"do": "pass", "way": "raw", "batch": "large", "copies": 11}      tag all, for the time it takes
    {"do": "found"}                                                   what the last pass found
    {"do": "memory"}                                                  bytes of resident memory
    {"do": "calls", "way": "raw", "count": 400}                       one sentence after another, each timed

``way`` is what is given: ``raw`` text or ``tokens``. ``batch`` is how: ``large``, all documents at once, in batches of
the contender's choice; or ``single``, one call for each sentence.
"""

import argparse
import gc
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

Words = list[str]
Place = tuple[int, int, str]
"""Start, end and label of an entity: characters of a text, or words of a sentence."""

_WARM_UP = 10  # calls


class Contender(ABC):
    """A tagger that can be asked. What it answers with is its own affair until it is asked for places."""

    def facts(self) -> dict[str, Any]:
        """What to know of it: versions, settings."""
        return {}

    def tune(self, way: str, items: Sequence[Any]) -> dict[str, Any]:
        """Choose settings for large batches; says which, and why."""
        return {}

    def fresh(self) -> None:
        """Load the model anew, so that nothing is remembered of any text."""
        raise NotImplementedError(f"{type(self).__name__} keeps its model")

    def prepare(self, way: str, items: list[Any]) -> Any:  # noqa: ANN401 - its own affair
        """What a large batch is handed over as; it is ready when the clock starts."""
        return items

    @abstractmethod
    def tokens(self, documents: Sequence[Sequence[Words]]) -> list[Any]:
        """Tag documents of sentences of words; one answer a sentence."""

    @abstractmethod
    def tokens_one(self, words: Words) -> Any:  # noqa: ANN401 - its own affair
        """Tag one sentence of words."""

    def raw(self, texts: Sequence[str]) -> list[Any]:
        """Tag texts; one answer a text."""
        raise NotImplementedError(f"{type(self).__name__} needs tokens")

    def raw_one(self, text: str) -> Any:  # noqa: ANN401 - its own affair
        """Tag one text."""
        raise NotImplementedError(f"{type(self).__name__} needs tokens")

    def places(self, answer: Any) -> list[Place]:  # noqa: ANN401 - its own affair
        """The entities of an answer. Asked when the clock is stopped."""
        found: list[Place] = answer
        return found


class Material:
    """What is to be tagged: documents of sentences of words, several times over.

    Every copy has strings of its own, as texts that come from outside do.
    """

    def __init__(self, file: Path, copies: int) -> None:
        content = json.loads(file.read_text(encoding="utf-8"))
        self._copies = [content["documents"]]
        self._copies += [json.loads(file.read_text(encoding="utf-8"))["documents"] for _ in range(copies - 1)]
        self._texts = [[" ".join(map(" ".join, document)) for document in copy] for copy in self._copies]
        self._sentences: list[Words] = content["calls"]

    def items(self, way: str, batch: str, copies: int) -> list[Any]:
        """Documents or texts for large batches; sentences, as words or as texts, for single calls."""
        if batch == "large":
            found: list[list[Any]] = self._texts if way == "raw" else self._copies
            return [item for copy in found[:copies] for item in copy]
        sentences = [words for copy in self._copies[:copies] for document in copy for words in document]
        return [" ".join(words) for words in sentences] if way == "raw" else sentences

    def calls(self, way: str) -> list[Any]:
        """The sentences whose calls are timed one by one."""
        return [" ".join(words) for words in self._sentences] if way == "raw" else self._sentences


def arguments(description: str | None, *names: str, optional: str = "") -> list[str]:
    """The arguments of a contender's command line; of the optional one, the empty string where it is left out."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        parser.add_argument(name)
    if optional:
        parser.add_argument(optional, nargs="?", default="")
    return list(vars(parser.parse_args()).values())


def serve(load: Callable[[], Contender], material: Material) -> None:
    """Load a contender, say so, and answer until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the log
    gc.collect()
    gc.freeze()  # the collector need not look at what is ours
    began = time.perf_counter()
    contender = load()
    ready = {"load_seconds": time.perf_counter() - began, **contender.facts()}
    out.write(json.dumps(ready) + "\n")
    responder = Responder(contender, material)
    for line in sys.stdin:
        out.write(json.dumps(responder.answer(json.loads(line))) + "\n")


class Responder:
    """Answers the questions of the protocol."""

    def __init__(self, contender: Contender, material: Material) -> None:
        self._contender = contender
        self._material = material
        self._last: Any = []

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Do as the protocol says."""
        ask = dict(question)
        answer: dict[str, Any] = getattr(self, f"_{ask.pop('do')}")(**ask)
        return answer

    def _tune(self, way: str) -> dict[str, Any]:
        return self._contender.tune(way, self._material.items(way, "large", 1))

    def _fresh(self) -> dict[str, Any]:
        began = time.perf_counter()
        self._contender.fresh()
        return {"seconds": time.perf_counter() - began}

    def _pass(self, way: str, batch: str, copies: int) -> dict[str, Any]:
        items: Any = self._material.items(way, batch, copies)
        self._last = []
        if batch == "large":
            items = self._contender.prepare(way, items)
        work = getattr(self._contender, way if batch == "large" else f"{way}_one")
        began = time.perf_counter()
        self._last = work(items) if batch == "large" else [work(item) for item in items]
        return {"seconds": time.perf_counter() - began}

    def _found(self) -> dict[str, Any]:
        return {"found": [self._contender.places(answer) for answer in self._last]}

    def _memory(self) -> dict[str, Any]:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return {"bytes": pages * os.sysconf("SC_PAGE_SIZE")}

    def _calls(self, way: str, count: int) -> dict[str, Any]:
        """The first calls are not told: they find the processor's caches full of others' work."""
        work, took = getattr(self._contender, f"{way}_one"), []
        for item in islice(cycle(self._material.calls(way)), count + _WARM_UP):
            began = time.perf_counter()
            work(item)
            took.append(1000 * (time.perf_counter() - began))
        return {"ms": took[_WARM_UP:]}
