"""What the rest of the document says: two small rows that are not a function of one word.

A window of 2C+1 words cannot know whether ``Turkey`` opens a recipe or a news report, nor that the ``RIVER`` of
a headline is a river in the text below. Both can be said once for each document, and both enter the first layer
as further summands (``model/network.py``):

    elsewhere    one of 16 classes a token: how its letters are cased where case means something
    topic        the mean of the vectors of the document's words, drawn to 0 where there are few

    T tokens of the documents · P documents · D width of a vector
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from model.vectors import VectorTable

ELSEWHERE_CLASSES = 16
_SMALL, _TITLE, _UPPER, _UNSURE = 1, 2, 4, 8
_FEW = 20  # words; a document this short has a topic half as strong as its words say


def elsewhere(sentences: Sequence[Sequence[str]]) -> list[int]:
    """Class every token of a document by how the document writes that word where its case is free.

    Case means nothing at the head of a sentence or in a headline; whether the token itself stands there is the
    last of four bits: seen small, seen capitalised, seen in capitals, stands where case means nothing.

    >>> elsewhere([["Rose", "met", "Ito"], ["Ito", "saw", "a", "rose"]])
    [9, 1, 2, 10, 1, 1, 1]
    """
    seen: dict[str, int] = {}
    shouted = [not any(word.islower() for word in sentence) for sentence in sentences]
    for sentence, loud in zip(sentences, shouted, strict=True):
        if not loud:
            for place, word in enumerate(sentence):
                if bit := _evidence(word, place):
                    lowered = word.lower()
                    seen[lowered] = seen.get(lowered, 0) | bit
    return [
        seen.get(word.lower(), 0) | (_UNSURE if (loud or place == 0) and word[0].isupper() else 0)
        for sentence, loud in zip(sentences, shouted, strict=True)
        for place, word in enumerate(sentence)
    ]


def topics(vectors: VectorTable, vector_T: Tensor, lengths: Sequence[int]) -> Tensor:
    """The mean vector of every document: Σ v(w) / (n + 20), so that a short text says little.

    Args:
        vectors: the table.
        vector_T: row in it of every token, documents end to end; row 0, the unknown, does not count.
        lengths: tokens of each document.

    Returns:
        topic_PD, float32, on the CPU.
    """
    vector_T = vector_T.to(vectors.codes.device)
    word_U, place_T = torch.unique(vector_T, return_inverse=True)
    length_P = torch.tensor(lengths, device=vector_T.device)
    begin_P = length_P.cumsum(0) - length_P
    sum_PD = functional.embedding_bag(place_T, vectors(word_U), begin_P, mode="sum")
    document_T = torch.arange(len(lengths), device=vector_T.device).repeat_interleave(length_P)
    known_P = torch.zeros_like(length_P).index_add_(0, document_T, (vector_T > 0).to(length_P.dtype))
    return (sum_PD / (known_P + _FEW)[:, None]).cpu()


def _evidence(word: str, place: int) -> int:
    """What one appearance says of a word's case; 0 where case is forced."""
    if word.islower():
        return _SMALL
    if place == 0 or not word[0].isupper():
        return 0
    return _UPPER if len(word) > 1 and word.isupper() else _TITLE
