"""Knowledge distillation: trained taggers, the teachers, label text without annotation for a smaller tagger.

The targets are the mean probabilities of the teachers, which carry more information than their best tags (Hinton,
Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015; on text without labels: Buciluă et al., KDD 2006).

    T tokens of all sentences, end to end · K tags
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.checkpoint import read_config
from fenestra.model.config import ModelConfig
from fenestra.model.errors import CheckpointError, ConfigError
from fenestra.model.tagger import Tagger
from fenestra.training.data.corpus import documents_of
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.stream import Sentences
from fenestra.training.fit.batches import TaggedStream
from fenestra.training.fit.loop import score_stream
from fenestra.training.fit.recurrent_teacher import RecurrentTeacher
from fenestra.training.network.word_encoder import WordEncoder


class Teacher(Protocol):
    """A trained model of any kind."""

    @property
    def version(self) -> str:
        """Of its checkpoint."""

    def log_probabilities(self, documents: Sequence[Sentences]) -> NDArray[np.float32]:
        """Natural logarithm of the probability of every tag for every token, end to end; shape (T, K)."""


def check_teachers(folders: Sequence[str], config: ModelConfig) -> list[ModelConfig]:
    """Check that checkpoints can teach a model that is to be trained, by their configurations alone.

    They need its labels and scheme. The decoder of a window model has to be the same, too: what it learned of
    transitions is no part of what it says of tokens. A recurrent model with a CRF teaches the marginals, whichever
    decoder the model to be trained has.

    Returns:
        The configuration of each.

    Raises:
        ConfigError: a folder is no checkpoint, comes twice, or has others of these.
    """
    if doubled := [folder for folder, count in Counter(folders).items() if count > 1]:
        raise ConfigError(f"training.teachers: {doubled[0]} comes twice")
    configs: list[ModelConfig] = []
    for folder in folders:
        try:
            theirs = read_config(Path(folder))
        except CheckpointError as error:
            raise ConfigError(f"training.teachers: {error}") from error
        for name in ("labels", "scheme") if theirs.kind == "recurrent" else ("labels", "scheme", "decoder"):
            its, ours = _shown(getattr(theirs, name)), _shown(getattr(config, name))
            if its != ours:
                raise ConfigError(f"training.teachers: {folder} has the {name} {its}, expected {ours} as the model")
        configs.append(theirs)
    return configs


def load_teachers(folders: Sequence[str], config: ModelConfig, device: str) -> list[Teacher]:
    """Load checkpoints that can teach a model to be trained.

    Raises:
        ConfigError: as :func:`check_teachers`.
        CheckpointError: one cannot be loaded.
    """
    return [
        RecurrentTeacher.load(Path(folder), device)
        if theirs.kind == "recurrent"
        else Tagger.load(Path(folder), device=device)
        for folder, theirs in zip(folders, check_teachers(folders, config), strict=True)
    ]


def _shown(value: str | Sequence[str]) -> str:
    """A field as messages show it."""
    return value if isinstance(value, str) else ", ".join(value)


def teacher_probabilities(teachers: Sequence[Teacher], sentences: Sequence[Sentence]) -> Tensor:
    """The teachers' mean probability of every tag for every token, after calibration.

    Args:
        teachers: one or more.
        sentences: their tags are ignored.

    Returns:
        teacher_TK, float16: 65,536 tokens take a megabyte for every eight tags.
    """
    documents = documents_of(sentences)
    total_TK = sum(torch.from_numpy(teacher.log_probabilities(documents)).exp() for teacher in teachers)
    assert isinstance(total_TK, Tensor)
    return (total_TK / len(teachers)).half()


def network_probabilities(network: WordEncoder, stream: TaggedStream, device: torch.device) -> Tensor:
    """What a network says of text before it is trained on: the targets by which it keeps what it knows.

    Without calibration: where the network says what it said, such targets leave its weights as they are (Li & Hoiem,
    Learning without Forgetting, 2016).

    Returns:
        teacher_TK, float16.
    """
    return score_stream(network.to(device).eval(), stream, device).softmax(dim=1).half()
