"""What twenty corrections of one kind teach, and what they cost elsewhere: ``python -m benchmarks.learning``.

For each kind of ``benchmarks/learning.toml`` and each seed, the bundled model learns from twenty texts, as ``fenestra
learn`` does. Said are F1 on the texts themselves; on the probe, texts of the same kind with other names in other
sentence patterns; F1 elsewhere, on the development parts that the card of the bundled model names; what ``fenestra
learn`` estimates of that without their labels; and seconds of one core. Kinds marked * decided how it works. With
``--also FILE``, F1 on that annotated file, too: Russian has 304 sentences of development, where an entity is a tenth
of a point.

The corpora lie in ``--root``, as training/configs/english.toml and russian.toml describe it:

    python -m benchmarks.learning --root CORPORA [--kind "companies after at"] [--seeds 3] [--replay TEXT.txt]
    python -m benchmarks.learning --root CORPORA --model russian --also CORPORA/wikineural_ru/test.conll.gz
"""

import argparse
import json
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_model
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config
from fenestra.training.data.corpus import Corpus, read_corpora, read_corpus
from fenestra.training.data.spans import spans
from fenestra.training.fit.score import f1_of_spans
from fenestra.training.learn.figures import points_lost, score_of, spans_of
from fenestra.training.learn.job import write_job
from fenestra.training.learn.learn import finished, plan, read_corrections, train

FILE = Path(__file__).with_suffix(".toml")
JOBS = Path(__file__).parents[1] / "training" / "configs"
_MARKED = re.compile(r"\[(\w+) ([^]]+)\]")


def main() -> int:
    """Print a line for each kind and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--kind", action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--model", choices=("english", "russian"))
    parser.add_argument("--also", type=Path)
    options = parser.parse_args()
    if not options.root.is_dir():
        print(f"no corpora: {options.root} is no folder, so nothing is measured", file=sys.stderr)
        return 0
    if options.also and not (options.model and options.also.is_file()):
        parser.error("--also: expected a file, and --model, whose language it is in")
    names = [options.model] if options.model else ["english", "russian"]
    subjects = {name: Subject(name, options.root, options.also) for name in names}
    also = f"{options.also.name:22}  " if options.also else ""
    print(f"{'kind':32} seed  texts         probe         elsewhere              {also}estimated  seconds")
    for kind in tomllib.loads(FILE.read_text(encoding="utf-8"))["kinds"]:
        if kind["model"] in names and (options.kind is None or kind["name"] in options.kind):
            for seed in range(1, options.seeds + 1):
                print(lesson(subjects[kind["model"]], kind, seed, options.replay), flush=True)
    return 0


@dataclass
class Subject:
    """A bundled model, and the text that it must not forget."""

    name: str
    root: Path
    also: Path | None

    @cached_property
    def tagger(self) -> Tagger:
        """The model before."""
        return Tagger.load(bundled_model(self.name), device="cpu", threads=1)

    @cached_property
    def elsewhere(self) -> list[Corpus]:
        """The development parts of its job, and the other file."""
        config = load_config(JOBS / f"{self.name}.toml", [f"data.root={self.root}"])
        found = [read_corpora(config.data.dev, config.data, config.model.labels).canonical()]
        if self.also:
            found.append(read_corpus(self.also, language=self.tagger.language.code).canonical())
        return found

    @cached_property
    def before(self) -> list[float]:
        """F1 on each, in points."""
        return self.f1(self.tagger)

    def f1(self, tagger: Tagger) -> list[float]:
        """F1 of a model on each, of the labels that the first model has."""
        known = frozenset(self.tagger.labels)
        scores = []
        for corpus in self.elsewhere:
            gold = [[span for span in spans(sentence.tags) if span.label in known] for sentence in corpus.sentences]
            found = [[span for span in some if span.label in known] for some in spans_of(tagger, corpus.sentences)]
            scores.append(100 * f1_of_spans(gold, found).f1)
        return scores


def lesson(subject: Subject, kind: dict[str, Any], seed: int, replay: Path | None) -> str:
    """Learn one kind with one seed; the line that says how it went."""
    subject.before  # noqa: B018 - before the clock runs
    start, old = checkpoint.load(bundled_model(subject.name)), subject.tagger
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts, probe = (write(folder / f"{part}.jsonl", texts_of(kind, part)) for part in ("", "probe_"))
        given, asked = (read_corrections(path, start, lambda _: None) for path in (texts, probe))
        begun = time.process_time()
        what, labels = plan(start, old, given, replay, seed)
        config = write_job(folder, start, bundled_model(subject.name), labels, what, seed)
        new = finished(config, *train(config))
        seconds = time.process_time() - begun
    estimate = -(points_lost(old, new, what.elsewhere) or 0.0)
    lost = "  ".join(
        f"{before:.2f} → {after:.2f} {after - before:+.2f}"
        for before, after in zip(subject.before, subject.f1(new), strict=True)
    )
    return (
        f"{kind['name'] + ' *' * kind['decides']:32} {seed:4}  {_both(old, new, given)}  {_both(old, new, asked)}  "
        f"{lost}  {estimate:+9.2f}  {seconds:7.1f}"
    )


def _both(old: Tagger, new: Tagger, sentences: Any) -> str:  # noqa: ANN401
    before, after = (100 * score_of(tagger, sentences).f1 for tagger in (old, new))
    return f"{before:4.1f} → {after:5.1f}"


def texts_of(kind: dict[str, Any], part: str) -> Iterator[dict[str, Any]]:
    """The texts that teach a kind, twenty, or those that probe it: every name in every context."""
    contexts, names = kind[f"{part}contexts"], kind[f"{part}names"]
    if part:
        pairs = [(context, name) for context in contexts for name in names]
    else:
        pairs = [(contexts[number % len(contexts)], name) for number, name in enumerate(names)]
    for context, name in pairs:
        yield annotated(context.replace("{}", f"[{kind['label']} {name}]"))


def annotated(marked: str) -> dict[str, Any]:
    """A text with ``[LABEL name]`` in it, as a correction; the label O marks nothing."""
    text, end, entities = "", 0, []
    for match in _MARKED.finditer(marked):
        text += marked[end : match.start()]
        if match[1] != "O":
            entities.append({"start": len(text), "end": len(text) + len(match[2]), "label": match[1]})
        text, end = text + match[2], match.end()
    return {"text": text + marked[end:], "entities": entities}


def write(path: Path, texts: Iterator[dict[str, Any]]) -> Path:
    """Write texts, one a line."""
    path.write_text("".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
