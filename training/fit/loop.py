"""The training loop: a generator that trains for one epoch and yields the figures of that epoch.

It prints nothing and writes no file. The caller may look at each epoch, save what it wants, and stop at any time.
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
from fenestra.model.decode.decoding import best_paths
from fenestra.model.errors import TrainingDiverged
from fenestra.model.tags import tag_set
from fenestra.training.config import RunConfig, TrainingConfig
from fenestra.training.data.spans import Span
from fenestra.training.data.stream import Stream
from fenestra.training.fit.batches import Batch, Sampling, TaggedStream, varied_shares
from fenestra.training.fit.decoded import decode
from fenestra.training.fit.epoch import Epoch, kept_epoch
from fenestra.training.fit.losses import LossFunction, make_loss, sentence_loss
from fenestra.training.fit.optimizers import Average, learning_rate, make_optimizer
from fenestra.training.fit.score import f1_of_spans
from fenestra.training.network.crf import LinearChainCRF, transition_scores
from fenestra.training.network.rows import Lengths
from fenestra.training.network.word_encoder import WordEncoder

_EVALUATION_BAG = 8192  # windows at a time; bounds memory


@dataclass
class Progress:
    """Everything that changes while training: what a resumed run needs to end with the same weights."""

    network: WordEncoder
    optimizer: torch.optim.Optimizer
    average: Average
    updates: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights of :attr:`best_epoch`, by name."""

    @classmethod
    def begin(cls, network: WordEncoder, config: TrainingConfig) -> "Progress":
        """The state before the first update."""
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


class Pass:
    """One pass over the training corpus, and its running totals."""

    def __init__(self, progress: Progress, config: RunConfig, loss: LossFunction, device: torch.device) -> None:
        self.progress, self.config, self.loss, self.device = progress, config.training, loss, device
        self.model = config.model
        self.nats = self.norm = 0.0
        self.right = torch.zeros((), dtype=torch.int64, device=device)
        self.windows = 0
        self.rate = 0.0

    def update(self, batch: Batch, epoch_progress: float) -> None:
        """Make one update of the weights.

        Args:
            batch: the windows to learn from.
            epoch_progress: epochs done so far, with their fraction.

        Raises:
            TrainingDiverged: the loss or the gradient is not finite; names epoch and step.
        """
        progress, network = self.progress, self.progress.network
        self.rate = learning_rate(self.config, progress.updates, epoch_progress)
        for group in progress.optimizer.param_groups:
            group["lr"] = self.rate
        gold_N = batch.gold_N.to(self.device)
        lengths = Lengths(batch.length_S, batch.sequence_R)
        logits_NK = network(batch.rows.to(self.device), batch.windows.to(self.device), lengths)
        target = batch.target_NK.to(self.device) if batch.target_NK.numel() else gold_N
        loss = self.loss(logits_NK, target, batch.length_S)
        progress.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm, nats = torch.stack([self._clip(), loss.detach()]).tolist()  # one wait for a GPU, not two
        if not (math.isfinite(nats) and math.isfinite(norm)):
            raise TrainingDiverged(
                f"epoch {len(progress.epochs) + 1}, step {progress.updates + 1}: loss {nats}, "
                f"norm of the gradient {norm}, in a batch of {len(gold_N)} windows; "
                "try a smaller training.learning_rate, or training.clip_norm=5"
            )
        progress.optimizer.step()
        progress.updates += 1
        progress.average.update(network, progress.updates)
        self.nats += nats * len(gold_N)
        best_N = best_columns(logits_NK.detach(), batch.length_S.tolist(), self.model, network.crf)
        self.right += (best_N == gold_N).sum()
        self.norm += norm * len(gold_N)
        self.windows += len(gold_N)

    def _clip(self) -> Tensor:
        """Clip the gradient of all weights together if the job asks for it; returns the norm before clipping."""
        weights = [weight for weight in self.progress.network.parameters() if weight.grad is not None]
        norm = nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
        if self.config.clip_norm:
            nn.utils.clip_grads_with_norm_(weights, self.config.clip_norm, norm)
        return norm


