"""What is promised around the code: what an installation holds, what `make` offers, what the containers may do."""

import fnmatch
import importlib.util
import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fenestra.model.bundled import DEFAULT, bundled_models

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
WHEEL = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
TARGETS = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
TRAINING_ONLY = {"gensim", "seqeval", "tensorboard", "pyarrow", "msgpack", "optuna", "tomli-w"}


def names(requirements: list[str]) -> set[str]:
    return {Requirement(requirement).name for requirement in requirements}


def make(*arguments: str) -> str:
    """Run make as a person would: not as a part of the make that may be running the tests."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


class TestInstallation:
    def test_the_wheel_holds_one_package_and_the_bundled_models(self):
        """The service looks for its models where the wheel puts them."""
        assert WHEEL["packages"] == ["fenestra"]
        assert WHEEL["force-include"] == {"data/models": "fenestra/data/models"}
        assert set(bundled_models().values()) == set((ROOT / "data" / "models").iterdir())

    def test_the_bundled_models_together_stay_small(self):
        files = [path for folder in bundled_models().values() for path in folder.iterdir()]
        assert sum(path.stat().st_size for path in files) <= 45_000_000

    def test_serving_needs_nothing_that_only_training_uses(self):
        assert names(PROJECT["dependencies"]).isdisjoint(TRAINING_ONLY)
        assert {"gensim", "seqeval"} <= names(PROJECT["optional-dependencies"]["train"])

    def test_torch_is_pinned(self):
        """Same seed, same numbers: only with the same torch. The Dockerfile relies on the pin, too."""
        assert any(re.fullmatch(r"torch==[\d.]+", requirement) for requirement in PROJECT["dependencies"])

    @pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
    def test_every_extra_is_there_in_a_development_environment(self, extra):
        """`make install` brings all of them, in versions that pyproject.toml accepts."""
        modules = metadata.packages_distributions()
        for text in PROJECT["optional-dependencies"][extra]:
            requirement = Requirement(text)
            if requirement.name == PROJECT["name"]:
                continue
            assert requirement.specifier.contains(metadata.version(requirement.name)), text
            name = canonicalize_name(requirement.name)
            provided = [module for module, owners in modules.items() if name in map(canonicalize_name, owners)]
            assert provided, text
            assert any(importlib.util.find_spec(module) for module in provided), text

    def test_the_command_is_where_the_wheel_says(self):
        module, _, function = PROJECT["scripts"]["fenestra"].partition(":")
        assert callable(getattr(importlib.import_module(module), function))


class TestMakefile:
    def test_make_alone_prints_the_help(self):
        assert make() == make("help")

    def test_help_is_the_first_target(self):
        assert TARGETS[0] == "help"
        assert re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)[0] == "help"

    def test_help_lists_every_target(self):
        assert re.findall(r"^  make (\S+) +\S", make("help"), re.MULTILINE) == TARGETS

    def test_the_promised_verbs_are_there(self):
        promised = "help install serve train check fix test test-fast bench image clean"
        assert set(TARGETS) >= set(promised.split())

    def test_serving_does_not_install_the_training_extra(self):
        """A fresh machine answers sooner, and cannot come to lean on gensim by accident."""
        assert re.search(r"^serve: \$\(VENV\)/\.base ", MAKEFILE, re.MULTILINE)
        assert re.search(r"^\$\(VENV\)/\.base: .*\n\t\$\(PIP\) -e \.$", MAKEFILE, re.MULTILINE)

    def test_continuous_integration_runs_the_same_verb(self):
        script = ROOT / ".ci" / "run"
        assert script.stat().st_mode & 0o111
        assert script.read_text(encoding="utf-8").rstrip().endswith("exec make test")


class TestContainer:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)

    def test_both_targets_are_there_and_serve_is_the_default(self):
        assert "train" in self.stages
        assert self.stages[-1] == "serve"

    def test_what_the_dockerfile_copies_reaches_the_builder(self):
        """.dockerignore shuts everything out but what it names."""
        ignored = [
            line
            for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")
        ]
        assert ignored[0] == "*"
        allowed = [line.removeprefix("!") for line in ignored if line.startswith("!")]
        sources = [
            source
            for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
            for source in line.split()[:-1]
        ]
        assert sources
        for source in sources:
            parents = [source, *map(str, Path(source).parents)]
            assert any(fnmatch.fnmatch(parent, pattern) for parent in parents for pattern in allowed), source

    def test_the_images_run_without_root_and_stop_when_asked(self):
        assert re.search(r"^USER 65532:65532$", DOCKERFILE, re.MULTILINE)
        entries = re.findall(r"^(?:ENTRYPOINT|CMD) (.+)$", DOCKERFILE, re.MULTILINE)
        assert entries
        assert all(entry.startswith("[") for entry in entries), "a shell would keep signals from python"

    def test_only_the_service_is_checked_for_health(self):
        serve = DOCKERFILE.partition(" AS serve\n")[2]
        assert "HEALTHCHECK" in serve
        assert DOCKERFILE.count("HEALTHCHECK") == 1
        assert "timeout=" in serve, "a frozen service would hang the check"


class TestCompose:
    services = COMPOSE["services"]

    def test_up_starts_the_service_alone(self):
        """Training, the GPU and what watches come only when asked for."""
        assert [name for name, service in self.services.items() if "profiles" not in service] == ["api"]
        assert self.services["train"]["profiles"] == ["train"]
        assert self.services["api-gpu"]["profiles"] == ["gpu"]

    def test_the_service_is_published_on_8000(self):
        assert self.services["api"]["ports"] == ["${PORT:-8000}:8000"]

    @pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
    def test_every_service_is_confined(self, name):
        service = self.services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "/tmp" in service["tmpfs"]
        assert service["mem_limit"]

    def test_every_service_builds_a_stage_that_exists(self):
        targets = {service["build"]["target"] for service in self.services.values() if "build" in service}
        assert targets == {"serve", "train"}

    def test_what_training_writes_the_service_can_read(self):
        assert "models:/models" in self.services["train"]["volumes"]
        assert self.services["api"]["volumes"] == ["models:/models:ro"]
        assert "FENESTRA_MODEL" in self.services["api"]["environment"]

    @pytest.mark.parametrize("name", ["api", "api-gpu"])
    def test_the_service_takes_the_bundled_models_unless_told_otherwise(self, name):
        """An empty variable must stay empty: it is how FENESTRA_MODEL gets its turn."""
        models = re.fullmatch(r"\$\{FENESTRA_MODELS-(.+)\}", self.services[name]["environment"]["FENESTRA_MODELS"])[1]
        assert models.split(",")[0] == DEFAULT
        assert set(models.split(",")) == set(bundled_models())


class TestLicences:
    def test_code_data_and_weights_each_have_theirs(self):
        assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
        assert PROJECT["license"] == "MIT AND CC-BY-SA-4.0"
        data = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
        assert "CC BY-SA 4.0" in data
        assert "CC0 1.0" in data

    @pytest.mark.parametrize("name", bundled_models())
    def test_every_bundled_model_is_listed_and_its_licence_declared(self, name):
        """The card says under which licence its weights are: one of those of the whole package."""
        card = (bundled_models()[name] / "README.md").read_text(encoding="utf-8")
        licence = re.search(r"The weights are licensed \[?([\w. -]+)", card)[1].rstrip(".")
        assert licence.replace(" ", "-") in PROJECT["license"].split(" AND ")
        assert f"\n| `models/{name}/` |" in (ROOT / "data" / "README.md").read_text(encoding="utf-8")
