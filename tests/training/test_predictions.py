"""What a tagger says, as tags and spans."""

import pytest

from fenestra.model.tagger import Tagger
from fenestra.training.report.predictions import predict
from tests.model.conftest import small_model


@pytest.mark.parametrize("copies", [1, 100])
def test_predictions_are_results_as_tags_and_spans(copies):
    """In whatever number they are tagged together."""
    tagger = Tagger(small_model(), device="cpu")
    documents = [[["Ada", "Lovelace", "met"], []], [["Siemens"]]] * copies
    for results, predictions in zip(tagger.tag_documents(documents), predict(tagger, documents), strict=True):
        for result, found in zip(results, predictions, strict=True):
            assert found.tags == [token.tag for token in result.tokens]
            assert found.token_scores == [token.score for token in result.tokens]
            assert [tuple(span) for span in found.spans] == [(e.start, e.end, e.label) for e in result]
            assert found.span_scores == [entity.score for entity in result]
