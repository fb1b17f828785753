"""The saved state of a run that was stopped, and how the next run resumes from it.

One safetensors file, replaced in one step after every epoch. Tensors: weights, moving average, best weights and the
state of the optimizer. Text in its header: the epochs so far, and the inputs of the run. Random generators are not
saved, because each epoch seeds them from the seed and its own number.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from fenestra.model.errors import ConfigError
from fenestra.model.storage import replace_durably
from fenestra.training.config import differences
from fenestra.training.fit.epoch import Epoch
from fenestra.training.fit.loop import Progress

STATE = "state.safetensors"


def save_state(progress: Progress, inputs: Mapping[str, Any], folder: Path) -> None:
    """Replace the saved state by the present one.

    Args:
        progress: between two epochs.
        inputs: what the run depends on: configuration, corpora, vectors.
        folder: where the run works.

    Raises:
        StorageError: the disk refused; the state before is still there.
    """
    header = {"inputs": inputs, "steps": progress.updates, "epochs": [asdict(epoch) for epoch in progress.epochs]}
    data = safetensors.torch.save(dict(_tensors(progress)), metadata={"run": json.dumps(header)})
    replace_durably(folder / STATE, data)


def restore_state(progress: Progress, inputs: Mapping[str, Any], folder: Path) -> bool:
    """Load the saved state into a fresh run.

    Returns:
        False if nothing is saved, so that the run starts from the beginning.

    Raises:
        ConfigError: the saved run had another configuration or other data; lists what differs.
    """
    path = folder / STATE
    if not path.exists():
        return False
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        raise ConfigError(f"{path}: not the state of a run ({error}); delete it to start again") from error
    if changed := differences(header["inputs"], json.loads(json.dumps(inputs))):
        raise ConfigError("cannot resume: the run was started with other inputs: " + "; ".join(changed))
    _restore(progress, tensors)
    progress.updates = header["steps"]
    progress.epochs = [Epoch(**epoch) for epoch in header["epochs"]]
    return True


def _tensors(progress: Progress) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that training changes, each under its own name."""
    for prefix, network in (("network", progress.network), ("average", progress.average.network)):
        for name, weight in network.named_parameters():
            yield f"{prefix}/{name}", weight.detach().cpu().contiguous()
    for name, kept in progress.best.items():
        yield f"best/{name}", kept.cpu().contiguous()
    for number, memory in progress.optimizer.state_dict()["state"].items():
        for name, value in memory.items():
            if value is not None:
                yield f"optimizer/{number}/{name}", torch.as_tensor(value).cpu().contiguous()


def _restore(progress: Progress, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`_tensors`."""
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        kind, rest = name.split("/", 1)
        groups[kind][rest] = tensor
    _copy(groups["network"], progress.network)
    _copy(groups["average"], progress.average.network)
    device = next(progress.network.parameters()).device
    progress.best = {name: weight.to(device) for name, weight in groups["best"].items()}
    memory: dict[int, dict[str, Tensor]] = {}
    for name, tensor in groups["optimizer"].items():
        number, key = name.split("/")
        memory.setdefault(int(number), {})[key] = tensor
    progress.optimizer.load_state_dict({**progress.optimizer.state_dict(), "state": memory})


@torch.no_grad()
def _copy(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    for name, parameter in network.named_parameters():
        parameter.copy_(weights[name])
