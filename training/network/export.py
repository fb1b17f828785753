"""From the network as torch trains it to the checkpoint that serves."""

from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
from fenestra.model.network.network import WindowTagger as ServedNetwork
from fenestra.model.words.lexicon import Lexicon
from fenestra.model.words.vectors import VectorTable as ServedTable
from fenestra.training.network.window_tagger import WindowTagger

_STORED = {"crf.start": "chain.start", "crf.transitions": "chain.step", "crf.end": "chain.end"}
"""Weights whose names in a checkpoint are older than those in the code."""


def to_checkpoint(config: ModelConfig, lexicon: Lexicon, network: WindowTagger, calibration: Calibration) -> Checkpoint:
    """Copy the weights of a network into a checkpoint, on the CPU."""
    weights = {_STORED.get(name, name): weight.detach().cpu() for name, weight in network.state_dict().items()}
    served = ServedNetwork(config, lexicon, ServedTable(weights["vectors.codes"], weights["vectors.scale"]))
    served.load_state_dict(weights)
    return Checkpoint(config, lexicon, served.eval(), calibration)
