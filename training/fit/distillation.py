"""Knowledge distillation: trained taggers, the teachers, label text without annotation for a smaller tagger.

The targets are the mean probabilities of the teachers, which carry more information than their best tags (Hinton,
Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015; on text without labels: Buciluă et al., KDD 2006).

    T tokens of all sentences, end to end · K tags
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fenestra.model.config import ModelConfig
from fenestra.model.errors import ConfigError
from fenestra.model.tagger import Tagger
from fenestra.training.data.corpus import documents_of
from fenestra.training.data.inspection import Sentence


def load_teachers(folders: Sequence[str], config: ModelConfig, device: str) -> list[Tagger]:
    """Load checkpoints that have the same tags as a model to be trained.

    Raises:
        ConfigError: one has other labels, another scheme or another decoder.
        CheckpointError: one cannot be loaded.
    """
    teachers = []
    for folder in folders:
        teacher = Tagger.load(Path(folder), device=device)
        theirs, ours = ((c.labels, c.scheme, c.decoder) for c in (teacher.config, config))
        if theirs != ours:
            raise ConfigError(f"training.teachers: {folder} has {theirs}, the model {ours}")
        teachers.append(teacher)
    return teachers


def teacher_probabilities(teachers: Sequence[Tagger], sentences: Sequence[Sentence]) -> Tensor:
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
