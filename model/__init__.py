"""Text → tokens → rows → windows → logits → a legal tag path → entities."""

from model.errors import CheckpointError, FenestraError, InputError
from model.tagger import Analysis, Entity, TaggedToken, Tagger

__all__ = ["Analysis", "CheckpointError", "Entity", "FenestraError", "InputError", "TaggedToken", "Tagger"]
