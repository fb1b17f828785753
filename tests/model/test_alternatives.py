"""What tokens and entities may be instead, on request."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fenestra.model.decode.alternatives import best_others, label_log_products, tag_probabilities
from fenestra.model.decode.calibration import Calibration
from fenestra.model.decode.decoding import read_paths, tag_tables
from fenestra.model.engine import library
from fenestra.model.results import Alternative
from fenestra.model.tagger import Tagger
from fenestra.model.tags import PREFIXES, tag_set
from tests.model.conftest import ENGINES, tame_model

LABELS = ("LOC", "ORG", "PER")
TEXTS = ["Ada Lovelace met SIEMENS in Munich. She stayed, and Munich met Ada.", "", "Rose met Ito in London.", "one"]
SENTENCES = [["Ada", "Lovelace", "met", "Siemens"], [], ["Munich"]]
KINDS = [{"scheme": scheme, "decoder": name} for scheme in PREFIXES for name in ("softmax", "transitions")]
KINDS.append({"scheme": "BIOES", "agreement": True})


def tagger_of(engine="auto", **options):
    return Tagger(tame_model(labels=LABELS, **options), device="cpu", engine=engine)


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_other_tags_of_a_token_come_after_its_own_and_leave_nothing_over(engine, options):
    tagger = tagger_of(engine, **options)
    names = tag_set(LABELS, "IOB2")
    # The scheme IO does not tell B from I, and has the probability of both under B.
    possible = {name for name in names if options["scheme"] != "IO" or not name.startswith("I-")}
    for count in (1, 3, len(names)):
        for token in (token for result in tagger.tag(TEXTS, alternatives=count) for token in result.tokens):
            others = token.alternatives
            chosen = token.tag.replace("I-", "B-") if options["scheme"] == "IO" else token.tag
            assert len(others) == min(count, len(names) - 1)
            assert chosen not in {other.name for other in others}
            assert len({other.name for other in others}) == len(others)
            scores = [other.score for other in others]
            assert scores == sorted(scores, reverse=True)
            assert all(0 <= score <= 1 for score in scores)
            assert token.score + sum(scores) <= 1 + 1e-5
            if count == len(names):
                assert token.score + sum(scores) == pytest.approx(1, abs=1e-5)
                assert {other.name for other in others if other.score > 1e-12} <= possible


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_other_labels_of_an_entity_are_of_the_same_span(engine, options):
    tagger = tagger_of(engine, **options)
    entities = [entity for result in tagger.tag(TEXTS, alternatives=9) for entity in result]
    assert len(entities) > 3
    for entity in entities:
        assert sorted(other.name for other in entity.alternatives) == sorted({*LABELS} - {entity.label})
        scores = [other.score for other in entity.alternatives]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
    for entity in (entity for result in tagger.tag(TEXTS, alternatives=1) for entity in result):
        assert len(entity.alternatives) == 1


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_who_does_not_ask_for_alternatives_gets_the_same_without(engine, options):
    tagger = tagger_of(engine, **options)
    for plain, told in (
        (tagger.tag(TEXTS), tagger.tag(TEXTS, alternatives=2)),
        (tagger.tag_tokens(SENTENCES), tagger.tag_tokens(SENTENCES, alternatives=2)),
        ([tagger(TEXTS[0])], [tagger(TEXTS[0], alternatives=2)]),
    ):
        assert plain == told
        assert all(not piece.alternatives for result in plain for piece in (*result, *result.tokens))
        assert any(piece.alternatives for result in told for piece in (*result, *result.tokens))


@pytest.mark.skipif(library.load() is None, reason="no compiled kernel here")
def test_both_engines_tell_the_same():
    for options in KINDS:
        native, reference = (tagger_of(name, **options).tag(TEXTS, alternatives=9) for name in ("native", "reference"))
        for ours, theirs in zip(native, reference, strict=True):
            for one, other in zip((*ours, *ours.tokens), (*theirs, *theirs.tokens), strict=True):
                scores = dict(other.alternatives)
                assert {name: pytest.approx(score, abs=1e-3) for name, score in one.alternatives} == scores


def test_alternatives_are_a_part_of_plain_values_where_there_are_any():
    tagger = tagger_of()
    told, plain = tagger(TEXTS[0], alternatives=1), tagger(TEXTS[0])
    (other,) = told[0].alternatives
    assert told[0].to_dict() == {**plain[0].to_dict(), "alternatives": [{"name": other.name, "score": other.score}]}
    assert told.tokens[0].to_dict()["alternatives"] == [told.tokens[0].alternatives[0]._asdict()]
    assert "alternatives" not in plain.tokens[0].to_dict()
    assert told[0] == plain[0]
    assert repr(told[0]) == repr(plain[0])


# ── by hand ──

P = [[0.1, 0.5, 0.05, 0.05, 0.02, 0.2, 0.03, 0.03, 0.02], [0.1, 0.05, 0.04, 0.4, 0.01, 0.02, 0.05, 0.3, 0.03],
     [0.2, 0.05, 0.05, 0.1, 0.3, 0.05, 0.02, 0.03, 0.2]]  # fmt: skip
"""p of O, B I E S of X and of Y, of three tokens: best as a path are B-X E-X S-X."""


def test_a_case_by_hand():
    tags, log_TK = tag_set(("X", "Y"), "BIOES"), np.log(np.array(P, np.float32))
    paths = read_paths(log_TK, [3], tags, "BIOES")
    assert [tags[column] for column in paths.column_T] == ["B-X", "E-X", "S-X"]
    p_TB = tag_probabilities(log_TK, tag_tables(tags, "BIOES"), "BIOES", 2)
    # O; B-X or S-X, I-X or E-X; the same of Y
    expected = [[0.1, 0.52, 0.1, 0.22, 0.06], [0.1, 0.06, 0.44, 0.05, 0.35], [0.2, 0.35, 0.15, 0.25, 0.05]]
    np.testing.assert_allclose(p_TB, expected, atol=1e-6)
    assert [[name for name, _ in others] for others in best_others(p_TB, paths.tag_T, 2)] == [[3, 0], [4, 0], [3, 0]]
    # B-X E-X; as Y it were B-Y E-Y
    products = np.exp(label_log_products(log_TK, paths, "BIOES", 2))
    np.testing.assert_allclose(products, [[0.5 * 0.4, 0.2 * 0.3], [0.3, 0.2]], rtol=1e-5)


def test_scores_of_other_labels_are_calibrated_like_that_of_the_entity():
    """logit(score) = slope · logit(∏ p) + length · ln n + offset, by hand from the probabilities of the tags."""
    model = replace(tame_model(labels=LABELS, scheme="IOB2"), calibration=Calibration(1.5, 0.8, 0.1, 0.3))
    tagger = Tagger(model, device="cpu")
    tags = tag_set(LABELS, "IOB2")
    words = ["Ada", "Lovelace", "met", "Siemens", "in", "Munich", ".", "Ada"]
    p_TK = np.exp(tagger.log_probabilities([[words]]).astype(float))
    (result,) = tagger.tag_tokens([words], alternatives=2)
    assert len(result) > 0
    for entity in result:
        for name, score in [(entity.label, entity.score), *entity.alternatives]:
            columns = [
                tags.index(f"{'I' if t > entity.start else 'B'}-{name}") for t in range(entity.start, entity.end)
            ]
            p = math.prod(p_TK[entity.start + n, column] for n, column in enumerate(columns))
            logit = 0.8 * math.log(p / (1 - p)) + 0.3 * math.log(len(columns)) + 0.1
            assert score == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-4)


def test_the_best_others_are_the_highest_beside_the_chosen_one_and_of_equals_the_first():
    found = best_others(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]]), np.array([1, 2, 2]), 2)
    assert found == [[(2, 0.3), (0, 0.2)], [(0, 0.4), (1, 0.4)], [(0, 0.1), (1, 0.1)]]
    assert best_others(np.zeros((0, 3)), np.zeros(0, int), 2) == []


def test_with_one_label_an_entity_may_be_nothing_else():
    result = Tagger(tame_model(labels=("PER",)), device="cpu")(TEXTS[0], alternatives=5)
    assert [entity.alternatives for entity in result] == [[]] * len(result) != []
    for token in result.tokens:
        assert {token.tag, *(other.name for other in token.alternatives)} == {"O", "B-PER", "I-PER"}
        assert all(isinstance(other, Alternative) for other in token.alternatives)
