"""How fast a model is on this machine: ``fenestra bench``.

Three questions, each answered by the functions that a user would call: how many tokens a second of raw text, how many
of text that is split already, and how long a single sentence takes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from app.tagging import STDIN, guess_format, items
from model import InputError, Tagger
from model.conll import DOCSTART, open_bytes

_MOST_SINGLE = 1_000  # sentences that are timed one by one
...
