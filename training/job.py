"""One training job from a configuration to a checkpoint, in the order in which things happen."""

import gc
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fenestra.model import checkpoint
from fenestra.model.checkpoint import Arrays, Checkpoint
from fenestra.model.config import Weights
from fenestra.model.decode.calibration import Calibration
from fenestra.model.errors import ConfigError, InputError, TrainingDiverged
from fenestra.model.tagger import Tagger
from fenestra.model.tags import OUTSIDE
from fenestra.model.text.canonical import canonical
from fenestra.model.text.language import language
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.config import RunConfig, VectorsConfig, differences, publishable_config
from fenestra.training.data.augmentation import (
    Change,
    augmented,
    bare,
    fragment,
    headline,
    in_foreign_text,
    renamed,
    with_initials,
)
from fenestra.training.data.contexts import Contexts
from fenestra.training.data.corpus import Corpus, documents_of, read_corpora
from fenestra.training.data.gazetteers import ReferenceWorks, load_reference, read_names
from fenestra.training.data.lexicon import build_lexicon, is_contact
from fenestra.training.data.long_columns import long_columns_in
from fenestra.training.data.names import Names, usual_label
from fenestra.training.data.packed import PackedSentences, join_sentences, pack_sentences
from fenestra.training.data.perturbations import VARIANTS, isolated_one_by_one, lower, packed_variant
from fenestra.training.data.stream import Stream
from fenestra.training.data.titles import titles_outside
from fenestra.training.data.unlabelled import read_unlabelled
from fenestra.training.device import resolve_device
from fenestra.training.fit.batches import TaggedStream, varied_shares
from fenestra.training.fit.calibrate import Output, calibration_of, fit_calibration
from fenestra.training.fit.distillation import (
    Teacher,
    check_teachers,
    load_teachers,
    network_probabilities,
    teacher_probabilities,
)
from fenestra.training.fit.epoch import Epoch
from fenestra.training.fit.loop import Progress, fit
from fenestra.training.fit.recurrent_teacher import RecurrentTeacher
from fenestra.training.fit.resume import STATE, restore_state, save_state
from fenestra.training.fit.score import Scores, score
from fenestra.training.network.ensemble import merged
from fenestra.training.network.export import recurrent_arrays, to_checkpoint
from fenestra.training.network.recurrent_tagger import RecurrentTagger
from fenestra.training.network.start import begun, calibration_for, load_start
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.network.word_encoder import WordEncoder
from fenestra.training.output import claimed, draft_folder, holds_checkpoint, put_in_place
from fenestra.training.report import baseline, report
from fenestra.training.report.evaluation import Evaluation, Variant, known_entities, measure, measure_variants
from fenestra.training.vectors.quantise import VectorTable
from fenestra.training.vectors.vectors import Coverage, WordVectors, coverage, load_vectors, standardiser

JOB = "job.json"

_SMALL_CACHE_MB = 40  # of a job that goes on from a model, which reads little and may have little memory
_LEAST_DEVIATION = 1e-3  # so that a dimension in which all means are equal is not divided by 0

Watch = Callable[[Epoch], None]
Observe = Callable[[Path, int], AbstractContextManager[Watch]]
"""Called with the working folder and the number of epochs already done; its context is called with each epoch."""