def fit(
    progress: Progress, train: TaggedStream, dev: TaggedStream, config: RunConfig, device: torch.device
) -> Iterator[Epoch]:
    """Train from the state of ``progress`` on, yielding one Epoch a pass, until :meth:`Progress.finished`.

    The random generators are seeded for each epoch from the seed and the number of the epoch, so an epoch is the same
    whether or not the run was interrupted before it.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    options = config.training
    tags = len(tag_set(config.model.labels, config.model.scheme))
    counts_K = torch.bincount(train.gold_T, minlength=tags).to(device)
    dev_spans = list(dev.spans())
    loss = make_loss(options, counts_K, progress.network.crf)
    progress.network.prepare(options, device)
    varied = tuple(varied_shares(options).values())
    sampling = Sampling(
        options.oversample, options.join_sentences, varied, options.unlabelled_sentences, config.augmentation.share,
        options.repeats,
    )  # fmt: skip
    while not progress.finished(options):
        number = len(progress.epochs) + 1
        rng = seed_epoch(config.seed, number)
        begun = time.perf_counter()
        progress.network.train()
        this_pass = Pass(progress, config, loss, device)
        runs = train.shuffled(rng, sampling)
        windows = train.tokens(runs)
        for batch in train.batches(runs, options.batch_tokens, rng, options.isolate_sentences):
            this_pass.update(batch, number - 1 + this_pass.windows / windows)
        progress.average.catch_up(progress.network, progress.updates)
        kept = progress.average.network if options.average else progress.network.eval()
        yield record(progress, this_pass, kept, dev, dev_spans, config, begun)


def record(
    progress: Progress,
    this_pass: Pass,
    kept: WordEncoder,
    dev: TaggedStream,
    dev_spans: Sequence[Sequence[Span]],
    config: RunConfig,
    begun: float,
) -> Epoch:
    """Evaluate on dev, note the epoch, and keep the weights if they are the best so far, or the last are kept.

    Without label consistency, whose weights are fitted when training is over (:mod:`fenestra.training.fit.calibrate`);
    the report includes it.

    Raises:
        TrainingDiverged: a logit of the development corpus is not finite.
    """
    trained = time.perf_counter()
    model = config.model
    logits_TK = score_stream(kept, dev, this_pass.device)
    gold_T = dev.gold_T.long()
    if not bool(torch.isfinite(logits_TK).all()):
        raise TrainingDiverged(
            f"epoch {len(progress.epochs) + 1}, after step {progress.updates}: the scores of the development corpus "
            "are not numbers; try a smaller training.learning_rate"
        )
    micro = f1_of_spans(dev_spans, predicted_spans(logits_TK, dev, model, kept.crf))
    column_T = best_columns(logits_TK, dev.lengths, model, kept.crf)
    before = progress.best_epoch
    epoch = Epoch(
        number=len(progress.epochs) + 1,
        train_loss=this_pass.nats / this_pass.windows,
        train_accuracy=this_pass.right.item() / this_pass.windows,
        dev_loss=plain_loss(logits_TK, gold_T, dev.lengths, kept.crf),
        dev_accuracy=(column_T == gold_T).float().mean().item(),
        dev_precision=micro.precision,
        dev_recall=micro.recall,
        dev_f1=micro.f1,
        learning_rate=this_pass.rate,
        gradient_norm=this_pass.norm / this_pass.windows,
        seconds=time.perf_counter() - begun,
        tokens_per_second=this_pass.windows / (trained - begun),
        is_best=before is None or config.training.keep == "last" or micro.f1 > before.dev_f1,
    )
    if epoch.is_best:
        progress.best = {name: weight.detach().clone() for name, weight in kept.named_parameters()}
    progress.epochs.append(epoch)
    return epoch


@torch.inference_mode()
def score_stream(network: WordEncoder, stream: TaggedStream, device: torch.device) -> Tensor:
    """The logits of every token of a corpus, in order, on the CPU: logits_TK."""
    if stream.sequence is not None:
        return score_sequences(network, stream.stream, stream.sequence, device)
    bags = stream.stream.bags(stream.context, _EVALUATION_BAG)
    return torch.cat([network(rows.to(device), windows.to(device)).cpu() for rows, windows in bags])


@torch.inference_mode()
def score_sequences(network: WordEncoder, stream: Stream, full: int, device: torch.device) -> Tensor:
    """The same by a recurrent network, whose sequences are full with ``full`` tokens."""
    parts = stream.readings(full, _EVALUATION_BAG)
    return torch.cat([network(rows.to(device), windows.to(device), lengths).cpu() for rows, windows, lengths in parts])


@torch.no_grad()
def plain_loss(logits_TK: Tensor, gold_T: Tensor, lengths: Sequence[int], crf: LinearChainCRF | None) -> float:
    """Negative log-likelihood of a corpus, nats per token: of each tag, or of whole sentences if there is a CRF."""
    if crf is None:
        return functional.cross_entropy(logits_TK, gold_T).item()
    device = crf.transitions.device
    return sentence_loss(crf)(logits_TK.to(device), gold_T.to(device), torch.tensor(lengths)).item()


def best_columns(logits_TK: Tensor, lengths: Sequence[int], model: ModelConfig, crf: LinearChainCRF | None) -> Tensor:
    """The best tag of every token by itself, or on the best path if there is a CRF; column_T."""
    if crf is None:
        return logits_TK.argmax(dim=1)
    tags, log_probability_TK = tag_set(model.labels, model.scheme), logits_TK.log_softmax(dim=1).cpu().numpy()
    column_T = best_paths(log_probability_TK, lengths, tags, model.scheme, crf.scores(1.0))
    return torch.from_numpy(column_T).to(logits_TK.device)


def predicted_spans(
    logits_TK: Tensor, stream: TaggedStream, model: ModelConfig, crf: LinearChainCRF | None
) -> list[list[Span]]:
    """Decode a corpus with the function that the service decodes with."""
    tags = tag_set(model.labels, model.scheme)
    log_probability_TK = torch.log_softmax(logits_TK, dim=1).numpy()
    found = decode(log_probability_TK, stream.lengths, tags, model.scheme, transition_scores(crf, 1.0))
    return [sentence.spans for sentence in found]


def seed_epoch(seed: int, number: int) -> random.Random:
    """Seed torch's generator, used for dropout, and return the one that shuffles; from seed and epoch alone."""
    digest = int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:8], "big")
    torch.manual_seed(digest % 2**63)
    return random.Random(digest)
