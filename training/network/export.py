"""From the network as torch trains it to the checkpoint that serves, and back."""

import numpy as np
import torch

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.network.parameters import NOT_LEARNED, Parameters
from fenestra.model.words.lexicon import Lexicon
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
    arrays = {}
    for name, weight in network.state_dict().items():
        array = weight.detach().cpu().numpy().copy()
        arrays[_STORED.get(name, name)] = array if name in _FIXED else array.astype(np.dtype(config.weights))
    return Checkpoint(config, lexicon, Parameters.from_arrays(config, lexicon, arrays), calibration)


def from_checkpoint(model: Checkpoint) -> WindowTagger:
    """The network of a checkpoint, on the CPU."""
    arrays = {name: torch.tensor(array) for name, array in model.parameters.to_arrays("float32").items()}
    table = VectorTable(arrays["vectors.codes"], arrays["vectors.scale"])
    network = WindowTagger(model.config, model.lexicon, table)
    names = {stored: name for name, stored in _STORED.items()}
    network.load_state_dict({names.get(name, name): array for name, array in arrays.items()})
    return network.eval()
