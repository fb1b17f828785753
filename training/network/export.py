"""From the network as torch trains it to the checkpoint that serves or teaches, and back."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fenestra.model.checkpoint import Arrays, Checkpoint, load_arrays
from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.network.array_file import Layout
from fenestra.model.network.parameters import NOT_LEARNED, Parameters, check_layout
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.network.recurrent_tagger import RecurrentTagger
from fenestra.training.network.window_tagger import WindowTagger
from fenestra.training.vectors.quantise import VectorTable

_STORED = {"crf.start": "chain.start", "crf.transitions": "chain.step", "crf.end": "chain.end"}
"""Weights whose names in a checkpoint are older than those in the code."""
_FIXED = ("vectors.codes", *NOT_LEARNED)


def to_checkpoint(config: ModelConfig, lexicon: Lexicon, network: WindowTagger, calibration: Calibration) -> Checkpoint:
    """Copy the weights of a network into a checkpoint, rounded to the number type that the configuration names.

    Raises:
        ValueError: a weight is not finite, or too large for the number type; names it.
    """
    arrays = {_STORED.get(name, name): array for name, array in _arrays(network, config).items()}
    return Checkpoint(config, lexicon, Parameters.from_arrays(config, lexicon, arrays), calibration)


def from_checkpoint(model: Checkpoint) -> WindowTagger:
    """The network of a checkpoint, on the CPU."""
    arrays = {name: torch.tensor(array) for name, array in model.parameters.to_arrays("float32").items()}
    table = VectorTable(arrays["vectors.codes"], arrays["vectors.scale"])
    network = WindowTagger(model.config, model.lexicon, table)
    names = {stored: name for name, stored in _STORED.items()}
    network.load_state_dict({names.get(name, name): array for name, array in arrays.items()})
    return network.eval()


def recurrent_arrays(
    config: ModelConfig, lexicon: Lexicon, network: RecurrentTagger, calibration: Calibration
) -> Arrays:
    """As :func:`to_checkpoint`, of a recurrent network, whose weights keep their names."""
    return Arrays(config, lexicon, _arrays(network, config), calibration)


def load_recurrent(folder: Path) -> tuple[Arrays, RecurrentTagger]:
    """Open the folder of a recurrent model; the network is on the CPU.

    Raises:
        CheckpointError: as :func:`fenestra.model.checkpoint.load`, or it is a model of another kind.
    """
    model = load_arrays(folder, _check_recurrent)
    arrays = {n: torch.from_numpy(a.astype(np.float32) if a.dtype.kind == "f" else a) for n, a in model.arrays.items()}
    if model.config.features.storage == "float16":
        arrays["vectors.codes"] = arrays["vectors.codes"].half()
    network = RecurrentTagger(
        model.config, model.lexicon, VectorTable(arrays["vectors.codes"], arrays["vectors.scale"])
    )
    network.load_state_dict(arrays)
    return model, network.eval()


def _arrays(network: nn.Module, config: ModelConfig) -> dict[str, NDArray[np.generic]]:
    """The weights by name, those that are learned in the number type that the configuration names."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, weight in network.state_dict().items():
        array = weight.detach().cpu().numpy().copy()
        arrays[name] = array if name in _FIXED else array.astype(np.dtype(config.weights))
    return arrays


def _check_recurrent(config: ModelConfig, lexicon: Lexicon, layout: Layout) -> None:
    if config.kind != "recurrent":
        raise ValueError("expected a recurrent model")
    check_layout(config, lexicon, layout, _recurrent_shapes)


def _recurrent_shapes(config: ModelConfig, lexicon: Lexicon, vector_width: int) -> dict[str, tuple[int, ...]]:
    """Of a network that takes no memory."""
    with torch.device("meta"):
        network = RecurrentTagger(config, lexicon, VectorTable(torch.empty(0, vector_width), torch.empty(0, 1)))
    shapes = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    return {name: shape for name, shape in shapes.items() if not name.startswith("vectors.")}
