"""What every network starts from: the rows of a word, side by side, and what is known of its document.

U distinct words · E width of e(w) · P documents · D width of a vector

e(w) = [ vector ; a row of each field ; mean of the rows of its n-grams ]
"""

import torch
from torch import Tensor, nn

from fenestra.model.config import ModelConfig
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.config import TrainingConfig
from fenestra.training.network.crf import LinearChainCRF
from fenestra.training.network.row_sums import mean_rows
from fenestra.training.network.rows import Rows
from fenestra.training.vectors.quantise import VectorTable

_FEATURE_STD = 0.1  # standard deviation of untrained feature rows; that of the standardised vectors is 1


class Dropout(nn.Dropout):
    """Inverted dropout: in training x ∘ m / (1 − p), where m is 0 with probability p and else 1.

    torch's own draws a random number for each element of x. Here 64 random bits serve four elements, so p is rounded
    to a multiple of 1 / 65,536.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name it has in torch
        """Set some elements to zero."""
        if not self.training or not self.p:
            return input
        bits = torch.empty(-(-input.numel() // 4), dtype=torch.int64, device=input.device)
        draw = bits.random_(-(2**63), None).view(torch.int16)[: input.numel()].view(input.shape)
        mask = torch.empty_like(input, requires_grad=False)
        torch.ge(draw, round(self.p * 2**16) - 2**15, out=mask)
        return input * mask.mul_(1 / (1 - self.p))


class WordEncoder(nn.Module):
    """Rows of words → e(w): the part that all networks have in common."""

    crf: LinearChainCRF | None
    """Scores of transitions between tags; the logits do not contain them."""

    def __init__(self, config: ModelConfig, lexicon: Lexicon, vectors: VectorTable) -> None:
        super().__init__()
        features = config.features
        self.vectors = vectors
        sizes = features.widths()
        self.fields = nn.ModuleDict({n: nn.Embedding(len(lexicon.field_rows[n]) + 1, w) for n, w in sizes.items()})
        self.ngrams = nn.EmbeddingBag(
            features.ngram_buckets + 1 if features.ngram else 1, features.ngram, mode="mean", padding_idx=0
        )
        self.entry = (vectors.width if features.vectors else 0) + sum(sizes.values()) + features.ngram
        """E, the width of e(w)."""
        topic = vectors.width * features.topic
        self.topic_mean: Tensor
        self.topic_scale: Tensor
        self.register_buffer("topic_mean", torch.zeros(topic))
        self.register_buffer("topic_scale", torch.ones(topic))
        self.input_dropout = Dropout(0.0)
        self.hidden_dropout = Dropout(0.0)
        self.field_dropout = 0.0

    def prepare(self, options: TrainingConfig, _device: torch.device) -> None:
        """Set what only training has."""
        self.input_dropout.p = options.input_dropout
        self.hidden_dropout.p = options.hidden_dropout
        self.field_dropout = options.field_dropout

    def initialise_rows(self) -> None:
        """Draw the rows of fields and n-grams: small, so that one which training hardly changes adds little noise."""
        for weight in (*self.fields.parameters(), self.ngrams.weight):
            nn.init.normal_(weight, std=_FEATURE_STD)
        with torch.no_grad():
            self.ngrams.weight[0].zero_()

    def encode_words(self, rows: Rows) -> Tensor:
        """e(w) of every distinct word; returns e_UE."""
        parts = [self.vectors(rows.vector_U)] if self.vectors.width else []
        for column, (name, table) in enumerate(self.fields.items()):
            field_UE = table(rows.field_UF[:, column])
            parts.append(field_UE if name == "case" else self.drop_field(field_UE))
        if self.ngrams.embedding_dim:
            parts.append(self.drop_field(mean_rows(self.ngrams.weight, rows.ngram_UG)))
        return torch.cat(parts, dim=1)

    def drop_field(self, field_UE: Tensor) -> Tensor:
        """In training, set a field to zero for some words and scale it by 1 / (1 − p) for the others.

        The network so learns to use the other fields of a word, as it must for a word that training has not seen.
        """
        if not self.training or not self.field_dropout:
            return field_UE
        kept_U1 = torch.rand(len(field_UE), 1, device=field_UE.device) >= self.field_dropout
        return field_UE * (kept_U1 / (1 - self.field_dropout))

    def standardise_topics(self, topic_PD: Tensor) -> Tensor:
        """With mean 0 and variance 1 over the documents of the training data; with dropout in training."""
        standard_PD: Tensor = self.input_dropout((topic_PD - self.topic_mean) * self.topic_scale)
        return standard_PD
