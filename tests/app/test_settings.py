"""Settings come from FENESTRA_* and nowhere else; what is wrong with them fits in a line."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from fenestra.app.settings import Settings
from fenestra.model import bundled
from fenestra.model.bundled import bundled_model, bundled_models, find_model
from fenestra.model.errors import InputError


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("FENESTRA_PORT", "9000")
    monkeypatch.setenv("FENESTRA_MODEL", "runs/mine")
    settings = Settings.read()
    assert (settings.port, settings.served) == (9000, (("mine", Path("runs/mine")),))


def test_overrides_take_precedence_unless_they_are_none(monkeypatch):
    monkeypatch.setenv("FENESTRA_PORT", "9000")
    monkeypatch.setenv("FENESTRA_HOST", "::1")
    settings = Settings.read(port=1234, host=None)
    assert (settings.port, settings.host) == (1234, "::1")


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("FENESTRA_MODEL", "")
    monkeypatch.setenv("FENESTRA_PORT", "")
    assert (Settings.read().model, Settings.read().port) == (None, 8000)


@pytest.mark.parametrize("name", ["FENESTRA_CACHE", "FENESTRA_TARGET"])
def test_the_variables_of_training_and_of_building_are_accepted(monkeypatch, name):
    monkeypatch.setenv(name, "/cache")
    assert Settings.read().port == 8000


WRONG = {
    ("FENESTRA_PROT", "1"): "FENESTRA_PROT: unknown setting; did you mean FENESTRA_PORT?",
    ("fenestra_max_char", "1"): "fenestra_max_char: unknown setting; did you mean FENESTRA_MAX_CHARS?",
    ("FENESTRA_ZZZ", "1"): "FENESTRA_ZZZ: unknown setting",
    ("FENESTRA_MODLE", "1"): "FENESTRA_MODLE: unknown setting; did you mean FENESTRA_MODEL?",
    ("FENESTRA_PORT", "http"): "FENESTRA_PORT: ",
    ("FENESTRA_PORT", "70000"): "FENESTRA_PORT: ",
    ("FENESTRA_THREADS", "0"): "FENESTRA_THREADS: ",
    ("FENESTRA_DEVICE", "tpu"): "FENESTRA_DEVICE: expected auto, cpu, cuda or cuda:N",
    ("FENESTRA_DEADLINE_SECONDS", "nan"): "FENESTRA_DEADLINE_SECONDS: ",
    ("FENESTRA_DEADLINE_SECONDS", "inf"): "FENESTRA_DEADLINE_SECONDS: ",
    ("FENESTRA_MODEL_NAME", "my model"): "FENESTRA_MODEL_NAME: expected 1 to 64 letters, digits",
    ("FENESTRA_LOG_LEVEL", "loud"): "FENESTRA_LOG_LEVEL: ",
    ("FENESTRA_THREADS", "4096"): "FENESTRA_THREADS: this machine offers",
    (
        "FENESTRA_MODEL",
        "klingon",
    ): "FENESTRA_MODEL: 'klingon' is not a folder here, and no model 'klingon' is bundled, but",
    (
        "FENESTRA_MODELS",
        "klingon",
    ): "FENESTRA_MODELS: 'klingon' is not a folder here, and no model 'klingon' is bundled, but",
    ("FENESTRA_MODELS", "a=klingon"): "FENESTRA_MODELS: 'klingon' is not a folder here",
    ("FENESTRA_MODELS", "a="): "FENESTRA_MODELS: expected name=folder",
    ("FENESTRA_MODELS", "runs/my model"): "FENESTRA_MODELS: expected name=folder",
    ("FENESTRA_MODELS", "a/b=x"): "FENESTRA_MODELS: expected name=folder",
    ("FENESTRA_MODELS", "a=./x,a=./y"): "FENESTRA_MODELS: two models have the same name",
    ("FENESTRA_MODELS", "english,english=./x"): "FENESTRA_MODELS: two models have the same name",
    ("FENESTRA_API_KEYS", "secret"): "FENESTRA_API_KEYS: ",
    ("FENESTRA_RATE_LIMIT", "often"): "FENESTRA_RATE_LIMIT: ",
    ("FENESTRA_ALLOWED_HOSTS", "http://a"): "FENESTRA_ALLOWED_HOSTS: expected names of hosts, such as",
    ("FENESTRA_ALLOWED_ORIGINS", "*"): "FENESTRA_ALLOWED_ORIGINS: expected origins, scheme and host",
    ("FENESTRA_ALLOWED_ORIGINS", "app.example"): "FENESTRA_ALLOWED_ORIGINS: expected origins, scheme and host",
    ("FENESTRA_ALLOWED_ORIGINS", "https://a.example/"): "FENESTRA_ALLOWED_ORIGINS: expected origins, scheme and host",
    ("FENESTRA_TRUSTED_PROXIES", "proxy"): "FENESTRA_TRUSTED_PROXIES: ",
}


@pytest.mark.parametrize("variable", WRONG, ids="=".join)
def test_a_wrong_setting_is_refused_in_one_line_that_names_it(monkeypatch, variable):
    monkeypatch.setenv(*variable)
    with pytest.raises(InputError) as caught:
        Settings.read()
    assert str(caught.value).startswith(WRONG[variable])
    assert "\n" not in str(caught.value)


def test_the_name_is_that_of_the_link_not_of_what_it_points_to(monkeypatch, tmp_path):
    (tmp_path / "english-1").mkdir()
    (tmp_path / "english").symlink_to("english-1")
    monkeypatch.setenv("FENESTRA_MODEL", str(tmp_path / "english"))
    assert Settings.read().served == (("english", tmp_path / "english"),)


def test_several_models_are_named_with_commas_between(monkeypatch):
    monkeypatch.setenv("FENESTRA_MODELS", "english=data/models/english, mine=runs/mine")
    assert Settings.read().served == (("english", Path("data/models/english")), ("mine", Path("runs/mine")))


def test_a_folder_alone_is_served_under_its_own_name(monkeypatch):
    monkeypatch.setenv("FENESTRA_MODELS", "runs/mine,/models/legal/")
    assert Settings.read().served == (("mine", Path("runs/mine")), ("legal", Path("/models/legal")))


def test_one_model_and_several_exclude_each_other(monkeypatch):
    monkeypatch.setenv("FENESTRA_MODELS", "mine=runs/mine")
    monkeypatch.setenv("FENESTRA_MODEL", "runs/mine")
    with pytest.raises(InputError, match=r"^FENESTRA_MODELS: give either it, or FENESTRA_MODEL"):
        Settings.read()


def test_settings_are_frozen_and_know_no_other_fields():
    with pytest.raises(ValidationError):
        Settings().port = 1
    with pytest.raises(ValidationError):
        Settings(prot=1)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name):
    assert Settings.model_fields[name].description


@pytest.fixture
def tree(monkeypatch, tmp_path):
    """An installation with no model yet, and an empty current folder; ``tree(place)`` puts a model there."""
    monkeypatch.setattr(bundled, "__file__", str(tmp_path / "model" / "bundled.py"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def put(place):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "manifest.json").touch()
        return tmp_path / place

    return put


def test_bundled_models_are_found_beside_the_package(tree):
    (tree("data/models/no") / "manifest.json").unlink()
    folders = {name: tree(f"data/models/{name}") for name in ("russian", "english")}
    assert bundled_models() == folders
    assert bundled_model() == folders["english"]
    assert bundled_model("russian") == folders["russian"]


def test_an_installation_without_a_model_says_so(tree):
    with pytest.raises(InputError, match="bundles no model"):
        bundled_model()


def test_a_bundled_model_is_served_by_its_name(tree, monkeypatch):
    english, russian = tree("data/models/english"), tree("data/models/russian")
    assert Settings.read().served == (("english", english),)
    monkeypatch.setenv("FENESTRA_MODEL", "russian")
    assert Settings.read().served == (("russian", russian),)
    monkeypatch.delenv("FENESTRA_MODEL")
    monkeypatch.setenv("FENESTRA_MODELS", "english,ru=russian")
    assert Settings.read().served == (("english", english), ("ru", russian))


def test_a_folder_or_link_here_takes_precedence_over_the_bundled_model_of_its_name(tree):
    """Even a link that leads nowhere: to answer with another model than the one that was meant would be worse."""
    coming_along = tree("data/models/russian")
    assert find_model("russian") == coming_along
    Path("russian").symlink_to("gone")
    assert find_model("russian") == Path("russian")
    Path("russian").unlink()
    Path("russian").mkdir()
    assert find_model("russian") == Path("russian")


@pytest.mark.parametrize("given", ["./russian", "russian/", "runs/russian", "/russian", ".", ".."])
def test_a_path_never_means_a_bundled_model(tree, given):
    tree("data/models/russian")
    assert find_model(given) == Path(given)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "a\u202eb", "a\udcffb", "a\rb"])
def test_the_name_of_a_folder_that_would_forge_a_line_is_not_that_of_a_model(name):
    """Names of models stand in logs, metrics and responses."""
    with pytest.raises(InputError, match=r"FENESTRA_MODEL: .* set FENESTRA_MODEL_NAME") as refusal:
        Settings.read(model=f"/models/{name}")
    assert str(refusal.value).isprintable()
    assert Settings.read(model=f"/models/{name}", model_name="mine").served[0].name == "mine"
    assert Settings.read(model="/models/Мой text").served[0].name == "Мой text"
