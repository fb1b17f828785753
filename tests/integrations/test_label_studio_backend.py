"""Label Studio's ML backend, by the requests that Label Studio 1.23 sends."""

import base64
import json
import logging
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from xml.sax.saxutils import quoteattr

import httpx
import pytest
import uvicorn

from benchmarks.serving import Server
from fenestra.app.server import bind
from fenestra.cli.label_studio import label_map
from fenestra.cli.main import main
from fenestra.integrations.label_studio import access, projects, routes
from fenestra.integrations.label_studio.access import Credentials
from fenestra.integrations.label_studio.examples import Examples, collect
from fenestra.integrations.label_studio.label_config import LabelConfigError, ProjectLabel, read_label_config
from fenestra.integrations.label_studio.labels import LabelMap
from fenestra.integrations.label_studio.projects import Options, Projects
from fenestra.integrations.label_studio.retraining import NotRetrained, checked, run, write_job
from fenestra.integrations.label_studio.routes import create_app
from fenestra.integrations.label_studio.store import Annotation, Store
from fenestra.integrations.label_studio.trainer import Trainer
from fenestra.model.bundled import bundled_model
from fenestra.model.config import ModelConfig
from fenestra.model.errors import InputError, StorageError
from fenestra.model.tagger import Tagger
from fenestra.training.config import load_config
from fenestra.training.data.inspection import Text

TEXT = "👩‍🚀🚀 Ada Lovelace met Angela Merkel in Paris."
TOKEN = "0123456789abcdef-user-token"


def config(*labels, text='<Text name="text" value="$text"/>'):
    inside = "".join(label if label.startswith("<") else f"<Label value={quoteattr(label)}/>" for label in labels)
    return f'<View><Labels name="label" toName="text">{inside}</Labels>{text}</View>'


CONFIG = config("Person", "Organization", "Place")
SEVEN = {"id": 7, "label_config": CONFIG}


@pytest.fixture(scope="module")
def english():
    return Tagger.load(bundled_model(), threads=1)


@pytest.fixture
def backend(tmp_path):
    """The backend on the bundled model; trains when it is told to."""
    with start(tmp_path) as client:
        yield client


