"""Fenestra in Presidio, in process: what finds persons, places and organisations; needs the extra ``presidio``.

>>> from fenestra.integrations.presidio import analyzer_engine
>>> analyzer = analyzer_engine(["en"])
>>> [(found.entity_type, found.start, found.end) for found in analyzer.analyze("It rained in London.", "en")]
[('LOCATION', 13, 19)]

No model of spaCy is needed, and nothing is fetched. A configuration file of Presidio may name ``FenestraRecognizer`` in
any process that has imported this package.
"""

from fenestra.extras import missing

try:
    import presidio_analyzer  # noqa: F401 - to say what is missing
except ModuleNotFoundError as error:
    raise missing("presidio", error) from error

from fenestra.integrations.presidio.engine import analyzer_engine
from fenestra.integrations.presidio.nlp_engine import FenestraNlpEngine
from fenestra.integrations.presidio.recognizer import FenestraRecognizer

__all__ = ["FenestraNlpEngine", "FenestraRecognizer", "analyzer_engine"]
