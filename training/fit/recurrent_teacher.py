"""A trained recurrent model, as a teacher: the marginals of its tags for any text.

T tokens of all sentences, end to end · K tags
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.checkpoint import Arrays
from fenestra.model.tags import tag_set
from fenestra.training.data.stream import Sentences, Stream
from fenestra.training.device import resolve_device
from fenestra.training.fit.decoded import decode
from fenestra.training.fit.loop import score_sequences
from fenestra.training.fit.losses import log_partition
from fenestra.training.network.crf import LinearChainCRF, transition_scores
from fenestra.training.network.export import load_recurrent
from fenestra.training.network.recurrent_tagger import RecurrentTagger
from fenestra.training.report.predictions import Prediction

_DOCUMENTS = 256  # that are read together; bounds memory
_MARGINALS = 8192  # tokens whose paths are added up together, likewise


class RecurrentTeacher:
    """A recurrent network with all that belongs to it."""

    def __init__(self, model: Arrays, network: RecurrentTagger, device: str) -> None:
        """Move a network to a device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
        self.config, self.lexicon, self.calibration = model.config, model.lexicon, model.calibration
        self.version, self.labels = model.version, model.config.labels
        self.device = resolve_device(device)
        self.network = network.to(self.device).eval()

    @classmethod
    def load(cls, folder: Path, device: str) -> "RecurrentTeacher":
        """Open a checkpoint folder.

        Raises:
            CheckpointError: it cannot be loaded, or holds a model of another kind.
        """
        return cls(*load_recurrent(folder), device)

    def logits(self, documents: Sequence[Sentences]) -> Tensor:
        """The network's scores, before calibration, of every token of the documents, end to end; logits_TK."""
        found = [torch.zeros(0, self.network.output.out_features)]
        for begin in range(0, len(documents), _DOCUMENTS):
            some = documents[begin : begin + _DOCUMENTS]
            stream = Stream.read(some, self.lexicon, self.network.vectors, self.config)
            found.append(score_sequences(self.network, stream, self.config.recurrent.sequence, self.device))
        return torch.cat(found)

    def log_probabilities(self, documents: Sequence[Sentences]) -> NDArray[np.float32]:
        """Natural logarithm of P(tag | text) for every token, end to end, after calibration; shape (T, K).

        With a CRF these are the marginals, under all paths through the sentence.
        """
        logits_TK, temperature = self.logits(documents), self.calibration.temperature
        crf = self.network.crf
        if crf is None:
            return (logits_TK / temperature).log_softmax(dim=1).numpy()
        lengths = torch.tensor([len(sentence) for document in documents for sentence in document])
        return marginals(logits_TK, lengths, crf, temperature).log().numpy()

    def predictions(self, documents: Sequence[Sentences]) -> Iterator[Prediction]:
        """The best path of every sentence, as it is scored."""
        tags, temperature = tag_set(self.config.labels, self.config.scheme), self.calibration.temperature
        log_TK = (self.logits(documents) / temperature).log_softmax(dim=1).numpy()
        lengths = [len(sentence) for document in documents for sentence in document]
        learned = transition_scores(self.network.crf, temperature)
        for found in decode(log_TK, lengths, tags, self.config.scheme, learned):
            tokens_M = np.array([span.end - span.start for span in found.spans], dtype=np.float32)
            scores = self.calibration.entity_scores(found.log_products, tokens_M, np.zeros_like(tokens_M))
            yield Prediction(found.tags, found.tag_probabilities.tolist(), found.spans, scores.tolist())


def marginals(logits_TK: Tensor, length_S: Tensor, crf: LinearChainCRF, temperature: float = 1.0) -> Tensor:
    """P(tag of a token) under all paths through its sentence; returns probability_TK, float32, on the CPU.

    It is the derivative of the log of the sum over all paths by the score of the tag:

        ∂ log Σ exp s(y) / ∂ z[t, k] = Σ over y with yₜ = k of exp s(y) / Σ exp s(y) = P(yₜ = k)

    Args:
        logits_TK: emission scores, sentences end to end.
        length_S: tokens of each sentence; int64.
        crf: scores of the transitions.
        temperature: divides all scores.
    """
    found, ends = [], length_S.cumsum(0).tolist()
    start_K, transitions_KK, end_K = (torch.from_numpy(part) for part in crf.scores(temperature))
    begin = first = 0
    for number, end in enumerate(ends, start=1):
        if end - begin < _MARGINALS and number < len(ends):
            continue
        z_NK = (logits_TK[begin:end].double() / temperature).requires_grad_()
        some_S = length_S[first:number]
        total = log_partition(z_NK, some_S[some_S > 0], (start_K, transitions_KK, end_K)).sum()
        (probability_NK,) = torch.autograd.grad(total, z_NK)
        found.append(probability_NK.float())
        begin, first = end, number
    return torch.cat(found) if found else torch.zeros(0, logits_TK.shape[1])
