"""What the command line says of a checkpoint that a stranger made: one line, and exit code 2."""

import io
import shutil
import sys

import pytest

from fenestra.cli.main import main
from tests.model.conftest import small_model
from tests.model.hostile import FORGED, HOSTILE, MANIFEST, NO_FILES, write_good


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "model"
    write_good(folder, small_model(documents=True))
    return folder


@pytest.fixture
def folder(good, tmp_path):
    shutil.copytree(good, tmp_path / "model")
    return tmp_path / "model"


def tag(folder, monkeypatch, capsys):
    """Tag nothing with the model of a folder: exit code, and what was printed."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    code = main(["tag", "--model", str(folder), "-"])
    return code, *capsys.readouterr()


def check_refused(folder, monkeypatch, capsys):
    code, out, errors = tag(folder, monkeypatch, capsys)
    assert (code, out) == (2, "")
    (line,) = errors.split("\n")[:-1]
    assert line.startswith("fenestra: ")
    assert line.isprintable()
    return line


def test_a_good_one_is_used(folder, monkeypatch, capsys):
    assert tag(folder, monkeypatch, capsys)[:2] == (0, "")


@pytest.mark.parametrize("damage", HOSTILE.values(), ids=HOSTILE)
def test_what_a_stranger_made_is_refused_in_one_line(folder, monkeypatch, capsys, damage):
    damage(folder)
    check_refused(folder, monkeypatch, capsys)


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused_in_one_line(folder, monkeypatch, capsys, kind):
    for name in ("README.md", MANIFEST, "weights.safetensors"):
        shutil.copytree(folder, copy := folder.with_name(name))
        NO_FILES[kind](copy / name)
        assert name in check_refused(copy, monkeypatch, capsys)


def test_a_folder_whose_name_would_forge_a_line_is_named_in_one(folder, monkeypatch, capsys):
    (folder / "words.txt").unlink()
    folder = folder.rename(folder.with_name(FORGED.replace("\ud83d", "").replace("/", "")))
    assert "words.txt" in check_refused(folder, monkeypatch, capsys)
