"""What the rest of the document says: two small rows that are not functions of one word.

A window of 2C+1 words cannot know whether ``Turkey`` opens a recipe or a news report, nor that the ``RIVER`` of a
headline is a river in the text below. Both enter the first layer as further summands (``model/network/network.py``):

    elsewhere    one of 16 classes a token: how the document cases the word where case means something
    topic        the mean of the vectors of the document's words, drawn to 0 where there are few

T tokens of the documents · P documents · D width of a vector
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fenestra.model.words.vectors import VectorTable

CASE_CLASSES = 16
_LOWER, _TITLE, _UPPER, _FORCED = 1, 2, 4, 8
FEW = 20
"""Words; a document this short has a topic half as strong as its words say."""
_STRETCH = 2048  # tokens of a document whose vectors are added up at once: memory is bounded


def case_evidence(word: str) -> int:
    """What a word says of its case where that is free: seen small, capitalised, in capitals, or 0 for nothing.

    >>> [case_evidence(word) for word in ("rose", "Rose", "ROSE", "I", "1996")]
    [1, 2, 4, 2, 0]
    """
    if word.islower():
        return _LOWER
    if not word[0].isupper():
        return 0
    return _UPPER if len(word) > 1 and word.isupper() else _TITLE


def case_classes(
    evidence_T: NDArray[np.uint8], lowered_T: NDArray[np.int64], sentence_T: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Class tokens by how their document cases their words elsewhere.

    Case means nothing at the head of a sentence or in a headline, where no word is small; whether the token itself
    stands there is the last of four bits: seen small, seen capitalised, seen in capitals, stands where case is forced.

    Args:
        evidence_T: :func:`case_evidence` of every token.
        lowered_T: a number from 0 for every token, equal for two that the same document writes alike but for case.
        sentence_T: the number of every token's sentence, rising.
    """
    has_lower_S = np.zeros(int(sentence_T.max(initial=-1)) + 1, dtype=bool)
    has_lower_S[sentence_T[evidence_T == _LOWER]] = True
    forced_T = ~has_lower_S[sentence_T]
    forced_T[:1] = True
    forced_T[1:] |= sentence_T[1:] != sentence_T[:-1]
    counts_T = (evidence_T == _LOWER) | ~forced_T
    seen = np.zeros(int(lowered_T.max(initial=-1)) + 1, dtype=np.uint8)
    np.bitwise_or.at(seen, lowered_T[counts_T], evidence_T[counts_T])
    return seen[lowered_T] | np.where(forced_T & (evidence_T > _LOWER), _FORCED, 0).astype(np.uint8)


def topics(
    vectors: VectorTable, vector_T: NDArray[np.int64], lengths: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float32]:
    """The mean vector of every document: Σ v(w) / (n + 20), so that a short text says little; topic_PD.

    Row 0 of the table, the unknown, does not count. Words are added in their order, so the bits of a document depend on
    that document alone.
    """
    topic_PD = np.zeros((len(lengths), vectors.width), dtype=np.float32)
    end = 0
    for row_D, length in zip(topic_PD, lengths, strict=True):
        begin, end = end, end + int(length)
        for at in range(begin, end, _STRETCH):
            row_D += vectors.look_up(vector_T[at : min(at + _STRETCH, end)]).sum(axis=0)
        row_D /= np.float32(np.count_nonzero(vector_T[begin:end]) + FEW)
    return topic_PD
