"""The network: rows of words → windows → one score for each tag.

    U distinct words · E width of e(w) · W window width · H hidden units · N windows · K tags

The lecture concatenates the vectors of a window and multiplies:

    x = [e(w₋C) ; … ; e(w₊C)]        z = W₁ x + b₁

The same product, regrouped by position, is a sum of 2C+1 vectors that each depend on one word and one position:

    z = Σⱼ W₁⁽ʲ⁾ e(wⱼ) + b₁

which is how it is computed here, once for each distinct word and not once for each window.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.config import Activation, ModelConfig
from model.iob import tag_set
from model.lexicon import Lexicon, Rows
from model.vectors import VectorTable

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class WindowTagger(nn.Module):
    """Score every tag for the token in the middle of a window.

    Sources: Bengio et al., JMLR 3 (2003), the network; Collobert et al., JMLR 12 (2011), its use as a tagger.
    """

    def __init__(self, config: ModelConfig, lexicon: Lexicon, vectors: VectorTable) -> None:
        super().__init__()
        features = config.features
        self.width = 2 * config.context + 1
        self.vectors = vectors
        sizes = features.widths()
        self.fields = nn.ModuleDict({n: nn.Embedding(len(lexicon.field_rows[n]) + 1, w) for n, w in sizes.items()})
        self.ngrams = nn.EmbeddingBag(
            features.ngram_buckets + 1 if features.ngram else 1, features.ngram, mode="mean", padding_idx=0
        )
        entry = (vectors.width if features.vectors else 0) + sum(sizes.values()) + features.ngram
        self.pad = nn.Parameter(torch.zeros(1, entry))
        first, *rest = config.hidden
        self.first = nn.Linear(self.width * entry, first)
        self.rest = nn.ModuleList(nn.Linear(a, b) for a, b in zip(config.hidden, rest, strict=False))
        self.activation = ACTIVATIONS[config.activation]()
        self.output = nn.Linear(config.hidden[-1], len(tag_set(config.labels, config.scheme)))
        self.input_dropout = nn.Dropout(0.0)
        self.hidden_dropout = nn.Dropout(0.0)
        self.initialise(config.activation)

    def initialise(self, activation: Activation) -> None:
        """Draw the weights: He for the ReLU family, Xavier otherwise; zero biases; output small."""
        for layer in (self.first, *self.rest):
            if activation == "tanh" or activation == "sigmoid":
                nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain(activation))
            else:
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        for weight in (*self.fields.parameters(), self.ngrams.weight):
            nn.init.uniform_(weight, -math.sqrt(3.0), math.sqrt(3.0))  # unit variance, as the vectors have
        with torch.no_grad():
            self.ngrams.weight[0].zero_()

    def encode(self, rows: Rows) -> Tensor:
        """e(w) of every distinct word, after the row PAD.

        Returns:
            e_VE, V = U + 1: row 0 is PAD, row u + 1 is word u.
        """
        parts = [self.vectors(rows.vector_U)] if self.vectors.width else []
        parts += [table(rows.field_UF[:, column]) for column, table in enumerate(self.fields.values())]
        if self.ngrams.embedding_dim:
            parts.append(self.ngrams(rows.ngram_UG))
        return torch.cat([self.pad, torch.cat(parts, dim=1)])

    def project(self, e_VE: Tensor) -> Tensor:
        """W₁⁽ʲ⁾ e(w) for every word and position: what a cache may keep.

        Returns:
            projection_VWH.
        """
        weight_HWE = self.first.weight.view(-1, self.width, e_VE.shape[1])
        return torch.einsum("ve,hwe->vwh", e_VE, weight_HWE)

    def mix(self, projection_VWH: Tensor, ids_NW: Tensor) -> Tensor:
        """Σⱼ W₁⁽ʲ⁾ e(wⱼ) + b₁ for every window; returns preactivation_NH."""
        place_NW = ids_NW * self.width + torch.arange(self.width, device=ids_NW.device)
        return functional.embedding_bag(place_NW, projection_VWH.flatten(0, 1), mode="sum") + self.first.bias

    def classify(self, preactivation_NH: Tensor) -> Tensor:
        """The layers after the sum; returns logits_NK."""
        hidden_NH = self.hidden_dropout(self.activation(preactivation_NH))
        for layer in self.rest:
            hidden_NH = self.hidden_dropout(self.activation(layer(hidden_NH)))
        logits_NK: Tensor = self.output(hidden_NH)
        return logits_NK

    def forward(self, rows: Rows, ids_NW: Tensor) -> Tensor:
        """Score all tags for the middle of every window.

        Args:
            rows: features of U distinct words.
            ids_NW: windows over ``0 … U``: 0 is PAD, u + 1 is word u.

        Returns:
            logits_NK, unnormalised: softmax over K gives P(tag | window).
        """
        e_VE = self.input_dropout(self.encode(rows))
        return self.classify(self.mix(self.project(e_VE), ids_NW))
