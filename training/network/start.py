"""Weights to begin with: the network of a trained model, made wider by the labels that it does not know yet.

K tags
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fenestra.model import checkpoint
from fenestra.model.bundled import DEFAULT, bundled_model
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import MOST_PAIRED, Calibration
from fenestra.model.errors import ConfigError
from fenestra.model.tags import tag_set
from fenestra.training.network.export import from_checkpoint
from fenestra.training.network.window_tagger import WindowTagger


def load_start(source: str, config: ModelConfig) -> Checkpoint:
    """Load the model that a job begins with.

    Args:
        source: ``bundled``, ``bundled:NAME`` or ``checkpoint:FOLDER``.
        config: of the model to be trained.

    Raises:
        ConfigError: it differs from the model to be trained in more than that it has fewer labels.
        InputError: no model of that name is bundled.
        CheckpointError: it cannot be loaded.
    """
    kind, _, rest = source.partition(":")
    start = checkpoint.load(bundled_model(rest or DEFAULT) if kind == "bundled" else Path(rest))
    if replace(config, labels=start.config.labels) != start.config:
        raise ConfigError("model: expected as in config.json of training.start, but for labels")
    if missing := [label for label in start.config.labels if label not in config.labels]:
        raise ConfigError(f"model.labels: training.start has {', '.join(missing)} besides")
    return start


@torch.no_grad()
def begun(start: Checkpoint, config: ModelConfig) -> WindowTagger:
    """The network of a trained model, with an output for every tag of a configuration.

    Args:
        start: the trained model.
        config: the same, with more labels perhaps.
    """
    network = from_checkpoint(start).train()
    before, after = (tag_set(labels, config.scheme) for labels in (start.config.labels, config.labels))
    if before == after:
        return network
    wider = WindowTagger(config, start.lexicon, network.vectors)
    place_K = torch.tensor([after.index(tag) for tag in before])
    old, new = network.state_dict(), wider.state_dict()
    of_tags = [name for name in new if name.startswith(("output.", "crf."))]
    new |= {name: value for name, value in old.items() if name not in of_tags}
    for name in of_tags:
        # nobody has been shown a new tag yet
        new[name].fill_(float(old[name].min()) if name == "output.bias" else 0.0)
        place = torch.meshgrid(place_K, place_K, indexing="ij") if name == "crf.transitions" else place_K
        new[name][place] = old[name]
    wider.load_state_dict(new)
    return wider


def calibration_for(start: Checkpoint, config: ModelConfig) -> Calibration:
    """The calibration of a trained model for the tags of a configuration; arguments as of :func:`begun`.

    What label consistency knows of pairs of tags says nothing of new ones, and is left out where there are very many.
    """
    known_KK = np.array(start.calibration.tag_by_tag)
    before, after = (tag_set(labels, config.scheme) for labels in (start.config.labels, config.labels))
    if not len(known_KK) or before == after:
        return start.calibration
    if len(after) > MOST_PAIRED:
        return replace(start.calibration, tag_by_tag=())
    place_K = [after.index(tag) for tag in before]
    wider_KK = np.zeros((len(after), len(after)))
    wider_KK[np.ix_(place_K, place_K)] = known_KK
    return replace(start.calibration, tag_by_tag=tuple(map(tuple, wider_KK.tolist())))
