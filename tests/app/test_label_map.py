"""Labels by other names: in settings and requests, at the doors for other tools and nowhere else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenestra.app import label_map
from fenestra.app.engine.models import ServedModel
from fenestra.app.label_map import Rename
from fenestra.app.settings import Settings
from fenestra.model.errors import InputError
from fenestra.model.label_names import name_labels
from tests.app.doors import RunTagger, assert_text_error, post

TEXT = "Paul met Maria in Lima with Ada."
LABELS = RunTagger.labels
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(label_map.is_name)


def groups(answer):
    assert answer.status_code == 200, answer.text
    return [row.get("entity_group") or row["entity_type"] for row in answer.json()]


@pytest.fixture
def serve_runs(serve, monkeypatch):
    def start(setting=None, **settings):
        if setting is not None:
            monkeypatch.setenv("FENESTRA_LABEL_MAP", setting)
        return serve(RunTagger(), **settings)

    return start


def ask(client, labels=None, path="/hf", **body):
    body = {"inputs": TEXT, "parameters": {"label_map": labels}} if path.startswith("/hf") else {
        "text": TEXT, "language": "en", "label_map": labels, **body,
    }  # fmt: skip
    return post(client, path, body)


def test_without_a_map_the_labels_are_the_models_own_and_no_header_says_otherwise(serve_runs):
    answer = ask(serve_runs())
    assert groups(answer) == ["PER", "MISC", "LOC", "ORG"]
    assert label_map.LABELS_HEADER not in answer.headers


def test_the_setting_renames_and_drops_and_a_header_says_so(serve_runs):
    answer = ask(serve_runs("PER:PERSON, LOC : PLACE ,MISC:"))
    assert groups(answer) == ["PERSON", "PLACE", "ORG"]
    assert answer.headers["x-fenestra-labels"] == "PER=PERSON, LOC=PLACE, MISC="


def test_a_request_has_the_last_word(serve_runs):
    answer = ask(serve_runs("PER:PERSON,MISC:"), {"PER": "HUMAN", "MISC": "MISC", "ORG": None})
    assert groups(answer) == ["HUMAN", "MISC", "LOC"]
    assert answer.headers["x-fenestra-labels"] == "PER=HUMAN, ORG="


def test_the_header_is_there_though_the_text_has_no_such_label(serve_runs):
    answer = post(serve_runs("MISC:"), "/hf", {"inputs": ["nobody"]})
    assert (answer.json(), answer.headers["x-fenestra-labels"]) == ([[]], "MISC=")


def test_tokens_are_renamed_and_dropped_too(serve_runs):
    body = {"inputs": "Paul Ito met Maria", "parameters": {"aggregation_strategy": "none", "ignore_labels": []}}
    rows = post(serve_runs("PER:PERSON,MISC:"), "/hf", body).json()
    assert [row["entity"] for row in rows] == ["B-PERSON", "I-PERSON", "O"]


def test_labels_are_ignored_by_their_new_names(serve_runs):
    client = serve_runs("PER:PERSON")
    ignoring = {"inputs": TEXT, "parameters": {"ignore_labels": ["PERSON", "MISC", "O"]}}
    assert groups(post(client, "/hf", ignoring)) == ["LOC", "ORG"]


def test_an_entry_for_one_model_is_for_it_alone_and_stronger(serve_runs):
    client = serve_runs("runs/PER:PERSON,PER:HUMAN,LOC:PLACE", model_name="runs")
    assert groups(ask(client)) == ["PERSON", "MISC", "PLACE", "ORG"]
    renames = Settings().label_map
    assert label_map.of_model(renames, "other") == {"PER": "HUMAN", "LOC": "PLACE"}


def test_tag_has_the_models_own_labels_whatever_the_map_says(serve_runs, serve):
    plain = serve(RunTagger()).tag({"text": TEXT, "details": True})
    mapped = serve_runs("PER:PERSON,MISC:").tag({"text": TEXT, "details": True})
    assert mapped.content == plain.content
    assert label_map.LABELS_HEADER not in mapped.headers


FORMS = ["PER", "PER=PERSON", ":PERSON", "PER:A\x07", "/PER:A", "PER:" + "a" * 201, "PER:A,PER:B", "x/PER:A,x/PER:"]


@pytest.mark.parametrize("value", FORMS)
def test_another_form_is_refused_by_name(monkeypatch, value):
    monkeypatch.setenv("FENESTRA_LABEL_MAP", value)
    with pytest.raises(InputError, match=r"^FENESTRA_LABEL_MAP: "):
        Settings.read()


UNKNOWN = [
    ("PERS:PERSON", "FENESTRA_LABEL_MAP: no model has the label 'PERS'; there are LOC, MISC, ORG, PER"),
    ("german/PER:PERSON", "FENESTRA_LABEL_MAP: no model 'german' is served, but english"),
    ("english/X:", "FENESTRA_LABEL_MAP: english does not have the label 'X'; there are LOC, MISC, ORG, PER"),
]


@pytest.mark.parametrize(("setting", "message"), UNKNOWN)
def test_a_label_that_no_model_has_stops_the_start(serve_runs, setting, message):
    with pytest.raises(InputError, match=re.escape(message)):
        serve_runs(setting)


def test_a_label_that_one_of_several_models_has_is_enough():
    renames = [Rename(None, "A", "X"), Rename("second", "B", None)]
    label_map.check_setting(renames, {"first": ("A",), "second": ("B",)})
    with pytest.raises(InputError, match="first does not have"):
        label_map.check_setting([Rename("first", "B", None)], {"first": ("A",), "second": ("B",)})


REFUSED = [{"SECRET": "PERSON"}, {"PER": ""}, {"PER": "a" * 201}, {"PER": 3}, {"PER": "a\nb"}, [], "PER:X", {"": "a"}]


@pytest.mark.parametrize("labels", REFUSED)
@pytest.mark.parametrize("path", ["/hf", "/analyze"])
def test_a_map_of_a_request_is_checked_and_not_repeated(serve_runs, path, labels):
    answer = ask(serve_runs(), labels, path)
    assert_text_error(answer, 422)
    assert "label_map: " in answer.json()["error"]
    assert "SECRET" not in answer.text


def test_a_reload_that_takes_a_named_label_away_is_refused_and_the_model_serves_on(serve_runs, caplog):
    client = serve_runs("MISC:")
    before = groups(ask(client))
    client.app.state.service.models._open_model = lambda *_: Other()
    answer = client.request("POST", "/models/english/reload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "reload_failed")
    assert "no model has the label 'MISC'; there are LOC, PER" in caplog.text
    assert groups(ask(client)) == before


def test_a_reload_that_brings_a_new_label_shows_it_by_its_own_name(serve_runs):
    client = serve_runs("PER:PERSON")
    client.app.state.service.models._open_model = lambda *_: Other()
    assert client.request("POST", "/models/english/reload").status_code == 200
    assert ask(client).headers["x-fenestra-labels"] == "PER=PERSON"
    assert_text_error(ask(client, {"MISC": None}), 422)


class Other(RunTagger):
    labels = ("PER", "LOC")
    version = "other-1"


@given(names=st.dictionaries(st.sampled_from(LABELS), NAMES), dropped=st.sets(st.sampled_from(LABELS)))
def test_the_header_is_ascii_and_says_what_changed(names, dropped):
    wanted = {**names, **dict.fromkeys(dropped)}
    value = label_map.labels_header(LABELS, name_labels(LABELS, wanted)).get(label_map.LABELS_HEADER, "")
    value.encode("ascii")
    assert value.isprintable()
    changed = {label for label in wanted if wanted[label] != label}
    assert {part.partition("=")[0] for part in value.split(", ") if part} == changed


def test_a_long_header_is_cut_between_two_labels():
    labels = [f"{number:03}" for number in range(250)]
    (value,) = label_map.labels_header(labels, dict.fromkeys(labels, "é" * 100)).values()
    *parts, last = value.split(", ")
    assert len(value) <= 4010
    assert last == "..."
    assert all(part.endswith("%A9") for part in parts)
    assert label_map.types_header(["🚀" * 400]) == {label_map.TYPES_HEADER: "..."}


def test_models_have_the_label_names_of_their_taggers():
    assert ServedModel("a", None, RunTagger(), frozenset()).language == "en"
