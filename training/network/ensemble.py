"""Several networks as one: an ensemble of window networks whose logits are averaged is a wider window network.

Trained alike but for their random numbers, networks err in different places, and the mean of their logits errs less
(Hansen & Salamon, Neural Network Ensembles, 1990). The mean of M networks with one input needs no code of its own where
models are served: their rows stand side by side, their hidden units too, and

    z = Σₘ (W₂⁽ᵐ⁾ hₘ + b₂⁽ᵐ⁾) / M  =  [W₂⁽¹⁾/M … W₂⁽ᴹ⁾/M] [h₁; …; h_M] + Σₘ b₂⁽ᵐ⁾/M

    D width of a vector, which all share · E width of e(w) · H hidden units of one network · W window width
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fenestra.model.config import ModelConfig
from fenestra.model.words.lexicon import Lexicon
from fenestra.training.network.window_tagger import WindowTagger


@torch.no_grad()
def merged(networks: Sequence[WindowTagger], config: ModelConfig, lexicon: Lexicon) -> WindowTagger:
    """The network whose logits are the mean of those of others.

    Args:
        networks: of one configuration and lexicon, with the same vectors; the vector of their PAD is 0, see
            :meth:`WindowTagger.prepare`.
        config: theirs.
        lexicon: theirs.

    Raises:
        ValueError: the vector of a PAD is not 0, so the networks do not share all that they should.
    """
    first = networks[0]
    if any(network.pad[:, : network.vectors.width].any() for network in networks):
        raise ValueError("the vector of PAD is not 0 in a network that is to be one of several")
    whole = WindowTagger(config.widened(len(networks)), lexicon, first.vectors)
    for name, table in whole.fields.items():
        _weight(table).copy_(torch.cat([_weight(network.fields[name]) for network in networks], dim=1))
    whole.ngrams.weight.copy_(torch.cat([network.ngrams.weight for network in networks], dim=1))
    columns = [_columns(network, config, number, len(networks)) for number, network in enumerate(networks)]
    by_position = whole.project.weight.view(whole.width, -1, whole.entry).zero_()
    units = first.bias.numel()
    for number, (network, column_E) in enumerate(zip(networks, columns, strict=True)):
        mine = by_position[:, number * units : (number + 1) * units]
        mine[:, :, column_E] = network.project.weight.view(whole.width, units, -1)
        whole.pad[:, column_E] = network.pad
    whole.bias.copy_(torch.cat([network.bias for network in networks]))
    whole.elsewhere.copy_(torch.cat([network.elsewhere for network in networks], dim=1))
    whole.topic.copy_(torch.cat([network.topic for network in networks]))
    whole.topic_mean.copy_(first.topic_mean)
    whole.topic_scale.copy_(first.topic_scale)
    for layer, *parts in zip(whole.layers(), *(network.layers() for network in networks), strict=True):
        layer.weight.copy_(torch.block_diag(*(part.weight for part in parts)))  # type: ignore[no-untyped-call]
        layer.bias.copy_(torch.cat([part.bias for part in parts]))
    whole.output.weight.copy_(torch.cat([network.output.weight for network in networks], dim=1) / len(networks))
    whole.output.bias.copy_(torch.stack([network.output.bias for network in networks]).mean(0))
    if whole.crf is not None:
        for name, scores in whole.crf.named_parameters():
            theirs = (network.crf.get_parameter(name) for network in networks if network.crf is not None)
            scores.copy_(torch.stack(tuple(theirs)).mean(0))
    return whole


def _columns(network: WindowTagger, config: ModelConfig, number: int, members: int) -> Tensor:
    """Where the columns of e(w) of one of several networks stand in that of all; column_E."""
    shared = network.vectors.width
    found, start = [torch.arange(shared)], shared
    for width in (*config.features.widths().values(), config.features.ngram):
        found.append(torch.arange(width) + start + number * width)
        start += members * width
    return torch.cat(found)


def _weight(table: nn.Module) -> Tensor:
    assert isinstance(table, nn.Embedding)
    return table.weight
