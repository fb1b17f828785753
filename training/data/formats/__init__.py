"""Formats of corpora: one table says how each is called, told apart, read and written."""

from fenestra.training.data.formats.registry import FORMATS, CorpusFormat, detect_format, target_format

__all__ = ["FORMATS", "CorpusFormat", "detect_format", "target_format"]
