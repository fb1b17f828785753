"""What of a corpus a model knows by name."""

from fenestra.model.config import FeatureConfig
from fenestra.model.words.lexicon import UNKNOWN
from fenestra.training.data.lexicon import build_lexicon

FEATURES = FeatureConfig(word=2, case=2, affix=2, prefixes=(2,), suffixes=(), ngram=2)


def test_values_below_the_least_count_share_the_unknown_row():
    lexicon = build_lexicon(FEATURES, [], ["a", "a", "b"], 2)
    rows = lexicon.rows(["a", "b"])
    word = list(lexicon.field_rows).index("word")
    assert rows.field_UF[:, word].tolist() == [1, UNKNOWN]
