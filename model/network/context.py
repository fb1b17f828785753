"""What the rest of the document says: three small rows that are not a function of one word.

A window of 2C+1 words cannot know whether ``Turkey`` opens a recipe or a news report, nor that the ``RIVER`` of
a headline is a river in the text below, nor how a sentence goes on. All of this enters the first layer as further
summands (``model/network/network.py``):

    elsewhere    one of 16 classes a token: how its letters are cased where case means something
    topic        the mean of the vectors of the document's words, drawn to 0 where there are few
    sentence     the same of the words of the sentence

A sentence of more than 128 tokens is parted into stretches of 128 from its start, each with a mean of its own, so that
work is bounded and no text is too long. What shares a mean is a *passage*: a sentence, or a stretch of a long one.

    T tokens of the documents · P documents · R passages · D width of a vector
"""

from collections.abc import Generator, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fenestra.model.steps import run
from fenestra.model.words.vectors import VectorTable

ELSEWHERE_CLASSES = 16
_SMALL, _TITLE, _UPPER, _UNSURE = 1, 2, 4, 8
FEW = 20
"""Words; a document this short has a topic half as strong as its words say."""
SENTENCE_FEW = 5
"""Words; the same of a sentence."""
PASSAGE = 128
"""Tokens that share a mean at most."""
_STRETCH = 2048  # tokens of a document that are added up at once
_PART = 1 << 15  # tokens that are classed at once


def case_evidence(word: str) -> int:
    """What a word says of its case where that is free: seen small, capitalised, in capitals, or 0 for nothing.

    >>> [case_evidence(word) for word in ("rose", "Rose", "ROSE", "I", "1996")]
    [1, 2, 4, 2, 0]
    """
    if word.islower():
        return _SMALL
    if not word[0].isupper():
        return 0
    return _UPPER if len(word) > 1 and word.isupper() else _TITLE


def elsewhere(sentences: Sequence[Sequence[str]]) -> list[int]:
    """Class every token of a document by how the document writes that word where its case is free.

    >>> elsewhere([["Rose", "met", "Ito"], ["Ito", "saw", "a", "rose"]])
    [9, 1, 2, 10, 1, 1, 1]
    """
    words = list(chain.from_iterable(sentences))
    numbers: dict[str, int] = {}
    lowered_T = np.array([numbers.setdefault(word.lower(), len(numbers)) for word in words], dtype=np.int64)
    evidence_T = np.array([case_evidence(word) for word in words], dtype=np.uint8)
    sentence_T = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    found: list[int] = run(class_tokens(evidence_T, lowered_T, sentence_T)).tolist()
    return found


def class_tokens(
    evidence_T: NDArray[np.uint8], lowered_T: NDArray[np.int64], sentence_T: NDArray[np.int64]
) -> Generator[None, None, NDArray[np.uint8]]:
    """Class tokens by how their document writes their words elsewhere, giving way now and then.

    Case means nothing at the head of a sentence or in a headline, where no word is small; whether the token itself
    stands there is the last of four bits: seen small, seen capitalised, seen in capitals, stands where case means
    nothing.

    Args:
        evidence_T: :func:`case_evidence` of every token.
        lowered_T: a number from 0 for every token, equal for two that the same document writes alike but for case.
        sentence_T: the number of every token's sentence, rising.
    """
    seen = np.zeros(int(lowered_T.max(initial=-1)) + 1, dtype=np.uint8)
    loud_S = np.ones(int(sentence_T.max(initial=-1)) + 1, dtype=bool)
    loud_S[sentence_T[evidence_T == _SMALL]] = False
    forced_T = loud_S[sentence_T]
    forced_T[:1] = True
    forced_T[1:] |= sentence_T[1:] != sentence_T[:-1]
    for part in parts(len(evidence_T), _PART):
        counts = (evidence_T[part] == _SMALL) | ~forced_T[part]
        np.bitwise_or.at(seen, lowered_T[part][counts], evidence_T[part][counts])
        yield
    unsure_T = (forced_T & (evidence_T > _SMALL)).astype(np.uint8) * np.uint8(_UNSURE)
    return seen[lowered_T] | unsure_T


def passage_sizes(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Tokens of every passage of some sentences.

    >>> passage_sizes([3, 0, 300]).tolist()
    [3, 128, 128, 44]
    """
    length_S = np.asarray(lengths, dtype=np.int64)
    length_S = length_S[length_S > 0]
    last_S = (-(-length_S // PASSAGE)).cumsum() - 1
    size_R = np.full(int(last_S[-1]) + 1 if len(last_S) else 0, PASSAGE)
    size_R[last_S] = (length_S - 1) % PASSAGE + 1
    return size_R


def passage_means(vectors: VectorTable, vector_T: Tensor, size_R: NDArray[np.int64]) -> Tensor:
    """The mean vector of every passage: Σ v(w) / (n + 5); as of :func:`topics`, mean_RD."""
    return run(topics_in_steps(vectors, vector_T.cpu().numpy(), size_R.tolist(), SENTENCE_FEW))


def topics(vectors: VectorTable, vector_T: Tensor, lengths: Sequence[int]) -> Tensor:
    """The mean vector of every document: Σ v(w) / (n + 20), so that a short text says little.

    Args:
        vectors: the table.
        vector_T: row in it of every token, documents end to end; row 0, the unknown, does not count.
        lengths: tokens of each document.

    Returns:
        topic_PD, float32, on the CPU.
    """
    return run(topics_in_steps(vectors, vector_T.cpu().numpy(), lengths))


def topics_in_steps(
    vectors: VectorTable, vector_T: NDArray[np.int64], lengths: Sequence[int], few: int = FEW
) -> Generator[None, None, Tensor]:
    """As :func:`topics`, giving way after every few thousand tokens; ``few`` words say half.

    A long document is added up by stretches of fixed length, and these in turn, so that the order of the sum, and
    with it the last bit, is a matter of the document alone.
    """
    ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
    begins = ends - np.asarray(lengths, dtype=np.int64)
    stretches = [
        range(at, min(at + _STRETCH, end))
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        for at in range(begin, max(end, begin + 1), _STRETCH)
    ]
    sums = [torch.zeros(0, vectors.width)]
    for group in _groups(stretches):
        vector_N = torch.from_numpy(vector_T[group[0].start : group[-1].stop]).to(vectors.codes.device)
        offsets = torch.tensor([stretch.start - group[0].start for stretch in group], device=vector_N.device)
        every_N = torch.arange(len(vector_N), device=vector_N.device)
        sums.append(functional.embedding_bag(every_N, vectors(vector_N), offsets, mode="sum").cpu())
        yield
    sum_PD = torch.cat(sums)
    if len(stretches) > len(lengths):
        count_P = np.maximum(-(-(ends - begins) // _STRETCH), 1)
        offsets = torch.from_numpy(np.cumsum(count_P) - count_P)
        sum_PD = functional.embedding_bag(torch.arange(len(stretches)), sum_PD, offsets, mode="sum")
    known_T = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(vector_T > 0)])
    known_P = torch.from_numpy(known_T[ends] - known_T[begins])
    return sum_PD / (known_P + few)[:, None]


def parts(count: int, size: int) -> Iterator[slice]:
    """Cut ``count`` things into slices of ``size``.

    >>> list(parts(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))


def _groups(stretches: Sequence[range]) -> Iterator[list[range]]:
    """Neighbouring stretches, about as many tokens together as the longest may have alone."""
    group: list[range] = []
    for stretch in stretches:
        if group and stretch.stop - group[0].start > _STRETCH:
            yield group
            group = []
        group.append(stretch)
    if group:
        yield group
