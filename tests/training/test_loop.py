"""The loop: it learns, it can be repeated and resumed bit for bit, and it stops where it should."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from fenestra.model.errors import ConfigError, TrainingDiverged
from fenestra.training.config import parse_config
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.lexicon import build_lexicon
from fenestra.training.fit.batches import TaggedStream
from fenestra.training.fit.epoch import Epoch
from fenestra.training.fit.loop import Progress, fit, score_stream, seed_epoch
from fenestra.training.fit.losses import sentence_loss
from fenestra.training.fit.optimizers import Average, learning_rate, make_optimizer
from fenestra.training.fit.resume import restore_state, save_state
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.vectors.quantise import VectorTable

CPU = torch.device("cpu")
SENTENCES = [
    Sentence(("Ada", "met", "Siemens", "in", "Kiel", "."), ("B-PER", "O", "B-ORG", "O", "B-LOC", "O"), 0, 1),
    Sentence(("Kiel", "is", "small"), ("B-LOC", "O", "O"), 0, 8),
    Sentence(("New", "York", "and", "Ada", "Moss"), ("B-LOC", "I-LOC", "O", "B-PER", "I-PER"), 1, 12),
    Sentence(("it", "rains"), ("O", "O"), 1, 18),
]
BASE = {
    "data": {"train": ["a"], "dev": ["b"]},
    "model": {
        "labels": ["LOC", "ORG", "PER"],
        "hidden": [24],
        "features": {"vectors": False, "word": 8, "shape": 4, "affix": 4, "ngram": 6, "ngram_buckets": 100},
    },
    "training": {"epochs": 30, "batch_tokens": 6, "min_count": 1, "warmup_steps": 5, "learning_rate": 0.01,
                 "average": 0.9, "input_dropout": 0.1, "hidden_dropout": 0.1},
    "threads": 1,
}  # fmt: skip


def job(sentences=SENTENCES, /, **training):
    decoder = "transitions" if training.get("loss") == "sentence" else "softmax"
    model = {**BASE["model"], "decoder": decoder}
    config = parse_config({**BASE, "model": model, "training": {**BASE["training"], **training}})
    words = [word for sentence in sentences for word in sentence.words]
    lexicon = build_lexicon(config.model.features, [], words, config.training.min_count)
    vectors = VectorTable.pack(torch.zeros(0, 0), "float32")
    stream = TaggedStream.build(sentences, lexicon, vectors, config.model, isolate=True)
    torch.manual_seed(config.seed)
    return config, stream, Progress.begin(WindowTagger(config.model, lexicon, vectors), config.training)


def run(config, stream, progress, epochs=None):
    return list(itertools.islice(fit(progress, stream, stream, config, CPU), epochs))


def weights(progress):
    best = [weight for _, weight in sorted(progress.best.items())]
    return torch.cat([weight.detach().flatten() for weight in (*progress.network.parameters(), *best)])


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"optimizer": "sgd", "learning_rate": 0.3},
        {"optimizer": "adam"},
        {"optimizer": "rmsprop", "momentum": 0.0},
        {"loss": "focal"},
        {"class_weights": "balanced"},
        {"class_weights": "sqrt_balanced", "oversample": 1.5},
        {"entity_margin": 0.5},
        {"schedule": "step"},
        {"schedule": "constant", "average": 0.0, "clip_norm": 5.0},
        {"label_smoothing": 0.05, "join_sentences": 0.3, "isolate_sentences": 0.3, "field_dropout": 0.1},
        {"precision": "bfloat16"},
        {"loss": "sentence"},
        {"loss": "sentence", "join_sentences": 0.3, "isolate_sentences": 0.3, "oversample": 1.5, "average": 0.0},
    ],
    ids=lambda training: ",".join(map(str, training)) or "default",
)
def test_every_way_of_training_memorises_four_sentences(training):
    epochs = run(*job(**training))
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert max(epoch.dev_f1 for epoch in epochs) == 1.0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_weights_and_another_one_others(precision):
    runs = []
    for seed in (1, 1, 2):
        config, stream, progress = job(epochs=3, precision=precision)
        run(replace(config, seed=seed), stream, progress)
        runs.append(weights(progress))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(
    "training",
    [{"optimizer": "sgd"}, {"optimizer": "adam"}, {"optimizer": "adamw"}, {"optimizer": "rmsprop"},
     {"precision": "bfloat16"}, {"loss": "sentence"}],
    ids=lambda training: next(iter(training.values())),
)  # fmt: skip
def test_a_resumed_run_ends_with_the_same_weights_bit_for_bit(training, tmp_path):
    config, stream, whole = job(epochs=4, **training)
    run(config, stream, whole)
    for stop in (1, 3):
        config, stream, first = job(epochs=4, **training)
        run(config, stream, first, stop)
        save_state(first, {"config": "x"}, tmp_path)
        config, stream, second = job(epochs=4, **training)
        assert restore_state(second, {"config": "x"}, tmp_path)
        run(config, stream, second)
        assert torch.equal(weights(second), weights(whole))
        assert [replace(e, seconds=0, tokens_per_second=0) for e in second.epochs] == [
            replace(e, seconds=0, tokens_per_second=0) for e in whole.epochs
        ]


def test_a_state_of_other_inputs_is_refused_with_what_differs(tmp_path):
    config, stream, progress = job(epochs=1)
    run(config, stream, progress)
    save_state(progress, {"config": {"seed": 1}, "vectors": "abc"}, tmp_path)
    with pytest.raises(ConfigError, match=r"config\.seed: 1 → 2; vectors: abc → def"):
        restore_state(job()[2], {"config": {"seed": 2}, "vectors": "def"}, tmp_path)


def test_a_file_that_is_no_state_is_refused(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"not a state")
    with pytest.raises(ConfigError, match="not the state of a run"):
        restore_state(job()[2], {}, tmp_path)


def test_without_a_state_a_run_begins_at_the_beginning(tmp_path):
    assert not restore_state(job()[2], {}, tmp_path)


LATER = [
    Sentence((label, *["x"] * 7), (f"B-{label}",) * 8, number, 1) for number, label in enumerate(("LOC", "ORG", "PER"))
]
"""An x is what the one before it is. But for the first two, their windows are the same in all three sentences."""


def test_a_pattern_of_tags_that_no_window_shows_is_learned_by_whole_sentences_only():
    still = {"field_dropout": 0.0, "input_dropout": 0.0, "hidden_dropout": 0.0, "warmup_steps": 0, "average": 0.0}
    by_window = run(*job(LATER, **still))
    by_sentence = run(*job(LATER, **still, loss="sentence"))
    # Of the last five of each sentence a third can be right, and none can cost less than log 3 in the mean.
    assert max(epoch.dev_f1 for epoch in by_window) <= (3 * 3 + 5) / 24 + 1e-6
    assert by_sentence[-1].dev_f1 == by_sentence[-1].dev_accuracy == by_sentence[-1].train_accuracy == 1.0
    assert by_sentence[-1].dev_loss < 5 / 8 * math.log(3) < by_window[-1].dev_loss


def test_the_loss_of_sentences_is_that_of_the_transitions_that_are_kept():
    """Dev loss is computed with the averaged weights, transitions included."""
    config, stream, progress = job(epochs=2, loss="sentence")
    *_, last = run(config, stream, progress)
    kept = progress.average.network
    assert not torch.equal(kept.crf.transitions, progress.network.crf.transitions)
    logits_TK = score_stream(kept, stream, CPU)
    expected = sentence_loss(kept.crf)(logits_TK, stream.gold_T, torch.tensor(stream.lengths))
    assert last.dev_loss == pytest.approx(expected.item())
    assert torch.equal(progress.best["crf.transitions"], kept.crf.transitions)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_or_gradient_that_is_not_finite_stops_the_run_and_names_epoch_and_step(what):
    config, stream, progress = job(epochs=5)
    iterator = fit(progress, stream, stream, config, CPU)
    next(iterator)
    if what == "loss":
        progress.network.output.bias.data.fill_(float("nan"))
    else:
        progress.network.output.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingDiverged, match=r"epoch 2, step \d+: loss .*, norm of the gradient .* batch of \d+"):
        next(iterator)
    assert all(torch.isfinite(weight).all() for weight in progress.best.values())


def test_the_norm_of_the_gradient_is_that_of_all_weights_together():
    """With one batch an epoch it is the norm of the gradients that are still there when the epoch is over."""
    config, stream, progress = job(epochs=1, batch_tokens=1000)
    (done,) = run(config, stream, progress)
    gradients = [w.grad.flatten() for w in progress.network.parameters() if w.grad is not None]
    assert done.gradient_norm == pytest.approx(torch.cat(gradients).norm().item(), rel=1e-5)


def test_every_epoch_and_every_seed_draws_other_numbers_and_the_same_one_the_same():
    drawn = {}
    for seed, number in ((1, 1), (1, 2), (2, 1), (12, 1), (1, 21)):
        shuffling = seed_epoch(seed, number).random()
        drawn[seed, number] = shuffling, torch.rand(()).item()
        assert (seed_epoch(seed, number).random(), torch.rand(()).item()) == drawn[seed, number]
    assert len({shuffling for shuffling, _ in drawn.values()}) == len(drawn)
    assert len({dropout for _, dropout in drawn.values()}) == len(drawn)


def epoch(number, f1, best):
    zero = dict.fromkeys(("train_loss", "train_accuracy", "dev_loss", "dev_accuracy", "dev_precision", "dev_recall",
                          "learning_rate", "gradient_norm", "seconds", "tokens_per_second"), 0.0)  # fmt: skip
    return Epoch(number=number, dev_f1=f1, is_best=best, **zero)


def test_patience_counts_from_the_earliest_best_epoch():
    config, _, progress = job(epochs=10, patience=2)
    progress.epochs = [epoch(1, 0.5, True), epoch(2, 0.5, False)]
    assert not progress.finished(config.training)
    progress.epochs.append(epoch(3, 0.4, False))
    assert progress.finished(config.training)
    assert progress.best_epoch.number == 1


def test_the_best_weights_are_those_of_the_epoch_that_scored_best():
    config, stream, progress = job(epochs=12)
    snapshots, scores = {}, []
    for done in fit(progress, stream, stream, config, CPU):
        scores.append(done.dev_f1)
        snapshots[done.number] = {n: w.clone() for n, w in progress.average.network.named_parameters()}
    assert scores.count(max(scores)) > 1  # of equals, the earliest
    assert progress.best_epoch.number == scores.index(max(scores)) + 1
    best = snapshots[progress.best_epoch.number]
    assert all(torch.equal(best[name], weight) for name, weight in progress.best.items())


def test_the_last_weights_are_kept_where_they_are_asked_for():
    config, stream, progress = job(epochs=12, keep="last")
    scores = [done.dev_f1 for done in fit(progress, stream, stream, config, CPU)]
    assert max(scores) in scores[:-1]  # the best epoch would be another
    assert progress.best_epoch.number == 12
    assert all(torch.equal(progress.best[n], w) for n, w in progress.average.network.named_parameters())


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0]),
        ("cosine", [0.5, 0.5 * (1 + 2**-0.5), 0.5, 0.0]),
        ("step", [0.5, 1.0, 0.1, 0.01]),
    ],
)
def test_schedules_warm_up_and_fall_as_they_say(schedule, expected):
    """Epochs 0, 1, 2 and 4 of 4; two warm-up steps; a tenth every two epochs."""
    config = job(schedule=schedule, epochs=4, warmup_steps=2, learning_rate=1.0, step_epochs=2, step_factor=0.1)[0]
    sizes = [learning_rate(config.training, step, at) for step, at in ((0, 0.0), (9, 1.0), (9, 2.0), (9, 4.0))]
    assert sizes == pytest.approx(expected)


def test_a_warm_up_that_a_small_corpus_never_ends_is_over_after_a_tenth_of_the_epochs():
    config = job(schedule="constant", epochs=20, warmup_steps=300, learning_rate=1.0)[0].training
    assert learning_rate(config, 3, 1.0) == pytest.approx(0.5)
    assert learning_rate(config, 7, 2.0) == 1.0


def by_hand(kind, gradients, rate, decay, momentum):
    """The update rules as they are printed, on one number that starts at 1."""
    x, v, s = 1.0, 0.0, 0.0
    for t, g in enumerate(gradients, start=1):
        if kind == "adamw":
            x -= rate * decay * x
        else:
            g += decay * x
        if kind == "sgd":
            v = momentum * v + g if t > 1 else g
            x -= rate * v
        elif kind == "rmsprop":
            s = 0.99 * s + 0.01 * g * g
            v = momentum * v + g / (s**0.5 + 1e-8)
            x -= rate * v
        else:
            v, s = 0.9 * v + 0.1 * g, 0.999 * s + 0.001 * g * g
            x -= rate * (v / (1 - 0.9**t)) / ((s / (1 - 0.999**t)) ** 0.5 + 1e-8)
    return x


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw", "rmsprop"])
def test_update_rules_are_the_printed_ones(kind):
    config = job(optimizer=kind, learning_rate=0.1, weight_decay=0.02, momentum=0.8)[0].training
    module = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.ones_(module.weight)
    optimizer = make_optimizer(module, config)
    gradients = [0.5, -0.2, 0.8, 0.1]
    for gradient in gradients:
        module.weight.grad = torch.full((1, 1), gradient, dtype=torch.float64)
        optimizer.step()
    assert module.weight.item() == pytest.approx(by_hand(kind, gradients, 0.1, 0.02, 0.8), rel=1e-6)


def test_biases_are_not_decayed():
    config = job(optimizer="sgd", weight_decay=0.5)[0].training
    module = torch.nn.Linear(2, 2)
    decays = {tuple(p.shape): group["weight_decay"] for group in make_optimizer(module, config).param_groups
              for p in group["params"]}  # fmt: skip
    assert decays == {(2, 2): 0.5, (2,): 0.0}


def test_clipping_bounds_the_step():
    """With plain SGD and a rate of 1 no weight can move further than the clipped norm."""
    plain = {"optimizer": "sgd", "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.0, "warmup_steps": 0}
    config, stream, progress = job(**plain, epochs=1, clip_norm=1e-3, schedule="constant", batch_tokens=1000)
    before = [w.detach().clone() for w in progress.network.parameters()]
    run(config, stream, progress)
    moved = torch.cat([(a - b).flatten() for a, b in zip(progress.network.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_the_average_follows_the_weights():
    _, _, progress = job()
    average = Average(progress.network, 0.5)
    start = progress.network.output.bias.detach().clone()
    with torch.no_grad():
        progress.network.output.bias.add_(1.0)
    average.update(progress.network, step=100)
    average.catch_up(progress.network, step=100)
    assert torch.allclose(average.network.output.bias, start + 0.5)
    assert average.network.vectors is progress.network.vectors


def test_the_average_looks_at_every_eighth_update_and_that_counts_as_eight():
    _, _, progress = job()
    average = Average(progress.network, 0.9)
    start = progress.network.output.bias.detach().clone()
    with torch.no_grad():
        progress.network.output.bias.add_(1.0)
    for step in range(1001, 1008):
        average.update(progress.network, step)
    assert torch.equal(average.network.output.bias, start)
    average.update(progress.network, 1008)
    assert torch.allclose(average.network.output.bias, start + 1 - 0.9**8)
