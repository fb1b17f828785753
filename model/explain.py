"""What each word of a window adds to the score of a tag."""

from typing import Literal, NamedTuple

from model.answers import TaggedToken


class Share(NamedTuple):
    """What the word at one position of the window adds to the logit."""

    position: int
    """−C … C; 0 is the token itself."""
    text: str | None
    """The word; None beyond the end of the sentence."""
    start: int | None
    """Its place, as of :class:`model.answers.TaggedToken`; None beyond the end of the sentence."""
    end: int | None
    share: float


class Explanation(NamedTuple):
    """A logit, split: ``bias + document + Σ share == logit``."""

    token: TaggedToken
    column: str
    """The tag inside the network, such as ``S-PER``, whose logit it is."""
    logit: float
    bias: float
    document: float
    """What the topic of the document adds."""
    method: Literal["exact", "rescale"]
    shares: list[Share]
    """2C+1, in order of position."""
