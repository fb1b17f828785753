"""Windows over a flat stream of tokens: which 2C+1 rows surround each token.

Sentences of any length lie end to end in one stream; a window that reaches over the end of its
sentence sees the row PAD there. So a batch is a bag of windows: no padding to the longest sentence, no mask.

    T tokens in the stream · W window width, 2C+1
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PAD = 0


class Windows(NamedTuple):
    """N windows of W words, and what is known of the documents they stand in.

    ``word_NW`` counts the words of a batch from 1, ``elsewhere_NW`` the classes of ``model/network/context.py`` from 1;
    0 is PAD in both. ``document_N`` says which row of ``topic_PD`` belongs to a window, ``passage_N`` which one of
    ``sentence_RD``. Whatever a model does not look at holds nothing, but for ``document_N``.
    """

    word_NW: Tensor
    elsewhere_NW: Tensor
    topic_PD: Tensor
    document_N: Tensor
    sentence_RD: Tensor
    passage_N: Tensor

    def part(self, chosen: slice) -> "Windows":
        """Some of the windows."""
        return self._replace(
            word_NW=self.word_NW[chosen],
            elsewhere_NW=self.elsewhere_NW[chosen],
            document_N=self.document_N[chosen],
            passage_N=self.passage_N[chosen],
        )

    def own_passages(self) -> "Windows":
        """The same windows, with the passages that they are in and no others."""
        if not self.passage_N.numel():
            return self
        passage_R, passage_N = torch.unique(self.passage_N, return_inverse=True)
        return self._replace(sentence_RD=self.sentence_RD[passage_R], passage_N=passage_N)

    def to(self, device: torch.device) -> "Windows":
        """The same windows on another device."""
        return Windows(*(part.to(device) for part in self))


def sentence_bounds(lengths: Sequence[int]) -> Tensor:
    """For every token of sentences laid end to end, where its sentence starts and ends.

    >>> sentence_bounds([2, 1])
    tensor([[0, 0, 2],
            [2, 2, 3]])

    Returns:
        bounds_2T, int64: row 0 the start, row 1 the end (exclusive) of each token's sentence.
    """
    length_S = torch.tensor(list(lengths), dtype=torch.int64)
    end_S = length_S.cumsum(0)
    return torch.stack([end_S - length_S, end_S]).repeat_interleave(length_S, dim=1)


def window_ids(ids_T: Tensor, bounds_2T: Tensor, context: int) -> Tensor:
    """Centre a window on every token, with PAD outside its sentence.

    >>> window_ids(torch.tensor([5, 6, 7]), sentence_bounds([2, 1]), context=1)
    tensor([[0, 5, 6],
            [5, 6, 0],
            [0, 7, 0]])

    Args:
        ids_T: row of every token of the stream, int64.
        bounds_2T: from :func:`sentence_bounds`.
        context: C, the tokens seen on each side, ≥ 0.

    Returns:
        ids_TW, int64, W = 2C + 1.
    Source: the window approach of Collobert et al., JMLR 12 (2011), section 3.3.1.
    """
    here_T1 = torch.arange(ids_T.numel(), device=ids_T.device)[:, None]
    place_TW = here_T1 + torch.arange(-context, context + 1, device=ids_T.device)
    start_T, end_T = bounds_2T
    outside_TW = (place_TW < start_T[:, None]) | (place_TW >= end_T[:, None])
    return ids_T[place_TW.clamp(0, max(ids_T.numel() - 1, 0))].masked_fill(outside_TW, PAD)
