"""What trained taggers say of text that nobody annotated, for a smaller one to learn from.

A tagger learns more of a text from how sure others are than from tags: its targets are the teachers' mean
probabilities (Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network, 2015; on text without labels:
Buciluă et al., KDD 2006).

    T tokens of all sentences, end to end · K tags
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fenestra.model.config import ModelConfig
from fenestra.model.errors import ConfigError
from fenestra.model.tagger import Tagger
from fenestra.training.data.corpus import Sentence, documents_of


def load_teachers(folders: Sequence[str], config: ModelConfig, device: str) -> list[Tagger]:
    """Load checkpoints whose tags are those of a model to be.

    Raises:
        ConfigError: one has other labels, another scheme, or learned steps, which have no probability for a token.
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


def beliefs(teachers: Sequence[Tagger], sentences: Sequence[Sentence]) -> Tensor:
    """The teachers' mean probability of every tag at every token, their scores as calibrated.

    Args:
        teachers: one or more.
        sentences: their tags are not looked at.

    Returns:
        belief_TK, float16: 65,536 tokens take a megabyte for every eight tags.
    """
    documents = documents_of(sentences)
    total_TK = sum(torch.from_numpy(teacher.log_probabilities(documents)).exp() for teacher in teachers)
    assert isinstance(total_TK, Tensor)
    return (total_TK / len(teachers)).half()
