"""Windows: the middle word between its neighbours, and nothing from beyond the sentence."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.network.windows import PAD, sentence_bounds, window_ids


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(0, 4))
def test_windows_equal_those_of_each_sentence_padded_alone(lengths, context):
    """The flat stream is only a faster way of padding every sentence at both ends."""
    ids_T = np.arange(1, sum(lengths) + 1)
    expected, begin = [], 0
    for length in lengths:
        padded = [PAD] * context + ids_T[begin : begin + length].tolist() + [PAD] * context
        expected += [padded[place : place + 2 * context + 1] for place in range(length)]
        begin += length
    assert window_ids(ids_T, sentence_bounds(lengths), context).tolist() == expected
