"""Scoring on a GPU: the only file of the model that imports torch, when a CUDA device is asked for.

The row cache has a mirror there, and a bag of 65,536 windows is one look-up and sum. Reading, case classes and paths
stay in C. The same code runs on torch's CPU device, where it is tested.

N windows of a bag · P documents · W window width · H hidden units · K tags
"""

import ctypes
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.engine.library import Array
from fenestra.model.engine.native import Line, Scorer
from fenestra.model.engine.row_cache import Mirror, RowCache
from fenestra.model.engine.weights import Weights
from fenestra.model.errors import InputError

_PIECE = 1 << 16  # tokens of a bag: who wants a GPU for speed has many
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


def resolve_device(name: str) -> str:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` into a device that exists here; ``auto`` takes CUDA if it can.

    torch is not imported to say ``cpu``: without a driver that finds a GPU there is nothing to ask it.

    Raises:
        InputError: the name is unknown, there is no such device, or torch is not installed.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and (kind != "cuda" or not index.isdecimal())):
        raise InputError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    if kind == "cpu" or (kind == "auto" and not (find_spec("torch") and _driver_finds_gpu())):
        return "cpu"
    if not find_spec("torch"):
        raise InputError(f"device {name!r}: needs torch; install the extra: pip install 'fenestra-ner[gpu]'")
    import torch

    count = torch.cuda.device_count()
    if kind == "auto":
        return "cuda" if count else "cpu"
    if int(index or 0) >= count:
        raise InputError(f"device {name!r}: this machine offers {count} CUDA devices")
    return name


def torch_scorer(model: Checkpoint, device: str) -> Callable[[Weights], Scorer]:
    """What makes a scorer of ``Native`` that computes with torch on one of its devices."""
    import torch
    from torch import Tensor
    from torch.nn import functional

    activation: Callable[[Tensor], Tensor] = getattr(functional, model.config.activation)

    class TorchMirror:
        """The rows of a row cache on the device."""

        def __init__(self, slots: int, weights: Weights) -> None:
            self.rows = torch.empty((slots, weights.window, weights.hidden), device=device)

        def write(self, slot_U: NDArray[np.int64], row_UWH: Array) -> None:
            """Copy some rows."""
            self.rows[torch.from_numpy(slot_U).to(device)] = torch.from_numpy(row_UWH).to(device)

    class TorchScorer:
        """One look-up and sum for a whole bag, then the layers."""

        piece = _PIECE

        def __init__(self, weights: Weights) -> None:
            p = model.parameters
            self._weights, self._temperature = weights, model.calibration.temperature
            self._position_W = torch.arange(weights.window, device=device)
            layers = (*p.hidden, p.output)
            self._layers = [tuple(torch.tensor(part, device=device) for part in layer) for layer in layers]

        def mirror(self, slots: int) -> Mirror | None:
            """A place for the rows of a row cache."""
            return TorchMirror(slots, self._weights)

        @torch.inference_mode()
        def __call__(self, cache: RowCache, line: Line, log_NK: NDArray[np.float32]) -> int:
            """Write log p of a bag."""
            assert isinstance(cache.mirror, TorchMirror)
            slots, place_N, row_N, row_PH = map(self._send, line)
            slot_NW = slots[place_N.long()[:, None] + self._position_W].long()
            place_NW = slot_NW * len(self._position_W) + self._position_W
            rows = cache.mirror.rows.view(-1, self._weights.hidden)
            x_NH = functional.embedding_bag(place_NW, rows, mode="sum") + row_PH[row_N.long()]
            x_NH = x_NH[:, : self._weights.units]
            for weight_OI, bias_O in self._layers:
                x_NH = functional.linear(activation(x_NH), weight_OI, bias_O)
            log_NK[:] = functional.log_softmax(x_NH / self._temperature, dim=1).cpu().numpy()
            return int(np.isnan(log_NK).any(axis=1).sum())

        def _send(self, array: Array) -> Tensor:
            """Send an array to the device; a GPU computes meanwhile."""
            tensor = torch.from_numpy(array)
            return tensor.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else tensor.to(device)

    return TorchScorer


def _driver_finds_gpu() -> bool:
    """Whether the NVIDIA driver is here and lists a GPU."""
    for name in _DRIVERS:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int()
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    return False
