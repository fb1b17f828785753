"""The transition scores of a CRF: what is stored, what is refused, and that a tagger uses them."""

from dataclasses import replace

import numpy as np
import pytest

from fenestra.model import checkpoint
from fenestra.model.config import ModelConfig
from fenestra.model.decode.crf import FORBIDDEN, Transitions
from fenestra.model.engine.reference import crf_of
from fenestra.model.errors import ConfigError
from fenestra.model.network.parameters import Parameters
from fenestra.model.tagger import Tagger
from fenestra.model.tags import tag_set, transitions
from tests.model.conftest import ENGINES, small_model

SENTENCE = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", "."]
NAMES = ("chain.start", "chain.step", "chain.end")


def test_with_nothing_learned_transitions_say_what_the_scheme_says():
    tags = tag_set(("LOC", "PER"), "BIOES")
    for score, legal in zip(Transitions.allowed(tags, "BIOES"), transitions(tags, "BIOES"), strict=True):
        assert (score == np.where(legal, 0.0, FORBIDDEN)).all()


def test_what_the_scheme_forbids_is_not_learned_and_not_divided():
    """Whatever number stands where a transition is illegal."""
    tags = tag_set(("PER",), "IOB2")
    learned = (np.full(shape, 6.0, np.float32) for shape in ((3,), (3, 3), (3,)))
    scores = Transitions.learned(learned, tags, "IOB2").divided(3.0)
    assert scores.start_K.tolist() == [2.0, 2.0, FORBIDDEN]
    assert scores.transition_KK.tolist() == [[2.0, 2.0, FORBIDDEN], [2.0] * 3, [2.0] * 3]
    assert scores.end_K.tolist() == [2.0] * 3


def test_without_a_crf_there_are_no_transitions_and_no_weights_of_them():
    model = small_model()
    assert model.parameters.transitions is None
    assert crf_of(model) is None
    assert [name for name in model.parameters.to_arrays("float32") if "chain" in name] == []


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "IO"])
def test_a_saved_crf_says_the_same_bit_for_bit(scheme, tmp_path):
    model = small_model(scheme=scheme, decoder="transitions")
    checkpoint.save(model, tmp_path / "saved")
    before, after = Tagger(model, device="cpu"), Tagger.load(tmp_path / "saved", device="cpu")
    assert after.config.decoder == "transitions"
    assert before.tag_tokens([SENTENCE]) == after.tag_tokens([SENTENCE])
    for one, other in zip(model.parameters.transitions, after.parameters.transitions, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("chain.step", lambda x: x[:3], r"chain\.step"),
        ("chain.start", lambda x: x.astype(np.float16), r"chain\.start holds numbers of float16"),
        ("chain.end", lambda x: x * np.float32("nan"), r"chain\.end holds a value that is not finite"),
        ("chain.end", None, r"chain\.end is missing"),
    ],
)
def test_a_damaged_crf_is_refused_by_name(name, change, message):
    model = small_model(decoder="transitions")
    arrays = model.parameters.to_arrays("float32")
    if change:
        arrays[name] = change(arrays[name])
    else:
        del arrays[name]
    with pytest.raises(ValueError, match=message):
        Parameters.from_arrays(model.config, model.lexicon, arrays)


def test_transitions_of_a_model_without_a_crf_are_refused():
    model = small_model()
    more = small_model(decoder="transitions").parameters.to_arrays("float32")
    arrays = {**model.parameters.to_arrays("float32"), **{name: more[name] for name in NAMES}}
    with pytest.raises(ValueError, match=r"chain\.end is not a part of such a network"):
        Parameters.from_arrays(model.config, model.lexicon, arrays)


def test_a_configuration_from_before_there_were_crfs_has_none():
    values = small_model().config.to_json()
    del values["decoder"]
    assert ModelConfig.from_json(values).decoder == "softmax"


def test_a_decoder_that_is_unknown_is_refused_by_field():
    with pytest.raises(ConfigError, match=r"model\.decoder: expected one of softmax, transitions"):
        ModelConfig.from_json({**small_model().config.to_json(), "decoder": "beam"})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tagger_goes_by_the_learned_transitions(engine):
    """Where a CRF wants B-PER after everything, windows have nothing to say."""
    model = small_model(decoder="transitions")
    column = tag_set(model.config.labels, "IOB2").index("B-PER")
    start_K, transition_KK, end_K = model.parameters.transitions
    for scores in (start_K, transition_KK, end_K):
        scores[:] = 0
    start_K[column] = transition_KK[:, column] = 1e3
    (result,) = Tagger(model, device="cpu", engine=engine).tag_tokens([SENTENCE])
    assert [(entity.start, entity.label) for entity in result] == [(t, "PER") for t in range(7)]
    assert [token.score for token in result.tokens] == pytest.approx([1.0] * 7)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_temperature_divides_learned_transitions_too(engine):
    """Hotter, the paths of one sentence come nearer to each other, and the best stays the best."""
    model = small_model(decoder="transitions", scheme="BIOES")
    results = [
        Tagger(
            replace(model, calibration=replace(model.calibration, temperature=t)), device="cpu", engine=engine
        ).tag_tokens([SENTENCE])[0]
        for t in (1.0, 30.0)
    ]
    cold, hot = ([token.score for token in result.tokens] for result in results)
    assert [token.tag for token in results[0].tokens] == [token.tag for token in results[1].tokens]
    assert max(hot) < min(0.9, max(cold))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_token_is_explained_as_it_was_tagged(engine):
    tagger = Tagger(small_model(decoder="transitions", scheme="BIOES"), device="cpu", engine=engine)
    (result,) = tagger.tag_tokens([SENTENCE])
    for place, token in enumerate(result.tokens):
        found = tagger.explain(SENTENCE, place)
        assert found.token == token
        assert found.bias + found.document + sum(share.share for share in found.shares) == pytest.approx(found.logit)
