"""The network: rows of words → windows → one score for each tag.

    U distinct words · V = U + 1, the row PAD first · E width of e(w) · W window width · H hidden units · N windows
    P documents · D width of a vector · K tags

The lecture concatenates the vectors of a window and multiplies:

    x = [e(w₋C) ; … ; e(w₊C)]        z = W₁ x + b₁

The same product, regrouped by position, is a sum of 2C+1 vectors that each depend on one word and one position:

    z = Σⱼ W₁⁽ʲ⁾ e(wⱼ) + b₁

which is how it is computed here, once for each distinct word and not once for each window. What is known of the
document around the window (``model/network/context.py``) adds summands of the same width.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fenestra.model.config import Activation, ModelConfig
from fenestra.model.network.context import CASE_CLASSES
from fenestra.model.tags import tag_set
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.config import TrainingConfig
from fenestra.training.network.bf16_linear import linear_function
from fenestra.training.network.crf import LinearChainCRF
from fenestra.training.network.row_sums import sum_rows
from fenestra.training.network.rows import Lengths, Rows, Windows
from fenestra.training.network.word_encoder import WordEncoder
from fenestra.training.vectors.quantise import VectorTable

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}

_SUMMAND_STD = 0.01  # the same of untrained summands of the first layer


def xavier_uniform_(weight: Tensor, *, fan_in: int, fan_out: int) -> None:
    """U(−a, a) with variance 2 / (fan_in + fan_out), for sigmoid and tanh (Glorot & Bengio, AISTATS 2010)."""
    bound = math.sqrt(6 / (fan_in + fan_out))
    nn.init.uniform_(weight, -bound, bound)


def he_uniform_(weight: Tensor, *, fan_in: int, fan_out: int) -> None:
    """U(−a, a) with variance 2 / fan_in, for the ReLU family (He et al., ICCV 2015); fan_out is not used."""
    bound = math.sqrt(6 / fan_in)
    nn.init.uniform_(weight, -bound, bound)


class WindowTagger(WordEncoder):
    """Score every tag for the token in the middle of a window.

    Sources: Bengio et al., JMLR 3 (2003), the network; Collobert et al., JMLR 12 (2011), its use as a tagger.
    """

    def __init__(self, config: ModelConfig, lexicon: Lexicon, vectors: VectorTable) -> None:
        super().__init__(config, lexicon, vectors)
        features = config.features
        self.width = 2 * config.context + 1
        self.pad = nn.Parameter(torch.zeros(1, self.entry))
        first, *rest = config.hidden
        self.project = nn.Linear(self.entry, self.width * first, bias=False)
        self.bias = nn.Parameter(torch.zeros(first))
        self.elsewhere = nn.Parameter(torch.zeros((CASE_CLASSES + 1) * self.width * features.elsewhere, first))
        self.topic = nn.Parameter(torch.zeros(first, vectors.width * features.topic))
        self.rest = nn.ModuleList(nn.Linear(a, b) for a, b in zip(config.hidden, rest, strict=False))
        self.activation = ACTIVATIONS[config.activation]()
        tags = tag_set(config.labels, config.scheme)
        self.output = nn.Linear(config.hidden[-1], len(tags))
        self.crf = LinearChainCRF(tags, config.scheme) if config.decoder == "transitions" else None
        self.linear: Callable[[Tensor, Tensor], Tensor] = functional.linear
        """X · Wᵀ of the first layer in training; may append rows of zeros."""
        self.initialise(config.activation)

    def prepare(self, options: TrainingConfig, device: torch.device) -> None:
        """Set what only training has."""
        super().prepare(options, device)
        self.linear = linear_function(options.precision, device)
        if options.members > 1:
            self.pad.register_hook(self._keep_vector)  # type: ignore[no-untyped-call]

    def _keep_vector(self, gradient: Tensor) -> Tensor:
        """Leave the vector of PAD at 0: networks that are to be one share the vectors of words, PAD among them."""
        return torch.cat(
            [torch.zeros_like(gradient[:, : self.vectors.width]), gradient[:, self.vectors.width :]], dim=1
        )

    def initialise(self, activation: Activation) -> None:
        """Draw the weights: He's rule for the ReLU family, Xavier's otherwise; biases start at 0."""
        draw = he_uniform_ if activation in ("relu", "gelu", "silu") else xavier_uniform_
        hidden = self.bias.numel()
        draw(self.project.weight, fan_in=self.project.in_features * self.width, fan_out=hidden)
        for summand in (self.elsewhere, self.topic):
            nn.init.normal_(summand, std=_SUMMAND_STD)
        for layer in (*self.layers(), self.output):
            draw(layer.weight, fan_in=layer.in_features, fan_out=layer.out_features)
            nn.init.zeros_(layer.bias)
        self.initialise_rows()

    def layers(self) -> list[nn.Linear]:
        """The hidden layers after the first."""
        return [layer for layer in self.rest if isinstance(layer, nn.Linear)]

    def encode(self, rows: Rows) -> Tensor:
        """e(w) of every distinct word, after the row PAD.

        Returns:
            e_VE: row 0 is PAD, row u + 1 is word u.
        """
        return torch.cat([self.pad, self.encode_words(rows)])

    def project_rows(self, rows: Rows) -> Tensor:
        """W₁⁽ʲ⁾ e(w) of PAD and of every distinct word, for all positions; returns projection_VM, M = W·H."""
        linear = self.linear if self.training else functional.linear
        return linear(self.input_dropout(self.encode(rows)), self.project.weight)

    def first_layer(self, projection_VM: Tensor, windows: Windows) -> Tensor:
        """Σⱼ W₁⁽ʲ⁾ e(wⱼ) + b₁ for every window, and what its document adds.

        Args:
            projection_VM: from :meth:`project_rows`, or any table whose row 0 is that of PAD.
            windows: over the V rows.

        Returns:
            preactivation_NH.
        """
        total_NH = self.sum_window(projection_VM.view(-1, self.bias.numel()), windows.word_NW) + self.bias
        if self.elsewhere.numel():
            total_NH += self.sum_window(self.elsewhere, windows.elsewhere_NW)
        if self.topic.numel():
            total_NH += functional.linear(self.standardise_topics(windows.topic_PD), self.topic)[windows.document_N]
        return total_NH

    def sum_window(self, table_RH: Tensor, id_NW: Tensor) -> Tensor:
        """Look up one row for each word and position, and sum those of a window.

        Args:
            table_RH: R = V · W rows; row v · W + j is that of word v at position j.
            id_NW: V words by number.

        Returns:
            sum_NH.
        """
        place_NW = id_NW * self.width + torch.arange(self.width, device=id_NW.device)
        return sum_rows(table_RH, place_NW)

    def classify(self, preactivation_NH: Tensor) -> Tensor:
        """The layers after the first sum; returns logits_NK."""
        hidden_NH = self.activate(preactivation_NH)
        for layer in self.layers():
            hidden_NH = self.activate(layer(hidden_NH))
        logits_NK: Tensor = self.output(hidden_NH)
        return logits_NK

    def activate(self, preactivation_NH: Tensor) -> Tensor:
        """f(z) of hidden units, with dropout in training."""
        hidden_NH: Tensor = self.hidden_dropout(self.activation(preactivation_NH))
        return hidden_NH

    def forward(self, rows: Rows, windows: Windows, _lengths: Lengths | None = None) -> Tensor:
        """Score all tags for the middle of every window.

        Args:
            rows: features of U distinct words.
            windows: over ``0 … U``: 0 is PAD, u + 1 is word u.
            _lengths: where sentences end, which the windows show already.

        Returns:
            logits_NK, unnormalised: softmax over K gives P(tag | window); with a CRF they are the emission scores.
        """
        return self.classify(self.first_layer(self.project_rows(rows), windows))
