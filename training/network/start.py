"""Weights to begin with: the network of a trained model, made wider by the labels that it does not know yet.

K tags
"""

from dataclasses import replace
from itertools import chain, product
from pathlib import Path

import torch
from torch import Tensor

from fenestra.model import checkpoint
from fenestra.model.bundled import DEFAULT, bundled_model
from fenestra.model.checkpoint import Checkpoint
from fenestra.model.config import ModelConfig
from fenestra.model.decode.calibration import Calibration
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
    old = network.state_dict()
    fill = {"output.bias": float(old["output.bias"].min())}  # nobody has been shown such a tag yet
    new = {name: _placed(old[name], like, place_K, fill.get(name, 0.0)) for name, like in wider.state_dict().items()}
    wider.load_state_dict(new)
    return wider


def calibration_for(start: Checkpoint, config: ModelConfig) -> Calibration:
    """The calibration of a trained model for the tags of a configuration; arguments as of :func:`begun`.

    What label consistency knows of pairs of tags says nothing of new ones.
    """
    rows = start.calibration.tag_by_tag
    before, after = (tag_set(labels, config.scheme) for labels in (start.config.labels, config.labels))
    if not rows or before == after:
        return start.calibration
    known = dict(zip(product(before, before), chain.from_iterable(rows), strict=True))
    wider = tuple(tuple(known.get((one, other), 0.0) for other in after) for one in after)
    return replace(start.calibration, tag_by_tag=wider)


def _placed(old: Tensor, like: Tensor, place_K: Tensor, fill: float) -> Tensor:
    """A weight whose axes of K tags are longer now: what it had, each number in the place of its tags."""
    if old.shape == like.shape:
        return old
    new = torch.full_like(like, fill)
    axes = [
        place_K if count != wider else torch.arange(count) for count, wider in zip(old.shape, like.shape, strict=True)
    ]
    new[torch.meshgrid(*axes, indexing="ij")] = old
    return new
