"""Text → tokens → rows → windows → logits → a legal tag path → entities."""

from model.answers import Analysis, Entity, TaggedToken
from model.errors import CheckpointError, FenestraError, InputError
from model.explain import Explanation, Share
from model.steps import Step
from model.tagger import Tagger

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
