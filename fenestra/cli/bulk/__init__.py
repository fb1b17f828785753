"""Bulk tagging: ``fenestra tag``. Files are cut into chunks, workers tag them, and what they write is joined.

    inputs.py     which files there are, in what format, and where the result of each goes
    chunks.py     a file is cut at borders between texts, so that each chunk can be tagged by itself
    reading.py    a chunk becomes texts, or documents of words (texts.py, parquet.py)
    units.py      chunks of one file, or of several small ones, which a worker takes at once
    tagging.py    texts are tagged and written out (writing.py); what is no text is set aside
    workers.py    processes that do this at the same time; results come in order
    resume.py     finished units on disk, so that a killed run goes on
    results.py    what was written goes to standard output, one file or a folder; what was bad to a file of its own
    meter.py      how far it is

A chunk is cut by what is in the file alone, and its answers are those of its texts alone. So the number of workers and
what an earlier run left change no byte of the result.
"""
