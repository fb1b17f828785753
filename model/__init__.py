"""Text → tokens → rows → windows → logits → a legal tag path → entities."""

from model.errors import CheckpointError, FenestraError, InputError
from model.tagger import Analysis, Entity, Explanation, Share, Step, TaggedToken, Tagger

__all__ = [
    "Analysis",
    "CheckpointError",
    "Entity",
    "Explanation",
    "FenestraError",
    "InputError",
    "Share",
    "Step",
    "TaggedToken",
    "Tagger",
]
