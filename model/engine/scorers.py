"""From rows of the table to log p: on the CPU in C, on a GPU with one look-up and sum for a whole bag.

S slots · W window width · H hidden units, filled up · N windows of a bag · R rows they start from · K tags
"""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fenestra.model import tiles
from fenestra.model.engine.library import Array, Kernel, address
from fenestra.model.engine.row_cache import Table
from fenestra.model.engine.weights import NOT_NUMBERS, Weights
from fenestra.model.errors import RunError
from fenestra.model.network.network import WindowTagger

_LAYERS = 8.0  # times as long as looking a token up
_SHARE = 512  # windows; with fewer, another thread is not worth waking


class Laid(NamedTuple):
    """The windows of a bag, as places in one line of slots."""

    line: NDArray[np.int32]
    """Slots of the table, words in order with PAD around sentences."""
    place_N: NDArray[np.int32]
    """Where in the line each window begins."""
    row_N: NDArray[np.int32]
    """Which row of row_RH is added to each."""
    row_RH: NDArray[np.float32]


class CpuLayers:
    """In C as far as ReLU goes; other activations are torch's. On as many threads as torch may use."""

    def __init__(self, kernel: Kernel, weights: Weights, network: WindowTagger, temperature: float) -> None:
        self._kernel, self._weights, self._network, self._temperature = kernel, weights, network, temperature
        self._pool = ThreadPoolExecutor(thread_name_prefix="windows")

    def __call__(self, table: Table, laid: Laid, log_NK: NDArray[np.float32]) -> None:
        """Write log p of a bag.

        Raises:
            RunError: a score is no number.
        """
        if self._weights.relu:
            wrong = self._run(self._kernel.call(len(log_NK), _LAYERS).score, table, laid, log_NK)
        else:
            sum_NH = np.empty((len(log_NK), self._weights.hidden), np.float32)
            self._run(self._kernel.call(len(log_NK), _LAYERS).mix, table, laid, sum_NH)
            with torch.inference_mode():
                logits_NK = self._network.classify(torch.from_numpy(sum_NH)[:, : self._weights.units].contiguous())
            log_NK[:] = tiles.log_softmax(logits_NK.numpy(), self._temperature)
            wrong = int(np.isnan(log_NK).any())
        if wrong:
            raise RunError(NOT_NUMBERS)

    def _run(self, function: "ctypes._NamedFuncPointer", table: Table, laid: Laid, result: Array) -> int:
        """Share the windows out among threads; how many numbers are none."""

        def work(begin: int, end: int) -> int:
            wrong: int | None = function(
                ctypes.byref(self._weights.network), address(table.numbers), address(table.unit), address(laid.line),
                address(laid.place_N), address(laid.row_N), address(laid.row_RH), begin, end, address(result),
            )  # fmt: skip
            if wrong is not None and wrong < 0:
                raise MemoryError
            return wrong or 0

        size = len(laid.place_N)
        threads = min(torch.get_num_threads(), max(size // _SHARE, 1))
        if threads == 1:
            return work(0, size)
        bounds = [size * part // threads for part in range(threads + 1)]
        return sum(self._pool.map(work, bounds[:-1], bounds[1:]))


class DeviceLayers:
    """The same with torch, where the table has a twin on the device; tables are of float32."""

    def __init__(self, weights: Weights, network: WindowTagger, temperature: float) -> None:
        self._units, self._network, self._temperature = weights.units, network, temperature
        self._position_W = torch.arange(weights.width, device=network.bias.device)

    @torch.inference_mode()
    def __call__(self, table: Table, laid: Laid, log_NK: NDArray[np.float32]) -> None:
        """Write log p of a bag.

        Raises:
            RunError: a score is no number.
        """
        assert table.twin is not None
        line, place_N, row_N, row_RH = map(self._sent, laid)
        slot_NW = line[place_N.long()[:, None] + self._position_W].long()
        place_NW = slot_NW * len(self._position_W) + self._position_W
        sum_NH = functional.embedding_bag(place_NW, table.twin.view(-1, table.twin.shape[-1]), mode="sum")
        sum_NH = (sum_NH + row_RH[row_N.long()])[:, : self._units].contiguous()
        log_softmax_NK = functional.log_softmax(self._network.classify(sum_NH) / self._temperature, dim=1)
        log_NK[:] = log_softmax_NK.cpu().numpy()
        if np.isnan(log_NK).any():
            raise RunError(NOT_NUMBERS)

    def _sent(self, array: Array) -> Tensor:
        """Send an array to the device; a GPU computes meanwhile."""
        device = self._position_W.device
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
