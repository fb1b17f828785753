"""What `fenestra doctor` finds, on a sound machine and on one where something is amiss."""

import json
import shutil
import socket

import pytest

from fenestra.cli import checks
from fenestra.cli.main import main
from fenestra.model import bundled
from fenestra.model.bundled import bundled_model
from fenestra.model.engine import library, machine

NAMES = ["fenestra", "python", "processor", "kernel", "compiler", "model", "torch", "extras", "cache", "memory", "port"]


@pytest.fixture
def one_model(monkeypatch):
    """Only the English model is looked at."""
    folder = bundled_model()
    monkeypatch.setattr(bundled, "bundled_models", lambda: {"english": folder})


def only(look):
    return {one.name: one for one in checks._guarded(look)}


def test_it_tells_on_one_screen(one_model, capsys):
    assert main(["doctor"]) in (0, 1)  # a machine of the tests may be short of memory
    lines = capsys.readouterr().out.splitlines()
    told = [line.split()[1] for line in lines if not line.startswith(" ")]
    assert [name for name in told if name != "environment"] == NAMES
    assert len(lines) <= 24


def test_json_holds_the_same_and_says_whether_all_is_well(monkeypatch, capsys):
    found = [checks.Check("a", "ok", "fine"), checks.Check("b", "warn", "odd", "mend it")]
    monkeypatch.setattr(checks, "check_all", lambda: found)
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert told["checks"][1] == {"name": "b", "state": "warn", "text": "odd", "remedy": "mend it"}
    found.append(checks.Check("c", "fail", "broken", "replace it"))
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_a_damaged_model_fails_with_what_to_do(monkeypatch, tmp_path):
    folder = tmp_path / "english"
    shutil.copytree(bundled_model(), folder)
    with (folder / "words.txt").open("ab") as file:
        file.write(b"x")
    monkeypatch.setattr(bundled, "bundled_models", lambda: {"english": folder})
    found = only(checks._models)["model"]
    assert found.state == "fail"
    assert "words.txt" in found.text
    assert found.remedy


def test_a_port_that_is_taken_is_a_warning(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = only(lambda: checks._port(port))["port"]
    assert found.state == "warn"
    assert f"--port {port + 1}" in found.remedy


def test_without_a_kernel_it_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    monkeypatch.setattr(checks.shutil, "which", lambda name: None)
    found = only(checks._kernel)
    assert found["kernel"].state == "warn"
    assert "C compiler" in found["kernel"].remedy
    assert "none found" in found["compiler"].text


def test_a_build_that_is_not_the_best_is_a_warning(monkeypatch, tmp_path):
    for path in library.FOLDER.glob("kernel-any.*"):
        shutil.copy(path, tmp_path)
    if library.cpu_level() < 3 or not [*tmp_path.iterdir()]:
        pytest.skip("this processor, or this installation, has no better build")
    shutil.copytree(library.FOLDER.parent, tmp_path / "room", ignore=shutil.ignore_patterns("kernel-x86*"))
    monkeypatch.setattr(library, "FOLDER", tmp_path / "room" / "engine")
    found = only(checks._kernel)["kernel"]
    assert (found.state, found.text.startswith("any, though x86-64-v")) == ("warn", True)


@pytest.mark.parametrize(("megabytes", "state"), [(100, "fail"), (500, "warn"), (5000, "ok")])
def test_little_memory_is_said(monkeypatch, megabytes, state):
    monkeypatch.setattr(machine, "available_bytes", lambda: megabytes * 10**6)
    assert only(checks._memory)["memory"].state == state


def test_a_variable_that_means_nothing_is_said_with_what_was_meant():
    found = [*checks._environment({"FENESTRA_PROT": "1", "FENESTRA_CACHE": "x", "HOME": "/"})]
    assert [(one.state, one.text) for one in found] == [
        ("warn", "FENESTRA_PROT: unknown setting; did you mean FENESTRA_PORT?")
    ]
    assert [one.state for one in checks._environment({"FENESTRA_CACHE": "x"})] == ["ok"]


def test_extras_are_read_from_the_metadata(monkeypatch):
    listed = ["numpy>=2", "fastapi>=0.1; extra == 'serve'", "uvloop>=1; sys_platform != 'win32' and extra == 'serve'",
              "fenestra-ner[serve,train]; extra == 'label-studio'", "ruff; extra == 'dev'"]  # fmt: skip
    monkeypatch.setattr(checks.metadata, "requires", lambda _: listed)
    monkeypatch.setattr(checks, "_version", {"fastapi": "0.2"}.get)
    assert checks.extras() == {"serve": ["fastapi"]}
    assert only(checks._extras)["extras"].text == "serve (fastapi 0.2)"


def test_a_look_that_fails_is_a_finding_and_no_end():
    def _torch():
        raise OSError("gone")

    assert only(_torch) == {"torch": checks.Check("torch", "fail", "could not be looked at: OSError: gone")}
