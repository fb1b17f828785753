"""The weights of a network as the kernel reads them: contiguous, widths filled up to whole panels.

E width of e(w) · W window width · H hidden units, filled up · D width of a vector · K tags
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fenestra.model.engine import library
from fenestra.model.engine.library import PANEL, Array, Kernel, address, copied, empty, filled, padded, panels
from fenestra.model.errors import RunError
from fenestra.model.network.network import WindowTagger
from fenestra.model.words.lexicon import Lexicon
from fenestra.model.words.surface import clip
from fenestra.model.words.vectors import VectorTable

NOT_NUMBERS = "the model's scores are not numbers: its weights are damaged"
_NO_NUMBER = 2  # as in rows.c
_LARGEST_INT8 = 127
_NEW_WORD = 500.0  # times as long as looking a token up
_STORAGE = {torch.float32: "float32", torch.int8: "int8", torch.float16: "float16", torch.uint8: "int4"}


class Addresses:
    """A C array of the addresses of some arrays, which it keeps alive."""

    def __init__(self, arrays: list[Array]) -> None:
        self._arrays = arrays
        self.array = np.array([address(array) for array in arrays] or [0], dtype=np.uint64)


class Weights:
    """A network's numbers, and what the kernel does with words: e(w), and its rows."""

    def __init__(
        self, kernel: Kernel, network: WindowTagger, lexicon: Lexicon, numbers: str, tags: int, temperature: float
    ) -> None:
        """Copy the weights.

        Args:
            kernel: the compiled library.
            network: on the CPU.
            lexicon: looks up the features of words.
            numbers: of the table of words, one of ``library.KINDS``.
            tags: K.
            temperature: of the softmax.
        """
        self._kernel, self._lexicon = kernel, lexicon
        self.width = network.width
        self.units = network.bias.numel()
        self.hidden = filled(self.units, 2 * PANEL)  # for add_up_int8
        self.entry = network.project.in_features
        self.relu = isinstance(network.activation, nn.ReLU)
        """Whether the kernel can do all layers; it has no other activation."""
        self.pad = copied(network.pad)
        first_WHE = copied(network.project.weight).reshape(self.width, self.units, self.entry)
        self.first = empty((self.width, self.hidden // PANEL, self.entry, PANEL), np.float32)
        for position, weight_HE in enumerate(first_WHE):
            self.first[position] = panels(weight_HE, self.hidden, self.entry)
        self.summand = padded(copied(network.elsewhere), self.hidden) if network.elsewhere.numel() else None
        self.bias = padded(copied(network.bias), self.hidden)
        self.features, self._feature_arrays = _features(network, network.vectors)
        self.network, self._network_arrays = _layers(network, self.hidden, numbers, tags, temperature)
        self.numbers = numbers
        self.step = padded(np.zeros(0, np.float32), self.hidden)
        """Of each hidden unit, what a 1 means in a table of int8; see :meth:`measure`."""
        self.network.unit = address(self.step)

    def encode(self, words: Sequence[str]) -> NDArray[np.float32]:
        """e(w) of some words: entry_UE."""
        config = self._lexicon.features
        hashed = self._hash_ngrams(words, config.ngram_sizes, config.ngram_buckets) if config.ngram else None
        rows = self._lexicon.rows(words, hashed)
        vector_U, field_UF, gram_UG = (np.ascontiguousarray(part.numpy()) for part in rows)
        entry_UE = np.empty((len(vector_U), self.entry), np.float32)
        self._kernel.short.encode(
            ctypes.byref(self.features), address(vector_U), address(field_UF), address(gram_UG), gram_UG.shape[1],
            len(vector_U), address(entry_UE),
        )  # fmt: skip
        return entry_UE

    def _hash_ngrams(self, words: Sequence[str], sizes: Sequence[int], buckets: int) -> Tensor:
        """The buckets of the words' n-grams, as of :func:`fenestra.model.words.surface.ngrams`."""
        marked = [f"<{clip(word)}>" for word in words]
        encoded = [word.encode("utf-8", "surrogatepass") for word in marked]
        longest = max(map(len, marked), default=0)
        most = max(sum(max(longest - size + 1, 0) for size in sizes), 1)
        letters, end_U = (
            np.frombuffer(b"".join(encoded), np.uint8),
            np.array(list(map(len, encoded)), np.int64).cumsum(),
        )
        size_N, gram_UG = np.array(sizes, np.int64), np.empty((len(words), most), np.int64)
        self._kernel.short.hash_ngrams(
            address(letters), address(end_U), len(words), address(size_N), len(size_N), buckets, address(gram_UG), most
        )
        return torch.from_numpy(gram_UG)

    def measure(self, entry_UE: NDArray[np.float32]) -> None:
        """Make steps large enough for the rows of some words."""
        row_UWH = empty((len(entry_UE), self.width, self.hidden), np.float32)
        numbers, self.numbers = self.numbers, "float32"
        self.project(entry_UE, np.zeros(len(entry_UE), np.int64), np.arange(len(entry_UE)), row_UWH, self.step)
        self.numbers = numbers
        np.maximum(self.step, np.abs(row_UWH).max(axis=(0, 1)) / _LARGEST_INT8, out=self.step)

    def project(
        self,
        entry_UE: NDArray[np.float32],
        class_U: NDArray[np.int64],
        slot_U: NDArray[np.int64],
        table: Array,
        unit: NDArray[np.float32],
    ) -> None:
        """Write the rows of some words to their slots of a table.

        Args:
            entry_UE: from :meth:`encode`.
            class_U: of each, 0 for PAD.
            slot_U: where they go.
            table: S × W × H.
            unit: S × W, scales of the rows of int16.

        Raises:
            RunError: a weight is no number.
            MemoryError: there was not enough.
        """
        failed = self._kernel.call(len(slot_U), _NEW_WORD).project(
            address(entry_UE), address(class_U), address(slot_U), len(slot_U), self.entry, self.width, self.hidden,
            address(self.first), address(self.summand), library.KINDS[self.numbers], address(self.step), address(table),
            address(unit),
        )  # fmt: skip
        if failed == _NO_NUMBER:
            raise RunError(NOT_NUMBERS)
        if failed:
            raise MemoryError


def _features(network: WindowTagger, vectors: VectorTable) -> tuple[library.Features, list[Any]]:
    """The tables that e(w) is looked up in; and what has to be kept alive."""
    codes, scale = copied(vectors.codes), copied(vectors.scale)
    tables = [copied(weight) for weight in network.fields.parameters()]
    addresses, widths = Addresses(tables), np.array([table.shape[1] for table in tables] or [0], np.int64)
    grams = copied(network.ngrams.weight)
    table = library.Features(
        width=vectors.width,
        storage=library.KINDS[_STORAGE[vectors.codes.dtype]],
        codes=address(codes),
        scale=address(scale),
        fields=len(tables),
        table=address(addresses.array),
        widths=address(widths),
        gram_width=network.ngrams.embedding_dim,
        grams=address(grams),
        entry=network.project.in_features,
    )
    return table, [codes, scale, addresses, widths, grams]


def _layers(
    network: WindowTagger, hidden: int, numbers: str, tags: int, temperature: float
) -> tuple[library.Network, list[Any]]:
    """The layers after the sum; and what has to be kept alive.

    Softmax does not change when a number is added to all of its arguments, so the output's weights are taken relative
    to those of O: there is a column less, and that is often a whole panel.
    """
    weights, biases, inputs = [], [], hidden
    for layer in network.layers():
        outputs = filled(layer.out_features)
        weights.append(panels(copied(layer.weight), outputs, inputs))
        biases.append(padded(copied(layer.bias), outputs))
        inputs = outputs
    weight_KH, bias_K = copied(network.output.weight), copied(network.output.bias)
    weights.append(panels(weight_KH[1:] - weight_KH[:1], filled(tags - 1), inputs))
    biases.append(padded(bias_K[1:] - bias_K[:1], filled(tags - 1)))
    widths = np.array([len(bias) for bias in biases], np.int64)
    weight, bias = Addresses(weights), Addresses(biases)
    layers = library.Network(
        width=network.width,
        hidden=hidden,
        kind=library.KINDS[numbers],
        layers=len(weights),
        weight=address(weight.array),
        bias=address(bias.array),
        outputs=address(widths),
        tags=tags,
        temperature=temperature,
    )
    return layers, [weight, bias, widths]
