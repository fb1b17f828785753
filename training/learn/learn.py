"""From a model and corrections to a new model, in the order in which things happen.

The old model is only read. The new one is written when all is known of it, and not at all if it forgot too much.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch

from fenestra.model import checkpoint
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.errors import DataError, InputError
from fenestra.model.tagger import Tagger
from fenestra.training import job
from fenestra.training.config import RunConfig, VectorsConfig
from fenestra.training.data.corpus import read_corpus
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.spans import Span, spans, write_tags
from fenestra.training.fit.loop import Progress, fit
from fenestra.training.fit.score import f1_of_spans
from fenestra.training.learn.card import described
from fenestra.training.learn.figures import Change, Elsewhere, Figures, points_lost, score_of, spans_of
from fenestra.training.learn.job import Lesson, with_new_labels, write_job
from fenestra.training.learn.replay import replay
from fenestra.training.output import claimed, draft_folder, put_in_place
from fenestra.training.vectors.vectors import load_vectors

BOUND = 0.5
"""F1 points that a new model may lose elsewhere."""
LEARNED = "learned.json"
"""The figures of a learning, in the folder that it made."""
_LEAST_HELD_OUT = 8  # corrected texts from which some are held out
_FOLDS = 2
_CACHE_MB = 40  # of a tagger; there are a few

Tell = Callable[[str], object]
"""Called with what is being done, in a few words."""


class Forgot(InputError):
    """The new model lost more elsewhere than it may; it is not written."""

    def __init__(self, figures: Figures) -> None:
        lost, bound = figures.elsewhere.lost, figures.elsewhere.bound
        super().__init__(f"the new model lost {lost or 0:.2f} F1 points on other text, and {bound:g} are allowed")
        self.figures = figures


def learn(
    corrections: Path,
    source: Path,
    output: Path,
    *,
    replay_file: Path | None = None,
    seed: int = 1,
    force: bool = False,
    bound: float = BOUND,
    overwrite: bool = False,
    tell: Tell = lambda _: None,
    remark: Tell = lambda _: None,
    **reading: Any,  # noqa: ANN401 - of read_corpus
) -> Figures:
    """Make a model that has learnt from corrections.

    Args:
        corrections: annotated texts, in any format of corpora.
        source: folder of the model to go on from.
        output: folder of the new one.
        replay_file: text of the kind that the model is used on, against forgetting; see ``replay.py``.
        seed: of all that is drawn.
        force: write the new model even if it forgot too much.
        bound: F1 points that it may lose elsewhere.
        overwrite: if ``output`` holds a checkpoint, replace it.
        tell: is called with each step.
        remark: is called with what is odd about the corrections, in their words.
        reading: fields of :class:`fenestra.training.config.ReadingConfig`.

    Raises:
        Forgot: with the figures; nothing is written.
        InputError: corrections, model or text cannot be used, or the folder is taken.
        RunError: training diverged, or the disk refused.
    """
    torch.set_num_threads(1)
    with claimed(output, resume=False, overwrite=overwrite) as work, job.rare_garbage_collection():
        start = checkpoint.load(source)
        old = Tagger(start, folder=source, device="cpu", threads=1, cache_mb=_CACHE_MB)
        given = read_corrections(corrections, start, remark, **reading)
        lesson, labels = plan(start, old, given, replay_file, seed)
        held_out = _held_out(work, start, source, labels, lesson, seed, tell, old)
        tell("learning")
        config = write_job(work, start, source, labels, lesson, seed)
        inputs, progress = train(config)
        new = finished(config, inputs, progress)
        tell("checking")
        new.self_test()
        learned = Change(score_of(old, given), score_of(new, given))
        elsewhere = Elsewhere(len(lesson.elsewhere), points_lost(old, new, lesson.elsewhere), bound)
        figures = Figures(documents(given), tuple(labels), learned, held_out, elsewhere)
        if elsewhere.lost is not None and elsewhere.lost > bound and not force:
            raise Forgot(figures)
        extra = {LEARNED: json.dumps(figures.to_json(), indent=1) + "\n"}
        name, description = described(source, start, figures)
        card = replace(config, name=name, description=description)
        seconds = sum(epoch.seconds for epoch in progress.epochs)
        private = ("train",) if lesson.elsewhere else ("train", "dev")  # else dev is the corrections themselves
        job.publish(card, inputs, [progress], draft_folder(work), seconds=seconds, extra=extra, private=private)
        put_in_place(work, output, overwrite=overwrite)
    return figures


def read_corrections(path: Path, start: Checkpoint, remark: Tell, **reading: Any) -> list[Sentence]:  # noqa: ANN401
    """Read corrections as a corpus in the language of the model.

    Raises:
        DataError: the file cannot be read, or holds nothing.
    """
    corpus = read_corpus(path, **{"language": start.lexicon.language.code, **reading}).canonical()
    for note in corpus.notes:
        remark(note)
    if not corpus.sentences:
        raise DataError(f"{path}: holds no corrections")
    return list(corpus.sentences)


def plan(
    start: Checkpoint, old: Tagger, given: Sequence[Sentence], file: Path | None, seed: int
) -> tuple[Lesson, list[str]]:
    """What to learn and what to replay, and the labels of the new model."""
    text = replay(start, file, Random(seed))
    known = {sentence.words for sentence in given}
    parts = (text.learnt, text.asked)
    learnt, asked = (_as_tagged(old, [s for s in some if s.words not in known]) for some in parts)
    new = sorted({span.label for sentence in given for span in spans(sentence.tags)})
    return Lesson(given, learnt, asked, text.written), with_new_labels(start.config.labels, new)


def _as_tagged(tagger: Tagger, sentences: Sequence[Sentence]) -> list[Sentence]:
    """The same sentences with the tags that a model gives them."""
    return [
        sentence._replace(tags=tuple(write_tags(found, len(sentence.words))))
        for sentence, found in zip(sentences, spans_of(tagger, sentences), strict=True)
    ]


def train(config: RunConfig) -> tuple[job.Inputs, Progress]:
    """Train a job that begins with a model."""
    corpora = job.read(config)
    vectors = load_vectors(VectorsConfig(source=config.training.start if config.model.features.vectors else "none"))
    inputs = job.prepare(config, corpora, vectors)
    device = torch.device("cpu")
    progress, stream, dev = job.begin(config, inputs, device)
    for _ in fit(progress, stream, dev, config, device):
        pass
    return inputs, progress


def finished(config: RunConfig, inputs: job.Inputs, progress: Progress) -> Tagger:
    """The tagger of a network that is trained, its weights rounded as they will be stored."""
    network = inputs.network
    network.load_state_dict({**network.state_dict(), **progress.best})
    job.round_weights(network, config.model.weights)
    tagger = job.calibrated(config, inputs, network)[1]
    assert isinstance(tagger, Tagger)
    return tagger


def _held_out(
    work: Path,
    start: Checkpoint,
    source: Path,
    labels: Sequence[str],
    lesson: Lesson,
    seed: int,
    tell: Tell,
    old: Tagger,
) -> Change | None:
    """Scores on corrections that were not learnt from: each text is held out once, with half of the others."""
    if documents(lesson.corrections) < _LEAST_HELD_OUT:
        return None
    asked: list[Sentence] = []
    found: list[list[Span]] = []
    for number, (others, some) in enumerate(folds(lesson.corrections, _FOLDS, seed), start=1):
        tell(f"held out, {number} of {_FOLDS}")
        with tempfile.TemporaryDirectory(dir=work) as folder:
            config = write_job(Path(folder), start, source, labels, replace(lesson, corrections=others), seed)
            found += spans_of(finished(config, *train(config)), some)
        asked += some
    return Change(score_of(old, asked), f1_of_spans([spans(sentence.tags) for sentence in asked], found))


def folds(sentences: Sequence[Sentence], count: int, seed: int) -> Iterator[tuple[list[Sentence], list[Sentence]]]:
    """So many times all sentences but those of some documents, and these; each document is held out once."""
    numbers = list(dict.fromkeys(sentence.document for sentence in sentences))
    Random(seed).shuffle(numbers)
    for place in range(count):
        some = set(numbers[place::count])
        yield [s for s in sentences if s.document not in some], [s for s in sentences if s.document in some]


def documents(sentences: Sequence[Sentence]) -> int:
    """How many texts these are the sentences of."""
    return len({sentence.document for sentence in sentences})