@contextmanager
def start(folder, credentials=None, **options):
    """A client of the backend, which runs on a thread."""
    app = create_app(Projects(Options(folder, bundled_model(), **{"after": 0, **options})), credentials)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    with bind("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=300) as client:
                while not server.started:
                    time.sleep(0.01)
                yield client
        finally:
            server.should_exit = True
            thread.join()


def predict(client, *texts, project="7.1764460000", label_config=CONFIG, field="text"):
    body = {
        "tasks": [{"id": n, "data": {field: text}, "project": 7} for n, text in enumerate(texts, 1)],
        "project": project, "label_config": label_config, "params": {"login": None, "password": None, "context": None},
    }  # fmt: skip
    answer = client.post("/predict", content=json.dumps(body))  # with the escapes of Label Studio
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def spans(prediction):
    return [
        (r["value"]["start"], r["value"]["end"], r["value"]["text"], *r["value"]["labels"])
        for r in prediction["result"]
    ]


def annotation(number, text, *marked, action="ANNOTATION_CREATED", project=7, label_config=CONFIG, **fields):
    """The event of an annotation; ``marked`` are pairs of what is marked and its label."""
    region = {"id": "r", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual"}
    result = []
    for quoted, label in marked:
        at = text.index(quoted)
        value = {"start": at, "end": at + len(quoted), "text": quoted, "labels": [label]}
        result.append({**region, "value": value})
    made = {
        "id": number, "result": result, "was_cancelled": False, "task": number, "project": project,
        "updated_at": "2026-11-29T10:00:00Z", **fields,
    }  # fmt: skip
    return {
        "action": action, "annotation": made, "task": {"id": number, "data": {"text": text}},
        "project": {"id": project, "label_config": label_config},
    }  # fmt: skip


def tell(client, event):
    answer = client.post("/webhook", json=event)
    assert answer.status_code == 201, answer.text
    return answer.json()


def training(client):
    return client.get("/versions", params={"project": "7.1764460000"}).json()["training"]


def changed(client):
    return training(client)["changed_annotations"]


def wait(client):
    """How the training ended that runs or waits."""
    while (now := training(client))["state"] != "idle":
        time.sleep(0.05)
    return now["last"]


# the protocol


def test_it_is_up(backend):
    for path in ("/health", "/"):
        assert backend.get(path).json() == {"status": "UP", "model_class": "Fenestra"}
    assert backend.get("/metrics").json() == {}


def test_setup_names_the_model_and_keeps_no_token(backend, english, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    body = {
        "project": "7.1764460000", "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": TOKEN,
        "extra_params": None,
    }  # fmt: skip
    assert backend.post("/setup", json=body).json() == {"model_version": english.version}
    assert TOKEN not in caplog.text
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_as_many_results_as_tasks_each_as_the_tagger_says(backend, english):
    texts = [TEXT, "", "Nothing here.", "\ud83d half of a letter", "Ada Lovelace met Siemens.", TEXT]
    found = predict(backend, *texts)
    assert len(found) == len(texts)
    first = found[0]
    expected = [(e.start, e.end, e.text, {"PER": "Person", "LOC": "Place"}[e.label]) for e in english(TEXT)]
    assert spans(first) == expected
    assert [region["score"] for region in first["result"]] == [round(entity.score, 6) for entity in english(TEXT)]
    region = first["result"][0]
    assert {key: region[key] for key in ("from_name", "to_name", "type")} == {
        "from_name": "label", "to_name": "text", "type": "labels",
    }  # fmt: skip
    assert first["score"] == min(region["score"] for region in first["result"])
    assert first["model_version"] == english.version
    assert found[5]["result"] == first["result"]
    assert found[1]["result"] == found[3]["result"] == []
    assert found[1]["score"] == 1.0


def test_a_task_without_entities_scores_as_its_least_certain_token(backend, english):
    text = "She drives a Model T to the shop."
    assert list(english(text)) == []
    assert predict(backend, text)[0]["score"] == round(min(token.score for token in english(text).tokens), 6)


def test_several_texts_and_controls(backend):
    both = (
        '<View><Labels name="who" toName="title,body"><Label value="Person"/></Labels>'
        '<Labels name="where" toName="body"><Label value="Place"/></Labels>'
        '<Text name="title" value="$meta.title" granularity="word"/><Text name="body" value="$body"/>'
        '<Choices name="c" toName="body"><Choice value="x"/></Choices>'
        '<Text name="far" value="$far" valueType="url"/></View>'
    )
    data = {"meta": {"title": "Ada Lovelace speaks"}, "body": "Angela Merkel lives in Berlin.", "far": "http://x/"}
    body = {"tasks": [{"id": 1, "data": data}], "project": "7.1", "label_config": both, "params": {}}
    (found,) = backend.post("/predict", json=body).json()["results"]
    assert [(r["from_name"], r["to_name"], r["value"]["text"], *r["value"]["labels"]) for r in found["result"]] == [
        ("who", "title", "Ada Lovelace", "Person"),
        ("who", "body", "Angela Merkel", "Person"),
        ("where", "body", "Berlin", "Place"),
    ]
    assert len({region["id"] for region in found["result"]}) == 3


def test_tasks_that_were_imported_as_plain_text(backend):
    assert next(span[2] for span in spans(predict(backend, TEXT, field="$undefined$")[0])) == "Ada Lovelace"


def test_what_the_model_knows_and_the_project_does_not_is_said_once(backend, caplog):
    only = config("Person")
    assert [span[3] for span in spans(predict(backend, TEXT, label_config=only)[0])] == ["Person", "Person"]
    predict(backend, TEXT, label_config=only)
    assert caplog.text.count("no label for LOC, ORG of the model") == 1
    assert "Lovelace" not in caplog.text


def test_a_field_that_tasks_lack_is_said_once(backend, caplog):
    for _ in range(2):
        assert spans(predict(backend, TEXT, field="body")[0]) == []
    assert predict(backend, TEXT)[0]["result"]
    said = [message for message in caplog.messages if "without" in message]
    assert said == ["project 7: there are tasks without a text in their field 'text'"]


def test_validate(backend):
    good = backend.post("/validate", json={"config": CONFIG})
    assert good.json() == {"controls": [{"from_name": "label", "to_name": "text", "field": "text"}]}
    bad = backend.post("/validate", json={"config": "<View/>"})
    assert (bad.status_code, bad.json()) == (422, {"error": 'expected <Labels toName="…"> for a <Text value="$…">'})


def test_versions(backend, english):
    assert backend.get("/versions").json() == {"versions": [english.version]}
    of = {"state": "idle", "last": None, "changed_annotations": 0}
    assert backend.post("/versions", json={"project": "7.1"}).json() == {"versions": [english.version], "training": of}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/predict", b"{secret", 400, "the body is no JSON"),
        ("/predict", b'{"tasks": ' + b"9" * 5000 + b"}", 400, "the body is no JSON"),
        ("/predict", b"[" * 100_000, 400, "the body is no JSON"),
        ("/predict", b'"\xff secret"', 400, "the body is no JSON"),
        ("/predict", b'{"tasks": "secret"}', 422, "tasks: not as expected (list_type)"),
        ("/predict", b'{"tasks": [{"data": "secret"}], "project": "7.1"}', 422, "tasks: not as expected (dict_type)"),
        ("/predict", b'{"tasks": []}', 422, "project: expected an id"),
        ("/predict", b'{"tasks": [], "project": "../secret.1"}', 422, "project: expected an id"),
        ("/predict", b'{"tasks": [], "project": "7.1"}', 422,
         "label_config: expected the labelling configuration of the project"),
        ("/setup", b'{"project": "7.1", "schema": "<secret"}', 422, "the labelling configuration is no XML"),
        ("/webhook", b'[]', 422, "body: not as expected (model_type)"),
        ("/secret", b"{}", 404, "no such path"),
        ("/health", b"{}", 405, "no such method"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_repeat_nothing(backend, path, body, status, message):
    answer = backend.post(path, content=body)
    assert (answer.status_code, answer.json()) == (status, {"error": message})
    assert b"secret" not in answer.content


def test_a_body_that_is_too_long_is_refused(backend, monkeypatch):
    monkeypatch.setattr(routes, "MOST_BYTES", 1000)
    answer = backend.post("/predict", content=b" " * 1001)
    assert (answer.status_code, answer.json()) == (413, {"error": "the body is longer than 1,000 bytes"})


def test_an_error_of_ours_says_nothing_of_the_text(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise ValueError(TEXT)

    monkeypatch.setattr(routes, "predict", fail)
    with start(tmp_path) as client:
        body = {"tasks": [], "project": "7.1", "label_config": CONFIG}
        answer = client.post("/predict", content=json.dumps(body))  # with the escapes of Label Studio
    assert (answer.status_code, answer.json()) == (500, {"error": "something went wrong here; the log says where"})
    assert "ValueError" in caplog.text
    assert "Lovelace" not in caplog.text


def test_a_disk_that_is_full_keeps_no_prediction_back(backend, monkeypatch, caplog):
    predict(backend, "Nothing here.")

    def full(*_):
        raise StorageError("annotations.sqlite3: OperationalError")

    monkeypatch.setattr(Store, "see", full)
    assert len(predict(backend, TEXT)[0]["result"]) == 3
    assert "project 7: texts are not kept: annotations.sqlite3: OperationalError" in caplog.text
    monkeypatch.setattr(Store, "configure", full)
    assert len(predict(backend, TEXT, project="8")[0]["result"]) == 3
    assert "project 8: its configuration is not kept: annotations.sqlite3: OperationalError" in caplog.text
    body = {"tasks": [], "project": "8"}
    monkeypatch.setattr(Store, "label_config", full)
    assert backend.post("/predict", json=body).status_code == 500


# authentication


def test_basic_authentication(tmp_path):
    with start(tmp_path, Credentials.of(b"ada:pass:word")) as client:

        def status(user, password, path="/versions", scheme="Basic"):
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            return client.get(path, headers={"Authorization": f"{scheme} {pair}"}).status_code

        assert status("ada", "pass:word") == 200
        assert status("ada", "pass:word", scheme="basic") == 200
        assert (
            status("ada", "wrong") == status("bob", "pass:word") == status("ada", "pass:word", scheme="Bearer") == 401
        )
        refused = client.post("/predict", content=b"x", headers={"Authorization": "Basic !"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert client.get("/health").status_code == 200


def test_credentials_come_from_the_environment_in_pairs(monkeypatch):
    monkeypatch.delenv(access.USER, raising=False)
    monkeypatch.delenv(access.PASSWORD, raising=False)
    assert access.from_environment() is None
    monkeypatch.setenv(access.USER, "ada")
    with pytest.raises(InputError, match="expected both or neither"):
        access.from_environment()
    monkeypatch.setenv(access.PASSWORD, "x")
    assert access.from_environment() == Credentials.of(b"ada:x")
    monkeypatch.setenv(access.USER, "a:b")
    with pytest.raises(InputError, match="without a colon"):
        access.from_environment()
    monkeypatch.setenv(access.USER, "ada")
    monkeypatch.setenv(access.PASSWORD, "schlüssel")
    with pytest.raises(InputError, match="expected ASCII") as error:
        access.from_environment()
    assert "schl" not in str(error.value)


# labelling configurations and labels


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "is no XML"),
        ("<View>", "is no XML"),
        ('<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><View>&b;</View>', "declares a document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><View/>', "declares a document type"),
        ("<View>&undefined;</View>", "is no XML"),
        ("<View>" + "x" * 250_000 + "</View>", "is longer than 250,000 characters"),
        (config(*map(str, range(1001))), "at most 100 controls and 1,000 labels"),
        (config('<Labels toName="text"><Label value="x"/>' * 2000 + "</Labels>" * 2000), "at most 100 controls"),
        (config("A", text='<Text name="text" value="$' + "x." * 150 + '"/>'), "expected <Labels"),
        (config("A", text='<Text name="other" value="$text"/>'), "expected <Labels"),
        (config("A", text='<Text name="text" value="text"/>'), "expected <Labels"),
        (config("A", text='<Text name="text" value="$text" valueType="url"/>'), "expected <Labels"),
    ],
)  # fmt: skip
def test_configurations_that_cannot_be_used(xml, message):
    with pytest.raises(LabelConfigError, match=message):
        read_label_config(xml)


def test_a_text_that_is_named_again_and_again_is_marked_once():
    labels = "".join(f'<Label value="{n}"/>' for n in range(900))
    xml = f'<View><Labels name="a" toName="{"t," * 50_000}">{labels}</Labels><Text name="t" value="$t"/></View>'
    (control,) = read_label_config(xml)
    assert len(control.labels) == 900


def test_aliases_groups_and_predicted_values():
    xml = config('<Label value="Mensch" alias="m" predicted_values="PER, human"/>', "<View><Label value='Ort'/></View>")
    (control,) = read_label_config(xml)
    assert control.labels == (ProjectLabel("Mensch", "m", ("PER", "human")), ProjectLabel("Ort"))


@pytest.mark.parametrize(
    ("project", "given", "expected"),
    [
        ([ProjectLabel("PER"), ProjectLabel("Person")], {}, {"PER": "PER"}),
        ([ProjectLabel("Person"), ProjectLabel("Location"), ProjectLabel("company")], {},
         {"PER": "Person", "LOC": "Location", "ORG": "company"}),
        ([ProjectLabel("per")], {}, {"PER": "per"}),
        ([ProjectLabel("Mensch", "m", ("PER",))], {}, {"PER": "m"}),
        ([ProjectLabel("Mensch", "m"), ProjectLabel("Person")], {"PER": "Mensch"}, {"PER": "m"}),
        ([ProjectLabel("Dog")], {"PER": "Cat"}, {}),
    ],
)  # fmt: skip
def test_labels_are_matched(project, given, expected):
    assert LabelMap.of(("LOC", "ORG", "PER"), project, given).to_project == expected


def test_labels_lead_back_and_new_ones_are_written_as_tags():
    labels = LabelMap.of(("PER",), [ProjectLabel("Person", "p"), ProjectLabel("Job title")], {})
    assert labels.to_model == {"Person": "PER", "p": "PER", "Job title": "Job_title"}
    again = LabelMap.of(("PER", "Job_title"), [ProjectLabel("Person", "p"), ProjectLabel("Job title")], {})
    assert again.to_project == {"PER": "p", "Job_title": "Job title"}


@pytest.mark.parametrize("value", ["O", "👩‍🚀", " ", "x" * 300, "<b>\u200b"])
def test_a_label_of_any_name_is_one_that_a_model_can_have(value):
    (name,) = set(LabelMap.of(("PER",), [ProjectLabel(value)], {}).to_model.values())
    assert ModelConfig(labels=("PER", name)).labels == ("PER", name)
    assert LabelMap.of(("PER", name), [ProjectLabel(value)], {}).to_project == {name: value}


# events


def test_events_are_counted_once_and_replaced_and_removed(backend):
    first = annotation(1, "Ada met Ito.", ("Ada", "Person"))
    tell(backend, first)
    tell(backend, first)
    assert changed(backend) == 1
    update = annotation(
        1, "Ada met Ito.", ("Ito", "Person"), action="ANNOTATION_UPDATED", updated_at="2026-11-29T11:00:00Z"
    )
    tell(backend, update)
    assert changed(backend) == 2
    tell(backend, first)  # comes late
    assert changed(backend) == 2
    several = {
        "action": "ANNOTATIONS_CREATED", "project": {"id": 7, "label_config": CONFIG},
        "annotation": [annotation(n, "Ada", ("Ada", "Person"))["annotation"] for n in (2, 3)],
        "task": [annotation(n, "Ada")["task"] for n in (2, 3)],
    }  # fmt: skip
    tell(backend, several)
    assert changed(backend) == 4
    tell(backend, {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 2}, {"id": 99}], "project": {"id": 7}})
    assert changed(backend) == 5
    tell(backend, {"action": "TASKS_DELETED", "tasks": [{"id": 3}], "project": {"id": 7}})
    assert changed(backend) == 6
    tell(backend, annotation(4, "Ada", ("Ada", "Person"), was_cancelled=True))
    assert changed(backend) == 6
    tell(backend, annotation(1, "Ada", ("Ada", "Person"), was_cancelled=True, action="ANNOTATION_UPDATED"))
    assert changed(backend) == 7


@pytest.mark.parametrize(
    "event",
    [
        {"action": "PROJECT_UPDATED", "project": {"id": 7, "label_config": CONFIG, "title": "x"}},
        {"action": "TASKS_CREATED", "tasks": [{"id": 1, "data": {"text": "Ada"}}], "project": {"id": 7}},
        {"action": "LABEL_LINK_CREATED", "label_link": {}},
        {"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "task": {}, "project": SEVEN},
        {"action": "ANNOTATION_CREATED", "annotation": "x", "task": [[]], "project": SEVEN},
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": True}, {}], "project": SEVEN},
    ],
)  # fmt: skip
def test_other_events_change_nothing(backend, event):
    tell(backend, event)
    assert changed(backend) == 0


def test_whatever_a_region_holds_it_is_passed_over(backend):
    deep = json.loads("[" * 400 + "]" * 400)
    event = annotation(1, TEXT, ("Ada Lovelace", "Person"))
    (region,) = event["annotation"]["result"]
    strange = [{**region, "value": {**region["value"], name: deep}} for name in ("start", "end", "text", "labels")]
    event["annotation"]["result"] += [*strange, deep, {**region, "value": deep}, {**region, "from_name": deep}]
    tell(backend, {**event, "further": deep})
    assert changed(backend) == 1


def test_an_export_is_kept_at_once(backend, monkeypatch):
    opened, work = [], Store._work
    monkeypatch.setattr(Store, "_work", lambda store: opened.append(store) or work(store))
    tasks = [annotation(number, f"Ada met {number}.", ("Ada", "Person")) for number in range(1, 500)]
    tasks = [{**event["task"], "annotations": [event["annotation"]]} for event in tasks]
    tasks[6]["annotations"].append({**tasks[6]["annotations"][0], "id": 1000, "was_cancelled": True})
    monkeypatch.setattr(Trainer, "ask", lambda *_: None)
    assert backend.post("/train", json={"project": 7, "label_config": CONFIG, "annotations": tasks}).status_code == 201
    assert len(opened) < 10
    assert changed(backend) == 499


def test_annotations_outlive_the_process(tmp_path):
    with start(tmp_path) as client:
        tell(client, annotation(1, TEXT, ("Ada Lovelace", "Person")))
    with start(tmp_path) as client:
        assert changed(client) == 1
        assert client.post("/predict", json={"tasks": [], "project": "7.1"}).json()["results"] == []


def test_a_project_that_is_deleted_is_forgotten(backend, tmp_path):
    tell(backend, annotation(1, TEXT, ("Ada Lovelace", "Person")))
    (tmp_path / "project-7" / "model").mkdir(parents=True)
    tell(backend, {"action": "PROJECT_DELETED", "project": {"id": 7}})
    assert changed(backend) == 0
    assert not (tmp_path / "project-7").exists()
    assert b"Lovelace" not in b"".join(f.read_bytes() for f in tmp_path.iterdir() if f.is_file())


def test_the_store_is_bounded_and_of_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("fenestra.integrations.label_studio.store.MOST_ANNOTATIONS", 2)
    store = Store(tmp_path / "a.sqlite3", most_texts=3)
    assert (tmp_path / "a.sqlite3").stat().st_mode & 0o777 == 0o600
    store.configure("7", CONFIG)
    for number in range(4):
        store.put("7", Annotation(str(number), f"task{number}", f"2026-11-29T1{number}", {"text": "x"}, []))
    assert [row[0] for row in store.annotations("7")] == ["task2", "task3"]
    store.see("7", ["a", "b", "a", ""])
    store.see("7", ["c", "d"])
    assert list(store.texts("7")) == ["a", "b", "c"]
    assert list(store.texts("8")) == []


def test_a_store_that_is_full_says_so_and_can_be_emptied(tmp_path):
    store = Store(tmp_path / "a.sqlite3", most_texts=1000, most_bytes=200_000)
    store.configure("7", CONFIG)
    store.see("7", ["a" * 30_000])
    with pytest.raises(StorageError, match=r"a\.sqlite3: OperationalError \(it may have 196,608 bytes\)"):
        store.see("7", ["b" * 150_000])
    assert (tmp_path / "a.sqlite3").stat().st_size <= 200_000
    assert list(store.texts("7")) == ["a" * 30_000]
    store.forget("7")
    store.see("8", ["x" * 3000])
    assert list(store.texts("8")) == ["x" * 3000]


def test_of_several_annotations_of_a_task_the_newest_counts(tmp_path):
    store = Store(tmp_path / "a.sqlite3", most_texts=0)
    store.configure("7", CONFIG)
    for number, updated in (("9", "2026-11-29T10"), ("10", "2026-11-29T10"), ("11", "2026-11-29T09")):
        store.put("7", Annotation(number, "1", updated, {"text": number}, []))
    assert [row[1] for row in store.annotations("7")] == [{"text": "10"}]


def test_texts_of_new_tasks_are_kept(backend, tmp_path):
    tasks = [
        {"id": 1, "data": {"text": "Ada"}},
        {"id": 2, "data": {"other": "x", "more": "y"}},
        {"id": 3, "data": None},
    ]
    tell(backend, {"action": "TASKS_CREATED", "tasks": tasks, "project": SEVEN})
    assert list(Store(tmp_path / "annotations.sqlite3", most_texts=9).texts("7")) == ["Ada"]


def test_few_texts_are_repeated():
    def times(annotated, rehearsed):
        texts = [[Text("x" * size, [], 0)] if size else [] for size in (annotated, rehearsed)]
        return Examples(*texts, [], 0).copies

    assert [times(100, 0), times(100, 400), times(5_000, 100_000), times(90_000, 10_000)] == [
        (20, 10), (20, 5), (4, 1), (2, 10),
    ]  # fmt: skip


def test_a_store_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"a\.sqlite3: DatabaseError"):
        Store(tmp_path / "a.sqlite3", most_texts=0)


# what is learnt


def examples(english, rows, texts=(), label_config=CONFIG):
    controls = read_label_config(label_config)
    maps = [LabelMap.of(english.labels, control.labels, {}) for control in controls]
    return collect(rows, texts, controls, maps, english)


def row(text, *marked, number="1"):
    result = annotation(int(number), text, *marked)["annotation"]["result"]
    return number, {"text": text}, result


def test_annotations_become_examples_whichever_way_offsets_count(english):
    text = "🚀 Quibberly sells 🚀 rockets."
    code_points, utf16 = row(text, ("Quibberly", "Organization")), row(text, ("Quibberly", "Organization"))
    for region in utf16[2]:
        region["value"]["start"] += 1
        region["value"]["end"] += 1
    wrong = row(text, ("Quibberly", "Organization"))
    wrong[2][0]["value"]["start"] = 25
    unknown = row(text, ("Quibberly", "Nonsense"))
    found = examples(english, [code_points, utf16, wrong, unknown])
    assert [[tuple(span) for span in one.annotations] for one in found.annotated] == [[(2, 11, "ORG")]] * 2 + [[], []]
    assert found.skipped == 2


def test_labels_that_the_project_lacks_stay_as_the_model_sees_them(english):
    found = examples(english, [row("Ada Lovelace met Quibberly in Paris.", ("Quibberly", "Firm"))], (), config("Firm"))
    (one,) = found.annotated
    assert sorted((one.text[s:e], label) for s, e, label in one.annotations) == [
        ("Ada Lovelace", "PER"), ("Paris", "LOC"), ("Quibberly", "Firm"),
    ]  # fmt: skip


def test_texts_with_a_corrected_word_are_not_rehearsed(english):
    assert [e.label for e in english("Quibberly is late again.")] == ["PER"]
    texts = ["Quibberly is late again.", *(f"Angela Merkel met Ada Lovelace {n} times." for n in range(9))]
    found = examples(english, [row("Quibberly sells rockets.", ("Quibberly", "Organization"))], texts)
    rest = [*found.rehearsed, *found.held_out]
    assert len(rest) == 9
    assert len(found.held_out) == 2
    assert all(text.annotations and "Quibberly" not in text.text for text in rest)


def test_a_text_too_long_to_be_rehearsed_keeps_no_other_back(english):
    texts = ["It rained. " * 20_000, *(f"Angela Merkel met Ada Lovelace {n} times." for n in range(9))]
    found = examples(english, [row("Quibberly sells rockets.", ("Quibberly", "Organization"))], texts)
    assert [len(found.rehearsed), len(found.held_out)] == [7, 2]


def test_annotated_texts_are_not_rehearsed_too(english):
    found = examples(english, [row(TEXT, ("Ada Lovelace", "Person"))], [TEXT, "Berlin is far."])
    assert [text.text for text in (*found.rehearsed, *found.held_out)] == ["Berlin is far."]


def test_the_job_of_an_operator_is_extended(english, tmp_path):
    job = tmp_path / "job.toml"
    data, model = '[data]\ntrain = ["a.conll"]\ndev = ["b.conll"]\n', '[model]\nlabels = ["LOC", "ORG", "PER"]\n'
    job.write_text(data + model + "[training]\nepochs = 3\n", encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    found = examples(english, [row(TEXT, ("Ada Lovelace", "Hero"))], (), config("Hero"))
    config_ = load_config(write_job(work, english, found, job))
    assert config_.model.labels == ("LOC", "ORG", "PER", "Hero")
    assert config_.data.train == ("a.conll", *[str(work / "annotated.jsonl")] * 20)
    assert (config_.data.dev, config_.training.epochs, config_.data.root) == (("b.conll",), 3, str(tmp_path))


def test_nothing_annotated_is_nothing_to_learn(backend):
    tell(backend, annotation(1, "Nothing here."))
    tell(backend, {"action": "START_TRAINING", "project": {"id": 7, "label_config": CONFIG}})
    assert wait(backend)["reason"] == "no annotated text has an entity yet"


# the training


def test_a_model_that_forgot_or_did_not_learn_may_not_serve(english, tmp_path):
    texts = [f"Angela Merkel met Ada Lovelace {n} times in Berlin." for n in range(10)]
    found = examples(
        english, [row(TEXT, ("Ada Lovelace", "Person"), ("Angela Merkel", "Person"), ("Paris", "Place"))], texts
    )
    assert checked(bundled_model(), english, found).version == english.version
    with pytest.raises(NotRetrained, match="the model cannot be used: CheckpointError"):
        checked(tmp_path, english, found)
    with pytest.raises(NotRetrained, match=r"F1 on the annotated texts fell from 1\.00 to"):
        checked(bundled_model("russian"), english, found)
    for text in found.annotated:
        text.annotations.clear()
    with pytest.raises(NotRetrained, match=r"it forgot too much: F1 0\.\d\d on held-out texts, expected 0\.6"):
        checked(bundled_model("russian"), english, found)


def test_a_training_that_fails_says_where_to_look(tmp_path):
    (tmp_path / "job.toml").write_text("[data]", encoding="utf-8")
    log = tmp_path / "training.log"
    with pytest.raises(NotRetrained, match=r"ended with code 2; .*training\.log says why"):
        run(tmp_path / "job.toml", tmp_path / "model", log, threading.Event())
    assert "data.train: Field required" in log.read_text()


def test_a_training_is_ended_when_the_backend_ends(tmp_path):
    stop = threading.Event()
    stop.set()
    (tmp_path / "job.toml").write_text("[data]", encoding="utf-8")
    with pytest.raises(NotRetrained, match="the training was stopped"):
        run(tmp_path / "job.toml", tmp_path / "model", tmp_path / "log", stop)


def test_one_training_at_a_time_and_the_last_request_gets_its_turn():
    begun, go, done = threading.Event(), threading.Event(), []

    def train(project, _):
        done.append(project)
        begun.set()
        assert go.wait(60)

    trainer = Trainer(train)
    trainer.start()
    trainer.ask("1")
    assert begun.wait(60)
    for project in ("1", "2", "1", "2"):
        trainer.ask(project)
    assert (trainer.state("1"), trainer.state("2"), trainer.state("3")) == ("running", "waiting", "idle")
    go.set()
    while trainer.state("1") != "idle" or trainer.state("2") != "idle":
        time.sleep(0.01)
    trainer.close()
    assert done == ["1", "1", "2"]


def test_a_failed_training_leaves_the_model_that_serves(tmp_path, monkeypatch, english, caplog):
    def fail(*_):
        raise ValueError(TEXT)

    monkeypatch.setattr(projects, "run", fail)
    with start(tmp_path, after=1) as client:
        tell(client, annotation(1, TEXT, ("Ada Lovelace", "Person")))
        outcome = wait(client)
        assert (outcome["state"], outcome["reason"]) == ("failed", "ValueError")
        assert changed(client) == 0
        assert predict(client, TEXT)[0]["model_version"] == english.version
    assert "training failed with ValueError" in caplog.text
    assert "Lovelace" not in caplog.text
    assert not list((tmp_path / "project-7").glob("training-*"))


def test_what_a_killed_training_left_is_removed_and_not_shared(tmp_path, monkeypatch, english):
    folders = []

    def look(job, *_):
        folders.extend((tmp_path / "project-7").glob("training-*"))
        assert job.parent in folders
        raise projects.NotRetrained("enough")

    monkeypatch.setattr(projects, "run", look)
    (tmp_path / "project-7" / "training-orphan").mkdir(parents=True)
    with start(tmp_path, after=1) as client:
        tell(client, annotation(1, TEXT, ("Ada Lovelace", "Person")))
        assert wait(client)["reason"] == "enough"
    assert len(folders) == 1
    assert "orphan" not in folders[0].name


def test_a_store_that_fails_ends_no_trainer(tmp_path, monkeypatch, caplog):
    failing = threading.Event()

    def fail(name):
        method = getattr(Store, name)

        def called(*arguments):
            if failing.is_set():
                raise StorageError("annotations.sqlite3: OperationalError")
            return method(*arguments)

        monkeypatch.setattr(Store, name, called)

    fail("pending")
    fail("learnt")
    project = Projects(Options(tmp_path, bundled_model(), after=0))
    trainer = Trainer(project.retrain)
    trainer.start()
    failing.set()
    trainer.ask("7")
    while "7" not in project.last or trainer.state("7") != "idle":
        time.sleep(0.01)
    assert (project.last["7"]["state"], project.last["7"]["reason"]) == ("failed", "StorageError")
    assert "project 7: what was learnt is not noted" in caplog.text
    failing.clear()
    trainer.ask("8")
    while "8" not in project.last:
        time.sleep(0.01)
    assert project.last["8"]["reason"] == "the project's labelling configuration is not known yet"
    trainer.close()


@pytest.mark.training
def test_annotations_change_the_next_prediction_and_a_new_label_is_learnt(tmp_path, english):
    """The whole way, with a real training in a process of its own; predictions go on meanwhile."""
    only = config("Person", "Organization", "Place", "Vehicle")
    texts = [f"Angela Merkel met Ada Lovelace in {place}." for place in ("Paris", "Rome", "London", "Munich", "Berlin")]
    names = [
        "Quibberly sent it twice.",
        "Order it from Quibberly.",
        "The lawyers of Quibberly called.",
        "Quibberly paid.",
    ]
    cars = ["She drives a Model T.", "The Model T was black.", "He sold his Model T.", "My Model T broke down."]
    with start(tmp_path, after=8) as client:
        (before,) = predict(client, "Quibberly is late again.", label_config=only)
        assert [span[3] for span in spans(before)] == ["Person"]
        predict(client, *texts, label_config=only)
        for number, text in enumerate(names + cars):
            marked = ("Quibberly", "Organization") if "Quibberly" in text else ("Model T", "Vehicle")
            tell(client, annotation(number, text, marked, label_config=only))
        while training(client)["state"] != "idle":
            assert predict(client, TEXT, label_config=only)[0]["result"]
            time.sleep(0.2)  # the training needs the processor
        assert training(client)["last"]["state"] == "done", training(client)
        late, car, old = predict(client, "Quibberly is late again.", "The Model T is old.", TEXT, label_config=only)
        assert [span[2:] for span in spans(late)] == [("Quibberly", "Organization")]
        assert [span[2:] for span in spans(car)] == [("Model T", "Vehicle")]
        assert ("Ada Lovelace", "Person") in [span[2:] for span in spans(old)]
        assert late["model_version"] != before["model_version"]
    served = Tagger.load(tmp_path / "project-7" / "model")
    assert (served.version, served.labels) == (late["model_version"], (*english.labels, "Vehicle"))
    with start(tmp_path) as client:
        assert predict(client, TEXT, label_config=only)[0]["model_version"] == late["model_version"]
    assert json.loads((tmp_path / "project-7" / "model" / "job.json").read_text())["start"] == english.version


def test_a_model_is_found_again_after_a_kill_between_two_renames(tmp_path, english):
    (tmp_path / "project-7").mkdir()
    (tmp_path / "project-7" / "previous").symlink_to(bundled_model("russian"), target_is_directory=True)
    found = Projects(Options(tmp_path, bundled_model())).tagger("7")
    assert found.version == Tagger.load(bundled_model("russian")).version != english.version


def test_a_damaged_model_is_said_and_the_first_one_serves(tmp_path, english, caplog):
    (tmp_path / "project-7" / "model").mkdir(parents=True)
    found = Projects(Options(tmp_path, bundled_model()))
    assert found.tagger("7").version == english.version
    assert "project 7: its model cannot be used" in caplog.text


# the program


def test_the_server_imports_neither_torch_nor_gensim():
    program = (
        "import sys; import fenestra.integrations.label_studio.server as server; "
        "sys.exit(bool({'torch', 'gensim'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_program_answers_and_ends_with_0(tmp_path):
    command = (sys.executable, "-m", "fenestra", "label-studio", "--output", str(tmp_path / "out"), "--port", "{port}")
    with Server(command, ready="/health") as server:
        assert json.loads(server.get("/versions")[1]) == {"versions": [Tagger.load(bundled_model()).version]}
        server.terminate()
        assert server.process.wait(60) == 0
        assert f"http://127.0.0.1:{server.port} is what to connect in Label Studio" in server.logged()
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label-map", "PER"], "argument --label-map: 'PER', expected pairs such as PER:Person,LOC:Place"),
        (["--label-map", "PER:a,PER:b"], "argument --label-map"),
        (["--retrain-after", "-1"], "argument --retrain-after"),
        (["--job", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["--model", "nowhere"], "argument --model"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["label-studio", *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_pairs_of_labels():
    assert label_map("PER:Person, LOC:Place of birth") == {"PER": "Person", "LOC": "Place of birth"}