def unobserved(_work: Path, _done: int) -> AbstractContextManager[Watch]:
    """Observe nothing."""
    return nullcontext(lambda _epoch: None)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a job reads, and the untrained network that fits it."""

    corpora: dict[str, Corpus]
    vectors: WordVectors
    reference: ReferenceWorks
    coverage: Coverage
    lexicon: Lexicon
    network: WindowTagger | RecurrentTagger
    teachers: tuple[Teacher, ...] = ()
    start: Checkpoint | None = None
    """The trained model whose weights the network has at first."""

    def fingerprint(self, config: RunConfig) -> dict[str, Any]:
        """What the result depends on, as JSON; a resumed run must have the same."""
        read = {split: corpus.sha256 for split, corpus in self.corpora.items()}
        about = {"corpora": read, "vectors": self.vectors.sha256, "reference": self.reference.sha256}
        if file := config.augmentation.contexts_file:
            about["contexts"] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        if self.teachers:
            about["teachers"] = [teacher.version for teacher in self.teachers]
        if self.start:
            about["start"] = self.start.version
        return {"config": publishable_config(config), **about}


def train(
    config: RunConfig,
    output: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    observe: Observe = unobserved,
    remark: Callable[[str], object] | None = None,
) -> Path:
    """Run a training job.

    Args:
        config: the job.
        output: folder of the checkpoint to be; must not hold anything yet.
        resume: go on where an earlier run into the same folder was stopped, if there was one.
        overwrite: if ``output`` holds a checkpoint already, put the new one in its place when it is complete.
        observe: is called with every epoch.
        remark: is called with what reading the corpora left out or changed.

    Returns:
        ``output``.

    Raises:
        InputError: configuration, corpora or vectors are wrong, or the folder is taken.
        RunError: training diverged, or the disk refused.
    """
    torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    with (
        claimed(output, resume=resume, overwrite=overwrite) as work,
        long_columns_in(work),
        rare_garbage_collection(),
    ):
        begun = time.perf_counter()
        check_small_files(config)
        corpora = read(config)
        if remark:
            for note in chain.from_iterable(corpus.notes for corpus in corpora.values()):
                remark(note)
        vectors = load_vectors(used_vectors(config), words_of(corpora))
        inputs = prepare(config, corpora, vectors)
        fingerprint = inputs.fingerprint(config)
        if resume and not overwrite and holds_checkpoint(output):
            _same_job(fingerprint, output)
            (work / STATE).unlink(missing_ok=True)  # of a run that was stopped after it had finished
            return output
        progress, train_stream, dev_stream = begin(config, inputs, device)
        done: list[Progress] = []
        for number in range(config.training.members):
            one, folder = more(config, inputs, number, device) if number else progress, member_folder(work, number)
            done.append(one)
            if resume:
                restore_state(one, fingerprint, folder)
            if number and remark:
                remark(f"network {number + 1} of {config.training.members}")
            with observe(folder, len(one.epochs)) as watch:
                for epoch in fit(one, train_stream, dev_stream, member(config, number), device):
                    save_state(one, fingerprint, folder)
                    watch(epoch)
        before = sum(epoch.seconds for one in done for epoch in one.epochs)
        publish(config, inputs, done, draft_folder(work), seconds=max(before, time.perf_counter() - begun))
        put_in_place(work, output, overwrite=overwrite)
    return output


def check_small_files(config: RunConfig) -> None:
    """Find what is wrong with teachers, name lists and contexts before corpora and vectors are read.

    Raises:
        InputError: naming the field, or ``path:line``.
    """
    check_teachers(config.training.teachers, config.model)
    if file := config.augmentation.contexts_file:
        Contexts.read(Path(file), config.model.labels, read_names(config.reference))


def member(config: RunConfig, number: int) -> RunConfig:
    """The job of one of several networks: that of the first is as without the others."""
    digest = hashlib.sha256(f"{config.seed} member {number}".encode()).digest()
    return replace(config, seed=int.from_bytes(digest[:4], "big") // 2) if number else config


def member_folder(work: Path, number: int) -> Path:
    """Where one of several networks keeps its state; made unless it is there."""
    folder = work / f"network-{number + 1}" if number else work
    folder.mkdir(exist_ok=True)
    return folder


def more(config: RunConfig, inputs: Inputs, number: int, device: torch.device) -> Progress:
    """The state before the first update of a network that is not the first; it has the vectors of the first."""
    first = inputs.network
    torch.manual_seed(member(config, number).seed)
    network = WindowTagger(config.model, inputs.lexicon, first.vectors)
    network.topic_mean.copy_(first.topic_mean)
    network.topic_scale.copy_(first.topic_scale)
    return Progress.begin(network.to(device), config.training)


@contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Collect garbage after every 100,000 new objects, not 700: a job makes a million of them and keeps them."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def read(config: RunConfig) -> dict[str, Corpus]:
    """Read the corpora of a job, by split.

    Raises:
        DataError: a corpus is missing or malformed.
        InputError: there is nothing to learn in one, or nothing to decide by.
    """
    corpora = {
        split: read_corpora(names, config.data, config.model.labels).canonical()
        for split in ("train", "dev", "test")
        if (names := getattr(config.data, split))
    }
    corpora["train"] = replace(corpora["train"], parts=())  # scored by none, and as large as the whole
    if config.data.titles_outside:
        corpora["train"] = titles_outside(corpora["train"], config.model.labels)
    if config.augmentation.names:
        corpora["names"] = read_corpora(config.augmentation.names, config.data, config.model.labels).canonical()
    if config.data.unlabelled:
        corpora["unlabelled"] = read_unlabelled(config.data.unlabelled, config.data)
    for split in ("train", "dev"):
        nothing = all(tag == OUTSIDE for tag in pack_sentences(corpora[split].sentences).tags)
        if nothing and config.training.start == "none":  # a trained model may learn that something is no name
            raise InputError(f"data.{split}: holds no entity, so there is nothing to learn or to decide by")
    return corpora


def words_of(corpora: dict[str, Corpus]) -> set[str]:
    """The distinct words of the text to learn from."""
    return {word for split in ("train", "unlabelled") if split in corpora for word in corpora[split].word_counts()}


def used_vectors(config: RunConfig) -> VectorsConfig:
    """The vectors of a job: none if its model does not use them; those of the model that it starts from."""
    if not config.model.features.vectors:
        return replace(config.vectors, source="none")
    return config.vectors if config.training.start == "none" else VectorsConfig(source=config.training.start)


def prepare(config: RunConfig, corpora: dict[str, Corpus], vectors: WordVectors) -> Inputs:
    """Number words and feature values, and draw the initial weights, or take them from a trained model."""
    words = corpora["train"].word_counts()
    teachers = tuple(load_teachers(config.training.teachers, config.model, config.device))
    if config.training.start != "none":
        start = load_start(config.training.start, config.model)
        lexicon, reference = start.lexicon, ReferenceWorks(start.lexicon.gazetteers, {}, ())
        known, weights = coverage(lexicon, words), begun(start, config.model)
        return Inputs(corpora, vectors, reference, known, lexicon, weights, teachers, start)
    counts = words + corpora["unlabelled"].word_counts() if "unlabelled" in corpora else words
    distinct = words_of(corpora)
    features = config.model.features
    if config.training.forget_contacts:
        counts = Counter({word: count for word, count in counts.items() if not is_contact(word)})
    reference = load_reference(config.reference, features, distinct)
    lexicon = build_lexicon(
        features, vectors.words, counts, config.training.min_count, reference.known, language(config.data.language)
    )
    table = pack(vectors, sorted({row - 1 for word in distinct if (row := lexicon.vector_row(word))}), config)
    torch.manual_seed(config.seed)
    kind = RecurrentTagger if config.model.kind == "recurrent" else WindowTagger
    network = kind(config.model, lexicon, table)
    return Inputs(corpora, vectors, reference, coverage(lexicon, words), lexicon, network, teachers)


def begin(config: RunConfig, inputs: Inputs, device: torch.device) -> tuple[Progress, TaggedStream, TaggedStream]:
    """The state before the first update, and the two corpora as the network sees them: train and dev."""
    network, training = inputs.network, config.training
    build = partial(TaggedStream.build, lexicon=inputs.lexicon, vectors=network.vectors, config=config.model)
    copies, made = augmentations(config, inputs.corpora["train"]), other_contexts(config, inputs.corpora)
    parts, teacher_TK = [inputs.corpora["train"].sentences, isolated_one_by_one(join_sentences([copies, made]))], None
    if "unlabelled" in inputs.corpora:
        unlabelled = inputs.corpora["unlabelled"].sentences
        if inputs.teachers:
            teacher_TK = teacher_probabilities(inputs.teachers, unlabelled)
        else:
            teacher_TK = network_probabilities(network, build(unlabelled), device)
        parts.append(unlabelled)
    sentences = join_sentences(parts)
    variants = [packed_variant(name, sentences, config.seed) for name in varied_shares(training)]
    isolate = training.isolate_sentences > 0
    train = build(sentences, isolate=isolate, variants=variants, teacher_TK=teacher_TK, made=len(made))
    if inputs.start is None:
        standardise_topics(network, train.stream)
    return Progress.begin(network.to(device), training), train, build(inputs.corpora["dev"].sentences)


def augmentations(config: RunConfig, corpus: Corpus) -> PackedSentences:
    """The sentences that a job learns from once more, changed.

    Raises:
        ConfigError: initials are asked for, and no label is that of persons.
    """
    training, rng = config.training, Random(config.seed)
    found = [augmented(corpus.sentences, training.foreign, in_foreign_text, rng)]
    if training.initials:
        label = usual_label("person", config.model.labels)
        if label is None:
            raise ConfigError("training.initials: needs a label of persons, such as PER")
        change = with_initials(label, language(config.data.language))
        found.append(augmented(corpus.sentences, training.initials, change, rng))
    return join_sentences([*found, augmented(corpus.sentences, training.bare, bare, rng)])


def other_contexts(config: RunConfig, corpora: Mapping[str, Corpus]) -> PackedSentences:
    """Sentences of the corpora with other names, parts of such, and short texts made of contexts and names.

    Raises:
        InputError: name lists or contexts cannot be read.
    """
    asked, rng = config.augmentation, Random(config.seed)
    if not (asked.renamed or asked.fragments or asked.headlines or asked.contexts):
        return pack_sentences(())
    gold, silver = corpora["train"].sentences, corpora["names"].sentences if "names" in corpora else ()
    names = Names.collect(gold, silver, read_names(config.reference), config.model.labels, asked.listed)
    rename = renamed(names)

    def then(change: Change) -> Change:
        return lambda sentence, rng: (copy := rename(sentence, rng)) and change(copy, rng)

    changes = {"renamed": rename, "fragments": then(fragment), "headlines": then(headline)}
    found = [augmented(gold, getattr(asked, share), change, rng) for share, change in changes.items()]
    if asked.contexts:
        contexts = Contexts.read(Path(asked.contexts_file), config.model.labels, names.lists)
        made = (contexts.make(names, rng) for _ in range(asked.contexts))
        found.append(pack_sentences(sentence for sentence in made if sentence.words))
    written = join_sentences(found).in_words(canonical)
    return pack_sentences(lower(sentence) if rng.random() < asked.small else sentence for sentence in written)


def pack(vectors: WordVectors, rows: Sequence[int], config: RunConfig) -> VectorTable:
    """The vector table of the network; standardised over ``rows``, counted from 0, if the job says so."""
    standard = standardiser(vectors.vectors_VD, rows) if config.vectors.standardise else np.copy

    def change(some_ND: Tensor) -> Tensor:
        return torch.from_numpy(standard(some_ND.numpy()))

    return VectorTable.pack(torch.from_numpy(vectors.vectors_VD), config.model.features.storage, change)


def standardise_topics(network: WordEncoder, stream: Stream) -> None:
    """Give the mean vectors of the training documents mean 0 and variance 1 in every dimension."""
    if network.topic_mean.numel():
        network.topic_mean.copy_(stream.topic_PD.mean(0))
        network.topic_scale.copy_(1 / stream.topic_PD.std(0, correction=0).clamp_min(_LEAST_DEVIATION))


def window(network: WordEncoder) -> WindowTagger:
    """A network that is one of several: only window networks are."""
    assert isinstance(network, WindowTagger)
    return network


def publish(
    config: RunConfig,
    inputs: Inputs,
    done: Sequence[Progress],
    folder: Path,
    *,
    seconds: float,
    extra: Mapping[str, str] = MappingProxyType({}),
    private: Collection[str] = (),
) -> None:
    """Calibrate and evaluate the weights that were kept, and write them with report and model card to a new folder.

    ``extra`` are more files to keep beside the model, name → content. Of the corpora that are ``private``, as ``train``
    or ``dev``, no word stands in the report.
    """
    for progress in done:
        progress.network.load_state_dict({**progress.network.state_dict(), **progress.best})
    network = inputs.network
    if len(done) > 1:
        network = merged([window(one.network).cpu() for one in done], config.model, inputs.lexicon)
    round_weights(network, config.model.weights)
    model, tagger = calibrated(config, inputs, network)
    evaluations: dict[str, Evaluation] = {}
    baselines: dict[str, Scores] = {}
    variants: dict[str, dict[str, Variant]] = {}
    known = known_entities(inputs.corpora["train"].sentences)
    frequent = baseline.fit(inputs.corpora["train"].sentences)
    for split in ("dev", "test"):
        if split in inputs.corpora:
            sentences = inputs.corpora[split].sentences
            found = measure(tagger, sentences, known)
            evaluations[split] = (
                replace(found, errors=replace(found.errors, frequent=())) if split in private else found
            )
            variants[split] = measure_variants(tagger, sentences, VARIANTS, evaluations[split].scores.micro)
            gold, words = [s.tags for s in sentences], [s.words for s in sentences]
            baselines[split] = score(gold, frequent.predict(words))
    by_corpus = {
        split: scores_by_corpus(inputs.corpora[split], names, tagger)
        for split in evaluations
        if len(names := getattr(config.data, split)) > 1
    }
    facts = report.build_report(
        config=config,
        corpora=inputs.corpora,
        vectors=inputs.vectors,
        reference=inputs.reference.licences,
        coverage=replace(inputs.coverage, missing=()) if "train" in private else inputs.coverage,
        epochs=done[0].epochs,
        evaluations=evaluations,
        baselines=baselines,
        by_corpus=by_corpus,
        variants=variants,
        calibration=model.calibration,
        device=str(tagger.device),
        seconds=seconds,
    )
    files = {
        **extra,
        JOB: json.dumps(inputs.fingerprint(config), ensure_ascii=False, indent=1) + "\n",
        "report.json": json.dumps(facts, ensure_ascii=False, indent=1) + "\n",
        "report.html": report.render_html(facts),
        "README.md": report.render_card(facts),
    }
    if isinstance(model, Arrays):
        checkpoint.save_arrays(model, folder, files)
    else:
        checkpoint.save(model, folder, files)


def calibrated(
    config: RunConfig, inputs: Inputs, network: WindowTagger | RecurrentTagger
) -> tuple[Checkpoint, Tagger] | tuple[Arrays, RecurrentTeacher]:
    """Make the model of a trained network, calibrated on dev, and what tags with it."""
    dev = inputs.corpora["dev"].sentences
    if isinstance(network, WindowTagger):
        whole = config.model.widened(config.training.members)
        model = to_checkpoint(whole, inputs.lexicon, network, Calibration())
        if inputs.start:  # the few sentences of such a job say little of how sure the model may be
            final = replace(model, calibration=calibration_for(inputs.start, whole))
            return final, Tagger(final, device=config.device, cache_mb=_SMALL_CACHE_MB)
        small = bool(config.training.lower_sentences or config.augmentation.small)
        calibration = fit_calibration(Tagger(model, device=config.device), dev, crf=network.crf, small=small)
        final = replace(model, calibration=calibration)
        return final, Tagger(final, device=config.device)
    arrays = recurrent_arrays(config.model, inputs.lexicon, network, Calibration())
    logits_TK = RecurrentTeacher(arrays, network, config.device).logits(documents_of(dev)).numpy()
    calibration = calibration_of(Output(logits_TK, [s.tags for s in dev]), config.model, crf=network.crf)
    taught = replace(arrays, calibration=calibration)
    return taught, RecurrentTeacher(taught, network, config.device)


def round_weights(network: WordEncoder, kind: Weights) -> None:
    """Round every learned weight to the number type of the checkpoint, so that the evaluated model is the stored one.

    Raises:
        TrainingDiverged: a weight is NaN, or beyond the range of that type, 65,504 for float16; names it.
    """
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if not torch.isfinite(rounded := weight.to(getattr(torch, kind))).all():
                remedy = "a smaller training.learning_rate" + ', or model.weights = "float32"' * (kind != "float32")
                raise TrainingDiverged(f"{name}: holds {weight.abs().max():g}, which {kind} cannot; try {remedy}")
            weight.copy_(rounded)


def scores_by_corpus(corpus: Corpus, names: Sequence[str], tagger: Tagger | RecurrentTeacher) -> dict[str, Scores]:
    """Score each of several corpora of a split, by the name it has in the configuration."""
    return {
        name: measure(tagger, part.sentences, frozenset()).scores
        for name, part in zip(names, corpus.parts, strict=True)
    }


def _same_job(fingerprint: dict[str, Any], output: Path) -> None:
    """Make sure that the checkpoint there is the result of this job.

    Raises:
        CheckpointError: the checkpoint there cannot be read.
        InputError: it was made by another configuration or of other data; lists what differs.
    """
    made_by = checkpoint.read_extra(output, JOB)
    if changed := differences(made_by, fingerprint):
        raise InputError(f"{output}: was made by another job (--overwrite replaces it): " + "; ".join(changed))
