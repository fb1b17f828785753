"""Corrections, learning in the background, the swap, and undoing."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fenestra.app.api import learning as learning_routes
from fenestra.app.api.learning import spans_of
from fenestra.app.api.learning_schemas import CorrectionRequest
from fenestra.app.api.offsets import convert, points_of
from fenestra.app.engine import learning as learning_module
from fenestra.app.errors import Problem
from fenestra.app.learning import corrections as corrections_module
from fenestra.app.learning.corrections import Corrections
from fenestra.app.learning.files import locked
from fenestra.app.learning.lineage import KEPT, Lineage, is_learning
from fenestra.app.learning.process import Limits, Stopped, run_bounded
from fenestra.app.main import create_app
from fenestra.app.settings import Settings
from fenestra.model import checkpoint
from fenestra.model.errors import InputError, StorageError
from tests.app.conftest import Client, assert_refused
from tests.model.conftest import small_model

KEY = "a key"
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
HASH = hashlib.sha256(KEY.encode()).hexdigest()
FIGURES = {"elsewhere": {"texts": 9, "lost": 0.75, "bound": 0.5}}


@pytest.fixture
def model(tmp_path):
    checkpoint.save(small_model(), tmp_path / "small")
    return tmp_path / "small"


@pytest.fixture
def settings(model, tmp_path):
    return Settings(model=model, api_keys=HASH, learn_folder=tmp_path / "learn")


@pytest.fixture
def service(settings):
    with Client(create_app(settings)) as client:
        yield client


class Trainer:
    """Stands for the process: writes another model, or what it is told to."""

    def __init__(self, monkeypatch):
        self.code, self.figures, self.began, self.texts = 0, {"corrections": 1, **FIGURES}, 0, []
        self.wait = lambda _: None
        monkeypatch.setattr(learning_module, "run_bounded", self)

    def __call__(self, command, log, stop, limits):
        self.began += 1
        made = Path(command[command.index("--output") + 1])
        given = Path(command[command.index("learn") + 1])
        self.texts = [json.loads(line)["text"] for line in given.read_text().splitlines()]
        self.command, self.limits = command, limits
        log.write_text("fenestra: learning\n")
        self.wait(stop)
        if not self.code:
            checkpoint.save(small_model(hidden=(16 + self.began,)), made)
        Path(command[command.index("--json") + 1]).write_text(json.dumps(self.figures))
        return self.code


@pytest.fixture
def trainer(monkeypatch):
    return Trainer(monkeypatch)


def call(service, method, path, body=None, name="small", **options):
    content = {} if body is None else {"content": json.dumps(body)}
    return service.request(method, f"/models/{name}/{path}", headers=HEADERS, **content, **options)


def correct(service, text="Ask Ramp.", entities=({"start": 4, "end": 8, "label": "ORG"},), **more):
    return call(service, "POST", "corrections", {"text": text, "entities": list(entities), **more})


def ended(service):
    for _ in range(200):
        state = call(service, "GET", "learn").json()
        if state["state"] != "running":
            return state
        time.sleep(0.02)
    raise AssertionError(state)


def version(service):
    return service.get("/models", headers=HEADERS).json()["models"][0]["version"]


def test_learning_is_off_unless_a_folder_is_set(model):
    with Client(create_app(Settings(model=model, api_keys=HASH))) as service:
        for method, path in (("GET", "corrections"), ("GET", "learn"), ("DELETE", "learn"), ("POST", "undo")):
            assert_refused(call(service, method, path), 404, "learning_off")
        assert_refused(call(service, "POST", "learn", {}), 404, "learning_off")


def test_learning_needs_keys(model, tmp_path):
    with pytest.raises(
        InputError, match="FENESTRA_LEARN_FOLDER: learning changes the models, so it needs FENESTRA_API"
    ):
        Settings.read(model=model, learn_folder=tmp_path)


def test_a_correction_is_kept_listed_and_forgotten(service, tmp_path):
    made = correct(service)
    assert made.status_code == 201
    assert made.json()["entities"] == [{"start": 4, "end": 8, "label": "ORG", "text": "Ramp"}]
    correct(service, "Nothing here.", ())
    found = call(service, "GET", "corrections").json()
    assert found["total"] == 2
    assert [one["text"] for one in found["corrections"]] == ["Nothing here.", "Ask Ramp."]
    assert len(call(service, "GET", "corrections?limit=1&skip=1").json()["corrections"]) == 1
    file = tmp_path / "learn" / "small.learn" / "corrections.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    key = made.json()["id"]
    assert call(service, "DELETE", f"corrections/{key}").json()["text"] == "Ask Ramp."
    assert "Ramp" not in file.read_text()
    assert_refused(call(service, "DELETE", f"corrections/{key}"), 404, "not_found")


def test_a_text_that_is_corrected_again_keeps_its_id(service):
    first, second = correct(service).json(), correct(service, entities=()).json()
    assert first["id"] == second["id"]
    assert call(service, "GET", "corrections").json()["corrections"] == [second]


@pytest.mark.parametrize(
    ("entities", "more"),
    [
        ([{"start": 4, "end": 99, "label": "ORG"}], {}),
        ([{"start": 4, "end": 4, "label": "ORG"}], {}),
        ([{"start": 3, "end": 4, "label": "ORG"}], {}),
        ([{"start": 0, "end": 4, "label": "A"}, {"start": 3, "end": 8, "label": "B"}], {}),
        ([{"start": 4, "end": 8, "label": "a b"}], {}),
        ([{"start": 4, "end": 8, "label": "a\u202eb"}], {}),
        ([{"start": 4, "end": 8, "label": "O"}], {}),
        ([{"start": 4, "end": 8, "label": "ORG"}], {"offsets": "bytes"}),
    ],
)
def test_what_is_no_correction_is_refused(service, entities, more):
    assert_refused(correct(service, entities=entities, **more), 422, "invalid_request")
    assert call(service, "GET", "corrections").json()["total"] == 0


def test_no_refusal_repeats_what_was_sent(service):
    secret = "the-secret-word"
    for body in (
        {"text": secret, "entities": [{secret: 1}]}, {"text": secret, secret: 1},
        {"text": secret, "entities": [{"start": 0, "end": 1, "label": f"{secret} {secret}"}]},
        {"text": [secret], "entities": []},
    ):  # fmt: skip
        refused = call(service, "POST", "corrections", body)
        assert refused.status_code == 422
        assert secret not in refused.text


def test_offsets_count_what_the_client_counts(service):
    rocket = "🚀 Ramp"
    made = correct(service, rocket, [{"start": 3, "end": 7, "label": "ORG"}], offsets="utf16").json()
    assert made["entities"] == [{"start": 3, "end": 7, "label": "ORG", "text": "Ramp"}]
    found = call(service, "GET", "corrections?offsets=utf8").json()["corrections"][0]
    assert (found["entities"][0]["start"], found["entities"][0]["end"]) == (5, 9)
    half = CorrectionRequest(text=rocket, entities=[{"start": 1, "end": 3, "label": "ORG"}], offsets="utf16")
    with pytest.raises(Problem, match=r"entities\[0\]"):
        spans_of(half)


def test_full_corrections_are_refused(tmp_path, monkeypatch):
    store = Corrections(tmp_path, "m", 2)
    store.add("a", ())
    store.add("b", ())
    with pytest.raises(Problem, match="full: 2 texts"):
        store.add("c", ())
    store.add("b", ((0, 1, "ORG"),))  # in the place of the one before
    monkeypatch.setattr(corrections_module, "MOST_BYTES", 200)
    with pytest.raises(Problem, match="full"):
        store.add("b", ((0, 1, "ORG"),) * 9)
    assert [one.text for one in store.all()] == ["a", "b"]


def test_half_a_line_of_a_killed_process_is_passed_over(tmp_path):
    store = Corrections(tmp_path, "m", 9)
    store.add("a", ())
    with (tmp_path / "m.learn" / "corrections.jsonl").open("ab") as file:
        file.write(b'{"id": "x", "te')
    store.add("b", ())
    store.add("c", ())
    assert [one.text for one in store.all()] == ["a", "b", "c"]


def test_a_model_named_like_a_parent_folder_stays_inside(tmp_path):
    assert Lineage(tmp_path, "..").folder.resolve().parent == tmp_path.resolve()


def test_what_was_learnt_serves_and_can_be_undone(service, trainer, tmp_path, settings):
    before = version(service)
    correct(service)
    begun = call(service, "POST", "learn", {"seed": 4})
    assert begun.status_code == 202
    done = ended(service)
    assert (done["state"], done["serves"]["learned"], done["undo"]) == ("done", True, before)
    assert done["version"] == done["serves"]["version"] == version(service) != before
    assert done["figures"]["elsewhere"]["lost"] == 0.75
    assert trainer.texts == ["Ask Ramp."]
    assert trainer.command[trainer.command.index("--seed") + 1] == "4"
    assert trainer.limits == Limits(900.0, 2048, 10)
    assert not list((tmp_path / "learn" / "small.learn").glob("learning.jsonl"))
    metrics = service.get("/metrics", headers=HEADERS).text
    assert 'fenestra_learnings_total{model="small",outcome="done"} 1.0' in metrics
    undone = call(service, "POST", "undo").json()
    assert undone == {"name": "small", "version": before, "previous": done["version"]}
    assert version(service) == before
    assert not list((tmp_path / "learn" / "small.learn" / "models").iterdir())
    assert_refused(call(service, "POST", "undo"), 409, "conflict")


def test_a_learnt_model_serves_after_a_restart_too(service, trainer, settings):
    correct(service)
    call(service, "POST", "learn", {})
    learnt = ended(service)["version"]
    with Client(create_app(settings)) as again:
        assert version(again) == learnt
        assert call(again, "GET", "learn").json()["state"] == "done"


def test_undo_goes_back_step_by_step_and_only_so_many_are_kept(service, trainer, tmp_path):
    versions = [version(service)]
    correct(service)
    for _ in range(KEPT + 1):
        call(service, "POST", "learn", {})
        versions.append(ended(service)["version"])
    assert len(list((tmp_path / "learn" / "small.learn" / "models").iterdir())) == KEPT
    assert call(service, "POST", "undo").json()["version"] == versions[-2]
    assert call(service, "GET", "learn").json()["undo"] == versions[-3]


def test_a_model_that_forgot_too_much_does_not_serve(service, trainer):
    before = version(service)
    correct(service)
    trainer.code = 2
    call(service, "POST", "learn", {"force": False})
    state = ended(service)
    assert (state["state"], state["figures"]["elsewhere"]) == ("refused", FIGURES["elsewhere"])
    assert "0.75 F1 points" in state["reason"]
    assert version(service) == before
    assert state["undo"] is None


def test_what_nobody_knows_the_cost_of_serves_only_by_force(service, trainer, tmp_path):
    before = version(service)
    correct(service)
    trainer.figures = {**trainer.figures, "elsewhere": {"texts": 0, "lost": None, "bound": 0.5}}
    call(service, "POST", "learn", {})
    state = ended(service)
    assert state["state"] == "refused"
    assert "FENESTRA_LEARN_REPLAY" in state["reason"]
    assert version(service) == before
    assert not list((tmp_path / "learn" / "small.learn" / "models").iterdir())
    call(service, "POST", "learn", {"force": True})
    assert ended(service)["state"] == "done"
    assert version(service) != before


def test_text_of_the_settings_is_replayed(model, trainer, tmp_path):
    (tmp_path / "replay").mkdir()
    (tmp_path / "replay" / "small.txt").write_text("Parcels are late.\n")
    settings = Settings(model=model, api_keys=HASH, learn_folder=tmp_path / "learn", learn_replay=tmp_path / "replay")
    with Client(create_app(settings)) as service:
        correct(service)
        for there in (True, False):
            call(service, "POST", "learn", {})
            assert ended(service)["state"] == "done"
            given = ["--replay", str(tmp_path / "replay" / "small.txt")]
            assert trainer.command[-2:] == given if there else "--replay" not in trainer.command
            (tmp_path / "replay" / "small.txt").unlink(missing_ok=True)


def test_a_folder_to_replay_has_to_be_there(model, tmp_path):
    with pytest.raises(InputError, match="FENESTRA_LEARN_REPLAY"):
        Settings.read(model=model, learn_replay=tmp_path / "absent")


def test_a_training_that_fails_changes_nothing(service, trainer):
    before = version(service)
    correct(service)
    trainer.code, trainer.figures = 1, None
    call(service, "POST", "learn", {})
    state = ended(service)
    assert (state["state"], version(service)) == ("failed", before)
    assert "code 1" in state["reason"]


def test_a_model_that_cannot_be_loaded_does_not_serve(service, trainer, monkeypatch, tmp_path):
    before = version(service)
    correct(service)
    monkeypatch.setattr(checkpoint, "save", lambda _, folder: folder.mkdir(parents=True))
    call(service, "POST", "learn", {})
    state = ended(service)
    assert (state["state"], version(service)) == ("failed", before)
    assert Lineage(tmp_path / "learn", "small").folders() == []


def test_one_learns_at_a_time_and_can_be_cancelled(service, trainer):
    before = version(service)
    correct(service)

    def wait(stop):
        while not stop():
            time.sleep(0.01)
        raise Stopped("it was stopped")

    trainer.wait = wait
    call(service, "POST", "learn", {})
    while (stage := call(service, "GET", "learn").json()["stage"]) == "starting":
        time.sleep(0.01)
    assert stage == "learning"
    assert_refused(call(service, "POST", "learn", {}), 409, "conflict")
    assert_refused(call(service, "POST", "undo"), 409, "conflict")
    assert call(service, "DELETE", "learn").json()["state"] == "cancelled"
    assert version(service) == before
    assert_refused(call(service, "DELETE", "learn"), 409, "conflict")


def test_a_learning_ends_with_the_service_that_began_it(settings, trainer, tmp_path):
    stopped = []

    def wait(stop):
        while not stop():
            time.sleep(0.01)
        stopped.append(True)
        raise Stopped("it was stopped")

    trainer.wait = wait
    with Client(create_app(settings)) as service:
        correct(service)
        call(service, "POST", "learn", {})
    assert stopped
    with Client(create_app(settings)) as again:
        assert call(again, "GET", "learn").json()["state"] == "failed"


def test_a_learning_of_a_killed_process_is_over(service, tmp_path):
    correct(service)
    folder = tmp_path / "learn" / "small.learn"
    (folder / "state.json").write_text(json.dumps({"state": "running", "began": time.time(), "started": "…"}))
    assert call(service, "GET", "learn").json()["state"] == "failed"
    with locked(tmp_path / "learn" / "lock") as free:  # another process learns
        assert free
        (tmp_path / "learn" / "who.json").write_text('"small"')
        assert call(service, "GET", "learn").json()["state"] == "running"


def test_there_has_to_be_something_to_learn_and_a_way_to(service, monkeypatch):
    assert_refused(call(service, "POST", "learn", {}), 409, "conflict")
    assert_refused(call(service, "POST", "learn", {}, name="nobody"), 404, "not_found")
    correct(service)
    monkeypatch.setattr(learning_module, "find_spec", lambda name: None if name == "torch" else object())
    refused = call(service, "POST", "learn", {})
    assert_refused(refused, 501, "not_installed")
    assert "pip install 'fenestra-ner[train]'" in refused.json()["error"]["message"]


def test_a_full_disk_is_no_mistake_of_the_client(service, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert_refused(correct(service), 503, "not_ready")


def test_no_text_is_logged(service, trainer, caplog):
    with caplog.at_level("DEBUG"):
        correct(service, "Ask Quibberly.", ({"start": 4, "end": 13, "label": "ORG"},))
        trainer.code = 1
        call(service, "POST", "learn", {})
        ended(service)
    assert "Quibberly" not in caplog.text


def test_a_process_is_bounded_and_stopped(tmp_path):
    log = tmp_path / "log"

    def run(code, stop=lambda: False, **limits):
        return run_bounded([sys.executable, "-c", code], log, stop, Limits(**{"seconds": 60, **limits}))

    assert run("import sys; print(1); sys.exit(3)") == 3
    assert log.read_text() == "1\n"
    assert log.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Stopped, match="longer than"):
        run("import time; time.sleep(60)", seconds=0.2)
    with pytest.raises(Stopped, match="stopped"):
        run("import time; time.sleep(60)", stop=lambda: True)
    assert run("import os, time; time.sleep(0.3); os._exit(os.getpriority(os.PRIO_PROCESS, 0))", nice=7) >= 7
    if sys.platform == "linux":
        assert run("import time; time.sleep(0.3); bytearray(1 << 29)", megabytes=256) == 1
        assert "MemoryError" in log.read_text()


def test_an_attached_process_ends_with_the_one_that_started_it():
    code = "from fenestra.cli.learn import _end_with_input; _end_with_input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 130


def test_an_attached_process_that_is_done_ends_as_it_would_otherwise():
    code = "import threading; from fenestra.cli.learn import _end_with_input\n"
    code += "threading.Thread(target=_end_with_input, daemon=True).start()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        assert process.wait(60) == 0


def test_a_folder_that_is_not_there_yet_is_made_for_its_owner_alone(service, tmp_path):
    correct(service)
    assert (tmp_path / "learn").stat().st_mode & 0o777 == 0o700


def test_offsets_inside_of_characters_and_behind_the_text_are_refused(service):
    for unit, end in (("utf8", 3), ("utf16", 1), ("utf8", 9_999_999), ("utf16", 9_999_999)):
        refused = correct(service, "🚀 Ramp", [{"start": 0, "end": end, "label": "ORG"}], offsets=unit)
        assert_refused(refused, 422, "invalid_request")


@pytest.mark.parametrize("unit", ["codepoint", "utf16", "utf8"])
def test_places_go_back_to_what_they_come_from(unit):
    text = "é🚀a\u0301b" * 9
    there = convert(text, range(len(text) + 1), unit)
    assert points_of(text, [*there.values(), -1, 10**9], unit) == {count: point for point, count in there.items()}


def test_long_lists_keep_nobody_waiting(service, monkeypatch):
    threads = set()
    real = learning_routes.shown

    def shown(*arguments):
        threads.add(threading.current_thread().name)
        return real(*arguments)

    monkeypatch.setattr(learning_routes, "shown", shown)
    key = correct(service).json()["id"]
    call(service, "GET", "corrections")
    call(service, "DELETE", f"corrections/{key}")
    assert threads == {"loading"}


def test_a_failed_swap_loses_no_model_to_go_back_to(service, trainer, tmp_path, monkeypatch):
    correct(service)
    for _ in range(KEPT):
        call(service, "POST", "learn", {})
        ended(service)
    lineage = Lineage(tmp_path / "learn", "small")
    kept = lineage.folders()
    monkeypatch.setattr(checkpoint, "save", lambda _, folder: folder.mkdir(parents=True))
    call(service, "POST", "learn", {})
    assert ended(service)["state"] == "failed"
    assert lineage.folders() == kept
    assert all(folder.is_dir() for folder in kept)


def test_what_serves_is_not_forgotten_because_a_disk_hiccups(tmp_path, monkeypatch):
    lineage = Lineage(tmp_path, "m")
    (lineage.models / "one").mkdir(parents=True)
    lineage.push(lineage.models / "one")

    def fails(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", fails)
        with pytest.raises(StorageError, match=r"serves\.json"):
            lineage.clean()
    assert lineage.folders() == [lineage.models / "one"]
    assert (lineage.models / "one").is_dir()


def test_no_route_calls_a_disk_that_refuses_a_mistake_of_ours(model, tmp_path):
    (tmp_path / "learn").write_text("a file")
    with Client(create_app(Settings(model=model, api_keys=HASH, learn_folder=tmp_path / "learn"))) as service:
        for method, path, body in (
            ("GET", "corrections", None), ("GET", "learn", None), ("POST", "learn", {}), ("POST", "undo", None),
            ("DELETE", "learn", None), ("DELETE", "corrections/x", None),
        ):  # fmt: skip
            assert_refused(call(service, method, path, body), 503, "not_ready")


def test_a_disk_that_is_full_in_the_end_gives_the_place_back_and_lets_the_service_end(settings, trainer, monkeypatch):
    real = learning_module.write_json

    def write_json(path, value):
        if path.name == "state.json" and value["state"] != "running":
            raise StorageError("no room")
        real(path, value)

    with Client(create_app(settings)) as service:
        correct(service)
        with monkeypatch.context() as full:
            full.setattr(learning_module, "write_json", write_json)
            call(service, "POST", "learn", {})
            state = ended(service)
            assert (state["state"], state["serves"]["learned"]) == ("done", True)
        assert call(service, "POST", "undo").status_code == 200


def test_who_asks_for_the_state_keeps_nobody_from_learning(service, trainer, tmp_path):
    correct(service)
    holder = locked(tmp_path / "learn" / "lock", shared=True)
    holder.__enter__()
    timer = threading.Timer(0.03, holder.__exit__, (None, None, None))
    timer.start()
    assert call(service, "POST", "learn", {}).status_code == 202
    timer.join()
    assert ended(service)["state"] == "done"


def test_a_model_that_is_learning_is_known_to_other_processes(settings, tmp_path):
    assert not is_learning(settings)
    (tmp_path / "learn").mkdir()
    with locked(tmp_path / "learn" / "lock"):
        assert is_learning(settings)
    assert not is_learning(settings)


def test_nothing_of_a_draft_that_a_killed_process_left_stays(tmp_path):
    store = Corrections(tmp_path, "m", 9)
    key = store.add("a secret", ()).id
    draft = tmp_path / "m.learn" / "corrections.jsonl.new"
    draft.write_text("a secret")
    store.remove(key)
    assert not any("secret" in path.read_text() for path in (tmp_path / "m.learn").iterdir())


def test_a_kill_between_the_swap_and_its_note_is_told_as_what_it_is(settings, trainer, tmp_path):
    with Client(create_app(settings)) as service:
        correct(service)
        call(service, "POST", "learn", {})
        done = ended(service)
    folder = tmp_path / "learn" / "small.learn"
    (made,) = Lineage(tmp_path / "learn", "small").folders()
    swap = {"folder": made.name, "figures": done["figures"], "version": done["version"]}
    (folder / "state.json").write_text(json.dumps({"state": "running", "began": 1.0, "started": "…", "swap": swap}))
    with Client(create_app(settings)) as service:
        state = call(service, "GET", "learn").json()
        assert (state["state"], state["version"], state["serves"]) == ("done", done["version"], done["serves"])
        call(service, "POST", "undo")
        assert call(service, "GET", "learn").json()["state"] == "failed"
