"""Training from Python: ``fenestra.train``."""

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import fenestra
from fenestra.training.config import any_config, load_config
from tests.conftest import SAMPLE

QUICK = ["vectors.source=none", "model.features.vectors=false", "model.hidden=[8]", "training.epochs=1", "threads=1",
         "model.features.ngram_buckets=200"]  # fmt: skip


@pytest.mark.training
def test_a_job_gives_the_tagger_of_the_folder_that_the_command_would_write(tmp_path):
    tagger = fenestra.train(SAMPLE, tmp_path / "model", overrides=QUICK)
    assert tagger.version == fenestra.load(tmp_path / "model").version
    assert isinstance(tagger("Ada met Siemens."), fenestra.Result)
    command = ["train", str(SAMPLE), *QUICK, "--output", str(tmp_path / "by_command")]
    subprocess.run([sys.executable, "-m", "fenestra", *command], check=True, capture_output=True, timeout=300)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("model", "by_command")]
    assert weights[0] == weights[1]
    with pytest.raises(fenestra.InputError, match="model"):
        fenestra.train(SAMPLE, tmp_path / "model", overrides=QUICK)


def test_a_job_may_be_a_file_dictionaries_or_a_configuration(monkeypatch):
    from_file = load_config(SAMPLE, QUICK)
    values = tomllib.loads(SAMPLE.read_text(encoding="utf-8"))
    before = str(values)
    monkeypatch.chdir(SAMPLE.parent)
    from_values = any_config(values, QUICK)
    assert str(values) == before
    assert replace(from_values, data=from_file.data) == from_file
    assert [Path(name).resolve() for name in from_values.data.train] == [
        Path(name).resolve() for name in from_file.data.train
    ]
    assert any_config(from_file) is from_file
    assert any_config(str(SAMPLE), QUICK) == from_file
    with pytest.raises(fenestra.ConfigError, match="overrides"):
        any_config(from_file, QUICK)
    with pytest.raises(fenestra.ConfigError, match=r"training\.epoch: unknown field"):
        any_config({**values, "training": {"epoch": 3}})


def test_without_the_extra_the_missing_package_is_named_with_the_way_to_get_it():
    code = (
        "import sys, fenestra; sys.modules['torch'] = None\n"
        "try: fenestra.train('job.toml', 'out')\n"
        "except ImportError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.startswith("torch is not installed: pip install 'fenestra-ner[train]', or ")


def test_a_teacher_is_refused_before_any_work_as_there_is_nothing_to_return(tmp_path):
    values = {"data": {"train": ["a"], "dev": ["b"]}, "model": {"labels": ["PER"]}}
    recurrent = ["model.kind=recurrent", "model.context=0"]
    with pytest.raises(fenestra.InputError, match=r"model\.kind: a recurrent model tags nothing"):
        fenestra.train(values, tmp_path / "model", overrides=recurrent)
    assert not (tmp_path / "model").exists()
