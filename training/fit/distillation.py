"""Knowledge distillation: trained taggers, the teachers, label text without annotation for a smaller tagger.

The targets are the mean probabilities of the teachers, which carry more information than their best tags (Hinton,
Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015; on text without labels: Buciluă et al., KDD 2006).

    T tokens of all sentences, end to end · K tags
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fenestra.model.checkpoint import read_kind
from fenestra.model.config import ModelConfig
from fenestra.model.errors import ConfigError
from fenestra.model.tagger import Tagger
from fenestra.training.data.corpus import documents_of
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.stream import Sentences
from fenestra.training.fit.recurrent_teacher import RecurrentTeacher


class Teacher(Protocol):
    """A trained model of any kind."""

    @property
    def version(self) -> str:
        """Of its checkpoint."""

    def log_probabilities(self, documents: Sequence[Sentences]) -> NDArray[np.float32]:
        """Natural logarithm of the probability of every tag for every token, end to end; shape (T, K)."""


def load_teachers(folders: Sequence[str], config: ModelConfig, device: str) -> list[Teacher]:
    """Load checkpoints that have the same tags as a model to be trained.

    The decoder of a window model has to be the same, too: what it learned of transitions is no part of what it says of
    tokens. A recurrent model with a CRF teaches the marginals, whichever decoder the model to be trained has.

    Raises:
        ConfigError: one has other labels, another scheme or another decoder.
        CheckpointError: one cannot be loaded.
    """
    teachers: list[Teacher] = []
    for folder in folders:
        teacher: Tagger | RecurrentTeacher
        if read_kind(Path(folder)) == "recurrent":
            teacher = RecurrentTeacher.load(Path(folder), device)
            needed: tuple[str, ...] = ("labels", "scheme")
        else:
            teacher = Tagger.load(Path(folder), device=device)
            needed = ("labels", "scheme", "decoder")
        theirs, ours = (tuple(getattr(c, name) for name in needed) for c in (teacher.config, config))
        if theirs != ours:
            raise ConfigError(f"training.teachers: {folder} has {theirs}, the model {ours}")
        teachers.append(teacher)
    return teachers


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
