"""The training loop: one pass over the corpus after another, as a generator of what each achieved.

It prints nothing and writes no file. The caller looks at each epoch, saves what it wants, and stops when it likes.
"""

import hashlib
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from fenestra.model.config import ModelConfig
from fenestra.model.decode.crf import Chain, step_scores
from fenestra.model.decode.decoding import best_paths, decode
from fenestra.model.errors import TrainingDiverged
from fenestra.model.network.network import WindowTagger
from fenestra.model.tags import Span, tag_set
from fenestra.training.config import RunConfig, TrainingConfig
from fenestra.training.fit.batches import Batch, Cut, TaggedStream, varied_shares
from fenestra.training.fit.bf16_linear import product
from fenestra.training.fit.epoch import Epoch, kept_epoch
from fenestra.training.fit.losses import LossFunction, make_loss, sentence_loss
from fenestra.training.fit.optimizers import Average, make_optimizer, step_size
from fenestra.training.fit.score import f1_of_spans

_EVALUATION_BAG = 8192  # windows at a time; bounds memory


@dataclass
class Progress:
    """Everything that moves while training; what a resumed run needs to go on as if it had never stopped."""

    network: WindowTagger
    optimizer: torch.optim.Optimizer
    average: Average
    steps: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights of :attr:`best_epoch`, by name."""

    @classmethod
    def begin(cls, network: WindowTagger, config: TrainingConfig) -> "Progress":
        """Nothing is learned yet."""
        return cls(network, make_optimizer(network, config), Average(network, config.average))

    @property
    def best_epoch(self) -> Epoch | None:
        """The epoch whose weights are kept: that with the best dev F1, of equals the earliest; or the last."""
        return kept_epoch(self.epochs) if self.epochs else None

    def finished(self, config: TrainingConfig) -> bool:
        """Whether all epochs are done, or patience has run out."""
        done = len(self.epochs)
        waited = done - self.best_epoch.number if self.best_epoch else 0
        return done >= config.epochs or bool(config.patience and waited >= config.patience)


class Steps:
    """One pass over the corpus, and what it adds up to."""

    def __init__(self, progress: Progress, config: RunConfig, loss: LossFunction, device: torch.device) -> None:
        self.progress, self.config, self.loss, self.device = progress, config.training, loss, device
        self.model = config.model
        self.nats = self.norm = 0.0
        self.right = torch.zeros((), dtype=torch.int64, device=device)
        self.windows = 0
        self.rate = 0.0

    def take(self, batch: Batch, epoch_progress: float) -> None:
        """Make one update.

        Raises:
            TrainingDiverged: the loss or the gradient is not finite; names epoch and step.
        """
        progress, network = self.progress, self.progress.network
        self.rate = step_size(self.config, progress.steps, epoch_progress)
        for group in progress.optimizer.param_groups:
            group["lr"] = self.rate
        gold_N = batch.gold_N.to(self.device)
        logits_NK = network(batch.rows.to(self.device), batch.windows.to(self.device))
        target = batch.target_NK.to(self.device) if batch.target_NK.numel() else gold_N
        loss = self.loss(logits_NK, target, batch.length_S)
        progress.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm, nats = torch.stack([self._clip(), loss.detach()]).tolist()  # a GPU is waited for once
        if not (math.isfinite(nats) and math.isfinite(norm)):
            raise TrainingDiverged(
                f"epoch {len(progress.epochs) + 1}, step {progress.steps + 1}: loss {nats}, "
                f"norm of the gradient {norm}, in a batch of {len(gold_N)} windows; "
                "try a smaller training.learning_rate, or training.clip_norm=5"
            )
        progress.optimizer.step()
        progress.steps += 1
        progress.average.update(network, progress.steps)
        self.nats += nats * len(gold_N)
        lengths = batch.length_S.tolist()
        self.right += (best_columns(logits_NK.detach(), lengths, self.model, network.chain) == gold_N).sum()
        self.norm += norm * len(gold_N)
        self.windows += len(gold_N)

    def _clip(self) -> Tensor:
        """Shorten the gradient of all weights together if it is to be; returns the norm it had."""
        weights = [weight for weight in self.progress.network.parameters() if weight.grad is not None]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        if self.config.clip_norm:
            nn.utils.clip_grads_with_norm_(weights, self.config.clip_norm, norm)
        return norm


def fit(
    progress: Progress, train: TaggedStream, dev: TaggedStream, config: RunConfig, device: torch.device
) -> Iterator[Epoch]:
    """Train from where ``progress`` stands, yielding one Epoch a pass, until :meth:`Progress.finished`.

    Randomness is drawn anew from the seed and the epoch's number, so an epoch is the same whether the run
    was interrupted before it or not.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    options = config.training
    tags = len(tag_set(config.model.labels, config.model.scheme))
    counts_K = torch.bincount(train.gold_T, minlength=tags).to(device)
    loss = make_loss(options, counts_K, progress.network.chain)
    progress.network.input_dropout.p = options.input_dropout
    progress.network.hidden_dropout.p = options.hidden_dropout
    progress.network.field_dropout = options.field_dropout
    progress.network.multiply = product(options.precision, device)
    varied = tuple(varied_shares(options).values())
    cut = Cut(options.oversample, options.join_sentences, varied, options.unlabelled_sentences)
    while not progress.finished(options):
        number = len(progress.epochs) + 1
        rng = seed_epoch(config.seed, number)
        begun = time.perf_counter()
        progress.network.train()
        steps = Steps(progress, config, loss, device)
        runs = train.shuffled(rng, cut)
        windows = train.tokens(runs)
        for batch in train.batches(runs, options.batch_tokens, rng, options.isolate_sentences):
            steps.take(batch, number - 1 + steps.windows / windows)
        progress.average.catch_up(progress.network, progress.steps)
        kept = progress.average.network if options.average else progress.network.eval()
        yield record(progress, steps, kept, dev, config, begun)


