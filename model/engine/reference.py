"""The way of a request in Python, numpy and torch: on a GPU, and where the kernel was not compiled.

It is also what the kernel is held against (``tests/model/test_native.py``): other code, the same answers.
"""

from collections.abc import Generator, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fenestra.model import tiles
from fenestra.model.batch import Batch, Inputs, Sentences, look_up
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.decode import label_consistency as agreement
from fenestra.model.decode.crf import step_scores
from fenestra.model.decode.decoding import Paths, read_paths, scheme_tables
from fenestra.model.errors import RunError
from fenestra.model.network.windows import Windows
from fenestra.model.projections import Projections
from fenestra.model.reading import read
from fenestra.model.results import Places
from fenestra.model.steps import Step, named, run
from fenestra.model.tags import tag_set


class Plain:
    """Tags batches with torch. Threads may share it."""

    def __init__(self, model: Checkpoint, cache_mb: float) -> None:
        """Set up.

        Args:
            model: its network is where it is to compute.
            cache_mb: size of the table of words, in units of 10⁶ bytes.
        """
        self._model = model
        self._tags = tag_set(model.config.labels, model.config.scheme)
        self._learned = step_scores(model.network.chain, model.calibration.temperature)
        self._first_layer = Projections(model.network, model.lexicon, cache_mb)

    def batches(self, items: Sequence[str | Sequence[str]]) -> Iterator[Step | tuple[Batch, list[Places]]]:
        """Read texts (strings) and sentences of words (lists) into batches, giving way after a few thousand tokens.

        Raises:
            InputError: a word is empty.
        """
        return ((full if isinstance(full, Step) else (full.batch, full.places)) for full in read(items))

    def documents(self, documents: Sequence[Sentences]) -> Batch:
        """Read documents whose sentences are words already."""
        return Batch.of(documents)

    def log_probabilities(
        self, batch: Batch, part: tuple[int, int] | None = None
    ) -> Generator[Step, None, NDArray[np.float32]]:
        """Log p of every token of a batch, or of a part of them: log_TK.

        Raises:
            RunError: a score is no number.
        """
        inputs = yield from self._look_up(batch)
        parts_NK = [np.zeros((0, len(self._tags)), dtype=np.float32)]
        for words, windows in (inputs.part(*part) if part else inputs).bags():
            logits_NK = yield from named("network", self._logits(words, windows))
            parts_NK.append(tiles.log_softmax(logits_NK, self._model.calibration.temperature))
            yield Step("network")
        log_TK = np.concatenate(parts_NK)
        if np.isnan(log_TK).any():
            raise RunError("the model's scores are not numbers: its weights are damaged")
        return log_TK

    def agree(self, batch: Batch, log_TK: NDArray[np.float32]) -> Generator[None, None, None]:
        """Let the tokens of every word of a document agree, in place."""
        repeats = yield from agreement.find_repeats(batch)
        label_K = scheme_tables(self._tags, self._model.config.scheme).label_K
        yield from agreement.agree(log_TK, repeats, label_K, self._model.calibration.agreement)

    def paths(self, log_TK: NDArray[np.float32], lengths: Sequence[int]) -> Generator[None, None, Paths]:
        """Find the best legal path of every sentence and read it, giving way now and then."""
        return read_paths(log_TK, lengths, self._tags, self._model.config.scheme, self._learned)

    def strange(self, batch: Batch) -> NDArray[np.bool_]:
        """Which tokens are words that training did not know; shape (T,)."""
        word_T = batch.word_numbers()
        found_T: NDArray[np.bool_] = np.array([*map(self._model.lexicon.strange, batch.words)], np.bool_)[word_T]
        return found_T

    def window(self, batch: Batch, token: int) -> tuple[list[str], Windows]:
        """The words of the window of one token, and the window over them as the network has it."""
        ((words, window),) = run(self._look_up(batch)).part(token, token + 1).bags()
        return words, window

    def _look_up(self, batch: Batch) -> Generator[Step, None, Inputs]:
        return look_up(batch, self._model.lexicon, self._model.network.vectors, self._model.config)

    def _logits(self, words: Sequence[str], windows: Windows) -> Generator[None, None, NDArray[np.float32]]:
        preactivation_NH = yield from self._first_layer.mix(words, windows)
        with torch.inference_mode():
            logits_NK: NDArray[np.float32] = self._model.network.classify(preactivation_NH).cpu().numpy()
        return logits_NK
