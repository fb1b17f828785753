"""The Tagger: entities where they are, however texts come together, from any thread."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fenestra.model.decode.calibration import Calibration
from fenestra.model.device import resolve_device
from fenestra.model.errors import InputError
from fenestra.model.tagger import Tagger
from fenestra.model.tags import spans
from tests.model.conftest import WAYS, small_model

MODEL = small_model(documents=True)
TAGGER = Tagger(MODEL, device="cpu")
TEXTS = [
    "Ada Lovelace met Siemens in Munich. She stayed.",
    "",
    "   \n\t",
    "Иван Петров живёт в Санкт-Петербурге.",
    "🙂 Ada 👩‍👩‍👧 в Zu\u0308rich",
    "one",
    "x" * 5000,
]


@pytest.fixture(scope="module", autouse=True, params=WAYS)
def compiled(request):
    """Every test with the kernel, and without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "TAGGER", Tagger(MODEL, device="cpu", compiled=request.param))
        yield request.param


@given(st.lists(st.text(max_size=60), max_size=5))
def test_entities_and_tokens_stand_in_the_text_where_they_say(texts):
    for text, analysis in zip(texts, TAGGER.analyse(texts), strict=True):
        for piece in (*analysis.entities, *analysis.tokens):
            assert text[piece.start : piece.end] == piece.text != ""
            assert 0 <= piece.score <= 1
        starts = [entity.start for entity in analysis.entities]
        assert starts == sorted(starts)


def test_what_is_tagged_together_is_what_is_tagged_alone():
    """Tags and places equal; scores to the precision of a float32 sum."""
    together = TAGGER.analyse(TEXTS)
    for text, both in zip(TEXTS, together, strict=True):
        alone = TAGGER.analyse([text])[0]
        assert [entity[:4] for entity in alone.entities] == [entity[:4] for entity in both.entities]
        assert [token[:4] for token in alone.tokens] == [token[:4] for token in both.tokens]
        np.testing.assert_allclose([t.score for t in alone.tokens], [t.score for t in both.tokens], atol=1e-5)


def test_entities_are_the_spans_of_the_tags():
    for sentence in (["Ada", "Lovelace", "met", "Siemens"], ["in"] * 30, ["Munich"]):
        analysis = TAGGER.analyse_tokens([sentence])[0]
        found = spans([token.tag for token in analysis.tokens])
        assert [(e.start, e.end, e.label) for e in analysis.entities] == [tuple(span) for span in found]
        assert all(e.text == " ".join(sentence[e.start : e.end]) for e in analysis.entities)


def test_tag_is_analyse_without_the_tokens():
    assert TAGGER.tag(TEXTS) == [analysis.entities for analysis in TAGGER.analyse(TEXTS)]
    assert TAGGER.tag_tokens([["Ada"], []]) == [a.entities for a in TAGGER.analyse_tokens([["Ada"], []])]


def test_nothing_has_no_entities():
    assert TAGGER.tag([]) == []
    assert TAGGER.tag(["", "  "]) == [[], []]
    assert TAGGER.tag_tokens([[], []]) == [[], []]


def test_a_document_longer_than_a_batch_is_one_document():
    """Every one of its sentences is tagged alike, and not as the same sentence alone would be."""
    sentence = ["ada", "met", "Siemens", "."]
    (predictions,) = TAGGER.predict([[sentence] * 3000])
    assert len(predictions) == 3000
    assert {tuple(prediction.tags) for prediction in predictions} == {tuple(predictions[0].tags)}
    ((alone,),) = TAGGER.predict([[sentence]])
    assert alone.token_scores != pytest.approx(predictions[0].token_scores, abs=1e-6)


def test_sentences_of_words_stand_for_themselves():
    """What is posted as tokens is tagged alike whatever else is posted with it."""
    first, *_ = TAGGER.analyse_tokens([["Rose", "met", "Ada"], ["a", "rose"]])
    assert first == TAGGER.analyse_tokens([["Rose", "met", "Ada"]])[0]
    documents = TAGGER.analyse_documents([[["Rose", "met", "Ada"], ["a", "rose"]]])
    assert [token.score for token in documents[0][0].tokens] != [token.score for token in first.tokens]


def test_a_sentence_longer_than_a_batch_is_not_cut():
    long = ["Ada", "met", "Siemens", "in", "Munich"] * 2000
    assert len(TAGGER.analyse_tokens([long])[0].tokens) == 10_000


def test_threads_may_share_a_tagger():
    expected = TAGGER.analyse(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(result == expected for result in pool.map(lambda _: TAGGER.analyse(TEXTS), range(64)))


@pytest.mark.parametrize("call", [lambda: TAGGER.tag("Ada"), lambda: TAGGER.tag_tokens(["Ada"]),
                                  lambda: TAGGER.tag_tokens([["Ada", ""]])])  # fmt: skip
def test_what_only_looks_like_a_list_of_texts_is_refused(call):
    with pytest.raises(InputError, match=r"expected a list|empty word"):
        call()


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused_by_name(name):
    with pytest.raises(InputError, match="device"):
        resolve_device(name)


def test_auto_takes_cuda_where_there_is_one():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_and_cpu_agree():
    """Equal tags, probabilities within 1e-5."""
    on_cpu = Tagger(MODEL, device="cpu", cache_numbers="float32")
    on_gpu = Tagger(small_model(documents=True), device="cuda")
    for cpu, gpu in zip(on_cpu.analyse(TEXTS), on_gpu.analyse(TEXTS), strict=True):
        assert [token.tag for token in cpu.tokens] == [token.tag for token in gpu.tokens]
        np.testing.assert_allclose([t.score for t in cpu.tokens], [t.score for t in gpu.tokens], atol=1e-5)


def test_the_temperature_changes_scores_and_no_tag(compiled):
    model = replace(MODEL, calibration=Calibration(5.0))
    hot = Tagger(model, device="cpu", compiled=compiled)
    plain, flat = TAGGER.analyse(TEXTS), hot.analyse(TEXTS)
    assert [t.tag for a in plain for t in a.tokens] == [t.tag for a in flat for t in a.tokens]
    assert [t.score for a in plain for t in a.tokens] != [t.score for a in flat for t in a.tokens]


@pytest.mark.parametrize("compiled", WAYS)
def test_a_name_with_a_word_that_training_did_not_know_has_a_score_of_its_own(compiled):
    documents = [[["Ada", "met", "Oslo"], ["Oslo", "Munich"]], [["ADA", "Kyiv", "Ada"] * 700]]
    text = "Ada met Oslo in Munich. Oslo Munich Kyiv Ada Lovelace met ADA."
    plain, wary = (
        Tagger(replace(MODEL, calibration=replace(MODEL.calibration, strange=strange)), device="cpu", compiled=compiled)
        for strange in (0.0, -3.0)
    )
    flat = [word for document in documents for sentence in document for word in sentence]
    assert wary.strange(documents).tolist() == [word in ("Oslo", "Kyiv") for word in flat]
    both = list(zip(plain.tag([text])[0], wary.tag([text])[0], strict=True))
    strange = [any(word in entity.text.split() for word in ("Oslo", "Kyiv", "Lovelace")) for entity, _ in both]
    assert len(set(strange)) == 2
    assert [before.score > after.score for before, after in both] == strange
    assert [before[:4] for before, _ in both] == [after[:4] for _, after in both]
    nowhere = Tagger(small_model(word=0), device="cpu", compiled=compiled)
    assert not nowhere.strange(documents).any()
