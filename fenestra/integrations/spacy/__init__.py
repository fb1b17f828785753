"""Fenestra in spaCy: a component of a pipeline, and pipelines as packages; needs the extra ``spacy``.

>>> import spacy
>>> nlp = spacy.blank("en")
>>> tagger = nlp.add_pipe("fenestra")
>>> [(span.text, span.label_) for span in nlp("It rained in London.").ents]
[('London', 'LOC')]

spaCy finds ``fenestra`` by the entry point ``spacy_factories``; nothing of Fenestra has to be imported.
"""

from fenestra.extras import missing

try:
    import spacy  # noqa: F401 - to say what is missing
except ModuleNotFoundError as error:
    raise missing("spacy", error) from error

from fenestra.integrations.spacy.component import EntityPipe
from fenestra.integrations.spacy.factory import make_entity_pipe

__all__ = ["EntityPipe", "make_entity_pipe"]
