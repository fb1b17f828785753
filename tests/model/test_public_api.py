"""What people import: models by name, as little as possible before it is asked for, nothing of torch to tag."""

import subprocess
import sys
from pathlib import Path

import pytest

import fenestra
from fenestra.model import checkpoint
from fenestra.model.bundled import bundled_model, bundled_models
from fenestra.model.errors import CheckpointError, InputError
from fenestra.model.tagger import Tagger
from tests.model.conftest import small_model

ROOT = Path(__file__).parents[2]
needs_english = pytest.mark.skipif("english" not in bundled_models(), reason="no model is bundled here")


def run(code):
    """What a Python of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_is_there():
    for name in fenestra.__all__:
        assert getattr(fenestra, name) is not None
    assert dir(fenestra) == sorted(fenestra.__all__)
    assert len(set(fenestra.__all__)) == len(fenestra.__all__)
    with pytest.raises(AttributeError, match="module 'fenestra' has no attribute 'Taggr'"):
        _ = fenestra.Taggr


def test_public_names_are_those_of_their_modules():
    assert fenestra.Tagger is Tagger
    assert fenestra.InputError is InputError
    assert issubclass(fenestra.CheckpointError, fenestra.InputError)
    assert issubclass(fenestra.InputError, fenestra.FenestraError)
    assert fenestra.__version__


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, fenestra; print([m for m in ('numpy', 'torch', 'safetensors', 'fastapi') if m in sys.modules])"
    assert run(code) == "[]"


@needs_english
def test_a_bundled_model_is_loaded_by_its_name_and_by_its_folder():
    text = "Ada Lovelace moved from London to join Siemens in Munich."
    by_name = fenestra.load("english", device="cpu")
    assert by_name.folder == bundled_model("english")
    assert "Ada Lovelace" in {entity.text for entity in by_name(text)}
    assert fenestra.load(device="cpu")(text) == by_name(text)
    assert fenestra.models() == sorted(bundled_models())


def test_a_folder_is_loaded_as_a_string_and_as_a_path(tmp_path, monkeypatch):
    checkpoint.save(small_model(), tmp_path / "mine")
    for given in (tmp_path / "mine", str(tmp_path / "mine")):
        assert fenestra.load(given, device="cpu").labels == ("LOC", "ORG", "PER")
    monkeypatch.chdir(tmp_path)
    for given in ("mine", "./mine", Path("mine")):
        tagger = fenestra.load(given, engine="reference", device="cpu")
        assert tagger.engine == "reference"


def test_a_name_that_is_neither_a_model_nor_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="'englich' is not a folder here, and "):
        fenestra.load("englich")
    with pytest.raises(CheckpointError, match=r"nowhere: not a checkpoint: cannot read manifest\.json"):
        fenestra.load("./nowhere")
    with pytest.raises(TypeError, match="expected the name of a model or a folder, got int"):
        fenestra.load(3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        fenestra.load("empty")


@needs_english
def test_without_torch_a_model_is_loaded_and_tags():
    code = """
import sys
sys.modules["torch"] = None
import fenestra
tagger = fenestra.load("english")
print(tagger.device, [entity.text for entity in tagger("Ada Lovelace moved to London.")], end=" ")
print(tagger.explain("Ada Lovelace moved to London.", 0).token.text, end=" ")
reference = fenestra.load("english", engine="reference")
print([entity.text for entity in reference("Ada Lovelace moved to London.")])
"""
    assert run(code) == "cpu ['Ada Lovelace', 'London'] Ada ['Ada Lovelace', 'London']"


@needs_english
def test_nothing_of_a_tagger_imports_torch():
    code = """
import sys
import fenestra
tagger = fenestra.load("english", device="cpu")
tagger("Ada Lovelace moved to London.", alternatives=2)
tagger.explain("Ada Lovelace moved to London.", 0)
tagger.self_test()
print([name for name in sys.modules if name.partition(".")[0] in ("torch", "gensim", "pydantic", "fastapi", "seqeval")])
"""
    assert run(code) == "[]"


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_without_torch_is_refused_with_the_extra_to_install(device, tmp_path):
    checkpoint.save(small_model(), tmp_path / "mine")
    code = f"""
import sys
sys.modules["torch"] = None
import fenestra
try:
    fenestra.load({str(tmp_path / "mine")!r}, device={device!r})
except fenestra.InputError as error:
    print(error)
"""
    assert run(code) == f"device '{device}': needs torch; install the extra: pip install 'fenestra-ner[gpu]'"
