"""What the tools answer. A language model reads the docstring below a field as its description."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict

from fenestra.model import explain, results

Number = Annotated[float, AfterValidator(partial(round, ndigits=results.DIGITS))]


class Answer(BaseModel):
    """Base of all parts of answers; they are made of what the tagger gives, field by field."""

    model_config = ConfigDict(use_attribute_docstrings=True, from_attributes=True)


class Entity(Answer):
    """A named thing in the text."""

    start: int
    """Index of its first character in the text, from 0, counted in Unicode code points."""
    end: int
    """Index of the character behind its last one."""
    label: str
    """What kind of thing it is."""
    text: str
    """The name as it stands in the text."""
    score: Number
    """Calibrated probability, 0 to 1, that place and label are right."""


class Entities(Answer):
    """What ``tag_entities`` found."""

    entities: list[Entity]
    """In the order of the text; they do not overlap. Empty if there are none."""

    @classmethod
    def of(cls, found: Iterable[results.Entity], labels: Iterable[str] | None, min_score: float) -> Self:
        """Those with the labels and scores that were asked for."""
        wanted = None if labels is None else frozenset(labels)
        kept = (e for e in found if e.score >= min_score and (wanted is None or e.label in wanted))
        return cls(entities=[Entity.model_validate(entity) for entity in kept])


class Token(Answer):
    """A word of the text, with its tag."""

    text: str
    """The word or sign."""
    start: int
    """Index of its first character in the text."""
    end: int
    """Index of the character behind its last one."""
    tag: str
    """`O` outside of names; `B-` and a label where a name begins, `I-` and a label where it goes on."""
    score: Number
    """Probability of the tag."""


class Share(Answer):
    """What one word around the token adds to the score of its tag."""

    position: int
    """Where it stands, seen from the token: -1 is the word before it, 0 the token itself."""
    text: str | None
    """The word; null beyond the ends of the sentence."""
    start: int | None
    """Index of its first character in the text."""
    end: int | None
    """Index of the character behind its last one."""
    share: Number
    """What it adds; below 0, it speaks against the tag."""


class Explanation(Answer):
    """Why a word got its tag: bias + document + all shares of the window = logit."""

    token: Token
    """The word."""
    column: str
    """The tag as the network knows it, which may tell single words and ends apart: `S-PER`, `E-PER`."""
    method: Literal["exact", "rescale"]
    """Whether the shares are exact, or by the rescale rule, which keeps the sum."""
    against: str | None
    """The tag that it was compared with, as the network knows it; the scores below are then differences of the two."""
    logit: Number
    """The network's score of the tag, before the softmax."""
    bias: Number
    """What an empty window would score."""
    document: Number
    """What the rest of the text adds."""
    window: list[Share]
    """One for each place of the window, from left to right."""

    @classmethod
    def of(cls, found: explain.Explanation) -> Self:
        """As the tagger gives it."""
        return cls.model_validate({**found._asdict(), "window": found.shares})