def record(
    progress: Progress,
    steps: Steps,
    kept: WindowTagger,
    dev: TaggedStream,
    config: RunConfig,
    begun: float,
) -> Epoch:
    """Evaluate on dev, note the epoch, and keep the weights if they are the best so far, or the last are kept.

    By what the windows say alone: how much the tokens of a word heed each other is fitted when training is over
    (:mod:`fenestra.training.fit.calibrate`), and counts in the report.
    """
    trained = time.perf_counter()
    model = config.model
    logits_TK = score_stream(kept, dev, steps.device)
    gold_T = dev.gold_T
    if not bool(torch.isfinite(logits_TK).all()):
        raise TrainingDiverged(
            f"epoch {len(progress.epochs) + 1}, after step {progress.steps}: the scores of the development corpus "
            "are not numbers; try a smaller training.learning_rate"
        )
    micro = f1_of_spans(dev.spans, predicted_spans(logits_TK, dev, model, kept.chain))
    column_T = best_columns(logits_TK, dev.lengths, model, kept.chain)
    before = progress.best_epoch
    epoch = Epoch(
        number=len(progress.epochs) + 1,
        train_loss=steps.nats / steps.windows,
        train_accuracy=steps.right.item() / steps.windows,
        dev_loss=plain_loss(logits_TK, gold_T, dev.lengths, kept.chain),
        dev_accuracy=(column_T == gold_T).float().mean().item(),
        dev_precision=micro.precision,
        dev_recall=micro.recall,
        dev_f1=micro.f1,
        learning_rate=steps.rate,
        gradient_norm=steps.norm / steps.windows,
        seconds=time.perf_counter() - begun,
        tokens_per_second=steps.windows / (trained - begun),
        is_best=before is None or config.training.keep == "last" or micro.f1 > before.dev_f1,
    )
    if epoch.is_best:
        progress.best = {name: weight.detach().clone() for name, weight in kept.named_parameters()}
    progress.epochs.append(epoch)
    return epoch


@torch.inference_mode()
def score_stream(network: WindowTagger, stream: TaggedStream, device: torch.device) -> Tensor:
    """Logits of every token of a corpus, in order, on the CPU: logits_TK."""
    bags = stream.stream.bags(stream.context, _EVALUATION_BAG)
    return torch.cat([network(rows.to(device), windows.to(device)).cpu() for rows, windows in bags])


@torch.no_grad()
def plain_loss(logits_TK: Tensor, gold_T: Tensor, lengths: Sequence[int], chain: Chain | None) -> float:
    """Negative log-likelihood of a corpus, nats per token: of each tag, or of sentences where there is a chain."""
    if chain is None:
        return functional.cross_entropy(logits_TK, gold_T).item()
    device = chain.step.device
    return sentence_loss(chain)(logits_TK.to(device), gold_T.to(device), torch.tensor(lengths)).item()


def best_columns(logits_TK: Tensor, lengths: Sequence[int], model: ModelConfig, chain: Chain | None) -> Tensor:
    """The best tag of every token: alone, or on the best path where what a tag says of the next one is learned."""
    if chain is None:
        return logits_TK.argmax(dim=1)
    tags, log_probability_TK = tag_set(model.labels, model.scheme), logits_TK.log_softmax(dim=1).cpu().numpy()
    column_T = best_paths(log_probability_TK, lengths, tags, model.scheme, chain.scores(1.0))
    return torch.from_numpy(column_T).to(logits_TK.device)


def predicted_spans(
    logits_TK: Tensor, stream: TaggedStream, model: ModelConfig, chain: Chain | None
) -> list[list[Span]]:
    """Decode a corpus with the function that the service decodes with."""
    tags = tag_set(model.labels, model.scheme)
    log_probability_TK = torch.log_softmax(logits_TK, dim=1).numpy()
    found = decode(log_probability_TK, stream.lengths, tags, model.scheme, step_scores(chain, 1.0))
    return [sentence.spans for sentence in found]


def seed_epoch(seed: int, number: int) -> random.Random:
    """Set torch's generators for dropout and return the one that shuffles, from seed and epoch alone."""
    digest = int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:8], "big")
    torch.manual_seed(digest % 2**63)
    return random.Random(digest)
