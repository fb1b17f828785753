"""The parameters of a network as the kernel reads them: contiguous, widths padded to whole panels.

U words · E width of e(w) · W window width · H hidden units, padded · D width of a vector · P documents · K tags
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.engine.library import DECLARED, Array, Kernel, Structure, address, empty
from fenestra.model.engine.paired import Paired, paired
from fenestra.model.engine.reference import NAN_SCORES
from fenestra.model.engine.vocabulary import PLAIN_WORD, Vocabulary
from fenestra.model.errors import RunError
from fenestra.model.network.context import FEW
from fenestra.model.network.parameters import Floats, Layer, Parameters
from fenestra.model.text.canonical import clip

_CONSTANTS = DECLARED.constants
_PANEL = _CONSTANTS["PANEL"]
_LARGEST_INT8 = 127
_NEW_WORD = 500.0  # times as long as looking a token up
_ENCODED = 50.0
_TOPIC_ROW = 20.0


class Weights:
    """A network's numbers, and what the kernel does with words: e(w), and its rows."""

    def __init__(self, kernel: Kernel, model: Checkpoint, numbers: str) -> None:
        """Copy the weights; ``numbers`` are those of the table of rows: ``float32``, ``int16`` or ``int8``."""
        p = model.parameters
        self._kernel, self._lexicon, self._parameters = kernel, model.lexicon, p
        self.numbers = numbers
        self.window = p.window
        self.units = len(p.bias_H)
        # rows of int8 are added two panels at a time
        self.hidden = padded_width(self.units, 2 * _PANEL if numbers == "int8" else _PANEL)
        self._entry = len(p.pad_E)
        self.pad = p.pad_E[None]
        self._first = empty((self.window, self.hidden // _PANEL, self._entry, _PANEL), np.float32)
        for position, weight_HE in enumerate(p.first_WHE):
            self._first[position] = panels(weight_HE, self.hidden, self._entry)
        self._paired: Paired | None = None
        if numbers != "float32" and kernel.short.has_paired_products():
            self._paired = paired(p, self.hidden)
        self._class_CWH = None if p.elsewhere_CWH is None else pad_last(p.elsewhere_CWH, self.hidden)
        self.bias_H = pad_last(p.bias_H, self.hidden)
        self._topic = None if p.topic is None else panels(p.topic.weight_HD, self.hidden, p.vectors.width)
        self.unit_H = pad_last(np.zeros(0, np.float32), self.hidden)
        """Of each hidden unit, what a 1 means in a table of int8; see :meth:`measure`."""
        self._features = _features(p)
        self.network = _network(p, model, self.hidden, numbers, self.unit_H)

    def encode(self, words: Sequence[str]) -> Floats:
        """e(w) of some words: entry_UE."""
        config = self._lexicon.features
        hashed = self._hash_ngrams(words, config.ngram_sizes, config.ngram_buckets) if config.ngram else None
        rows = self._lexicon.rows(words, hashed)
        entry_UE = np.empty((len(words), self._entry), np.float32)
        self._kernel.short.encode_rows(
            self._features, rows.vector_U, rows.field_UF, rows.ngram_UG, rows.ngram_UG.shape[1], len(words), entry_UE
        )
        return entry_UE

    def encode_numbers(self, word_U: NDArray[np.int64], vocabulary: Vocabulary, text: Callable[[int], str]) -> Floats:
        """e(w) of some words of a vocabulary; ``text`` tells what odd ones are."""
        odd_U = vocabulary.known[word_U] != PLAIN_WORD
        if odd_U.all():
            return self.encode([text(number) for number in word_U.tolist()])
        entry_UE = np.empty((len(word_U), self._entry), np.float32)
        plain_U = word_U if not odd_U.any() else np.where(odd_U, word_U[~odd_U][0], word_U)
        self._kernel.call(len(word_U), _ENCODED).encode_words(
            self._features, *vocabulary.lookups, vocabulary.table, plain_U, len(plain_U), entry_UE
        )
        if odd_U.any():
            entry_UE[odd_U] = self.encode([text(number) for number in word_U[odd_U].tolist()])
        return entry_UE

    def _hash_ngrams(self, words: Sequence[str], sizes: Sequence[int], buckets: int) -> NDArray[np.int64]:
        """The buckets of the words' n-grams, as of :func:`fenestra.model.words.surface.ngrams`."""
        marked = [f"<{clip(word)}>" for word in words]
        encoded = [word.encode("utf-8", "surrogatepass") for word in marked]
        longest = max(map(len, marked), default=0)
        most = max(sum(max(longest - size + 1, 0) for size in sizes), 1)
        letters = np.frombuffer(b"".join(encoded), np.uint8)
        end_U = np.array(list(map(len, encoded)), np.int64).cumsum()
        size_N, gram_UG = np.array(sizes, np.int64), np.empty((len(words), most), np.int64)
        self._kernel.short.hash_ngrams(letters, end_U, len(words), size_N, len(size_N), buckets, gram_UG, most)
        return gram_UG

    def measure(self, entry_UE: Floats) -> None:
        """Make the units of int8 large enough for the rows of some words."""
        row_UWH = empty((len(entry_UE), self.window, self.hidden), np.float32)
        numbers, self.numbers = self.numbers, "float32"
        scale = np.empty((len(entry_UE), self.window), np.float32)
        self.project(entry_UE, np.zeros(len(entry_UE), np.int64), np.arange(len(entry_UE)), row_UWH, scale)
        self.numbers = numbers
        np.maximum(self.unit_H, np.abs(row_UWH).max(axis=(0, 1)) / _LARGEST_INT8, out=self.unit_H)

    def project(
        self, entry_UE: Floats, class_U: NDArray[np.int64], slot_U: NDArray[np.int64], table: Array, scale: Floats
    ) -> None:
        """Write the rows of words, of case classes from 0 for PAD, to slots of a table.

        The table is (slots, W, H), and its scale, of rows of int16, (slots, W).

        Raises:
            RunError: a row is not finite.
            MemoryError: there was not enough.
        """
        integers = self._paired if self.numbers != "float32" and self._paired else (None, None, None)
        failed = self._kernel.call(len(slot_U), _NEW_WORD).project_words(
            entry_UE, class_U, slot_U, len(slot_U), self._entry, self.window, self.hidden, self._first,
            *integers, self._class_CWH, _CONSTANTS[self.numbers.upper()], self.unit_H, table,
            scale,
        )  # fmt: skip
        if failed == _CONSTANTS["NOT_FINITE"]:
            raise RunError(NAN_SCORES)
        if failed:
            raise MemoryError

    def topic_rows(
        self, word_T: NDArray[np.int32], size_P: NDArray[np.int64], vector_of_word: NDArray[np.int32]
    ) -> tuple[Floats, Floats]:
        """What documents of so many tokens add to the first layer, and the bias: row_PH; and their mean vectors.

        Raises:
            MemoryError: there was not enough.
        """
        topic, width = self._parameters.topic, self._parameters.vectors.width
        if topic is None:
            return self.bias_H[None], np.zeros((len(size_P), 0), np.float32)
        sum_PD, known_P = np.zeros((len(size_P), width), np.float32), np.zeros(len(size_P), np.int64)
        self._kernel.call(len(word_T)).sum_vectors(
            self._features, word_T, size_P, len(size_P), vector_of_word, sum_PD, known_P
        )
        row_PH = empty((len(size_P), self.hidden), np.float32)
        if self._kernel.call(len(size_P), _TOPIC_ROW).topic_rows(
            sum_PD, known_P, len(size_P), width, FEW, topic.mean_D, topic.scale_D, self._topic, self.bias_H,
            self.hidden, row_PH,
        ):  # fmt: skip
            raise MemoryError
        return row_PH, (sum_PD / (known_P + FEW)[:, None]).astype(np.float32)


def padded_width(width: int, whole: int = _PANEL) -> int:
    """A width padded to whole panels."""
    return -(-width // whole) * whole


def panels(weight_OI: Floats, outputs: int, inputs: int) -> Floats:
    """A matrix padded to (outputs, inputs), as ``simd.h`` multiplies with it: panel by panel, each (inputs, PANEL)."""
    whole = np.zeros((outputs, inputs), dtype=np.float32)
    whole[: weight_OI.shape[0], : weight_OI.shape[1]] = weight_OI
    result = empty((outputs // _PANEL, inputs, _PANEL), np.float32)
    result[:] = whole.reshape(len(result), _PANEL, inputs).transpose(0, 2, 1)
    return result


def pad_last(x: Floats, width: int) -> Floats:
    """Pad the last axis with zeros."""
    result = empty((*x.shape[:-1], width), np.float32)
    result.fill(0)
    result[..., : x.shape[-1]] = x
    return result


def _addresses(arrays: Sequence[Array]) -> NDArray[np.uint64]:
    """Where some arrays begin; whoever has this keeps them."""
    return np.array([address(array) for array in arrays] or [0], dtype=np.uint64)


def _features(p: Parameters) -> Structure:
    """The tables that e(w) is looked up in."""
    tables, codes = list(p.fields.values()), p.vectors.codes_VD
    storage = "INT4" if codes.dtype == np.uint8 else codes.dtype.name.upper()
    features = DECLARED.structures["Features"](
        width=p.vectors.width, storage=_CONSTANTS[storage], codes=codes, scale=p.vectors.scale_V1,
        fields=len(tables), table=_addresses(tables),
        widths=np.array([table.shape[1] for table in tables] or [0], np.int64),
        gram_width=p.ngrams.shape[1], grams=p.ngrams, entry=len(p.pad_E),
    )  # fmt: skip
    features.keep(tables)
    return features


def _network(p: Parameters, model: Checkpoint, hidden: int, numbers: str, unit_H: Floats) -> Structure:
    """The layers after the sum.

    Softmax does not change when a number is added to all of its arguments, so the output's weights are taken relative
    to those of O: there is a column less, and that is often a whole panel.
    """
    weight_KH, bias_K = p.output
    relative = Layer(weight_KH[1:] - weight_KH[:1], bias_K[1:] - bias_K[:1])
    weights, biases, inputs = [], [], hidden
    for weight_OI, bias_O in (*p.hidden, relative):
        outputs = padded_width(len(bias_O))
        weights.append(panels(weight_OI, outputs, inputs))
        biases.append(pad_last(bias_O, outputs))
        inputs = outputs
    network = DECLARED.structures["Network"](
        width=p.window, hidden=hidden, numbers=_CONSTANTS[numbers.upper()],
        activation=_CONSTANTS[model.config.activation.upper()],
        layers=len(weights), weight=_addresses(weights), bias=_addresses(biases),
        outputs=np.array([len(bias) for bias in biases], np.int64),
        tags=len(bias_K), temperature=model.calibration.temperature, unit_H=unit_H,
    )  # fmt: skip
    network.keep(weights, biases)
    return network
