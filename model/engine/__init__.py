"""The tagger's inner loops in C, for the CPU: the same steps as the files around this folder, tens of times faster.

C and not Python, because once the network is a few look-ups and sums, a Python object for every token costs more than
it. What is here is optional: where no compiler was at hand when the project was installed, ``load`` gives None and
everything works without (``model/engine/reference.py``), which is also what the tests hold this against.

    text.c     text → numbered words, sentences, classes
    rows.c     words → rows of the table of words
    window.c   rows → sums → log p
    agree.c    log p of a word → log p beside its other tokens
    path.c     log p → tags, entities

Plain C11 behind ``ctypes``: no header of Python's is needed to build it, one library serves every version of Python,
and other threads run while it computes.
"""

from fenestra.model.engine.library import Kernel, load

__all__ = ["Kernel", "load"]
