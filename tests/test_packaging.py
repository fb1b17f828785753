"""What is promised around the code: what an installation holds, what `make` offers, what the containers may do."""

import fnmatch
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fenestra.model.bundled import DEFAULT, bundled_models
from fenestra.model.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
WHEEL = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
TARGETS = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
EXTRAS = PROJECT["optional-dependencies"]
ENVIRONMENTS = ROOT.glob("tests/integrations/environments/*.txt")
TOOLS = {  # extras that have an environment of their own, for the tests of integrations
    extra
    for path in ENVIRONMENTS
    for named in re.findall(r"^-e \.\[(.+)\]$", path.read_text(encoding="utf-8"), re.MULTILINE)
    for extra in named.split(",")
} - Requirement(EXTRAS["dev"][0]).extras
WHEELS = re.search(r"^WHEELS +\?= (.+)$", MAKEFILE, re.MULTILINE)[1].split()
CROSS = {  # target: what the name of its wheel ends with, and how each of its libraries begins
    "linux-x86_64": ("manylinux_2_17_x86_64.manylinux2014_x86_64", b"\x7fELF\x02\x01"),
    "linux-aarch64": ("manylinux_2_17_aarch64.manylinux2014_aarch64", b"\x7fELF\x02\x01"),
    "macos-arm64": ("macosx_11_0_arm64", b"\xcf\xfa\xed\xfe\x0c\0\0\x01"),
    "macos-x86_64": ("macosx_10_13_x86_64", b"\xcf\xfa\xed\xfe\x07\0\0\x01"),
    "windows-x86_64": ("win_amd64", b"MZ"),
}


def names(requirements: list[str]) -> set[str]:
    return {Requirement(requirement).name for requirement in requirements}


def make(*arguments: str) -> str:
    """Run make as a person would: not as a part of the make that may be running the tests."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "WITH"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


class TestInstallation:
    def test_the_wheel_holds_one_package_and_the_bundled_models(self):
        """The service looks for its models where the wheel puts them."""
        assert WHEEL["packages"] == ["fenestra"]
        assert WHEEL["force-include"] == {
            "data/models": "fenestra/data/models", "data/sample": "fenestra/data/sample",
        }  # fmt: skip
        assert set(bundled_models().values()) == set((ROOT / "data" / "models").iterdir())

    def test_the_bundled_models_together_stay_small(self):
        files = [path for folder in bundled_models().values() for path in folder.iterdir()]
        assert sum(path.stat().st_size for path in files) <= 50_000_000

    def test_tagging_needs_numpy_and_safetensors_and_a_progress_bar(self):
        assert names(PROJECT["dependencies"]) == {"numpy", "safetensors", "tqdm"}

    def test_only_training_and_the_gpu_need_torch(self):
        assert {extra for extra, needed in EXTRAS.items() if "torch" in names(needed)} == {"train", "gpu"}

    def test_serving_and_training_share_only_what_checks_their_configurations(self):
        assert names(EXTRAS["serve"]) & names(EXTRAS["train"]) == {"pydantic"}

    def test_torch_is_pinned_to_one_version(self):
        """Same seed, same numbers: only with the same torch. The Dockerfile relies on the pin, too."""
        (pin,) = {needed for extra in EXTRAS.values() for needed in extra if Requirement(needed).name == "torch"}
        assert re.fullmatch(r"torch==[\d.]+", pin)

    @pytest.mark.parametrize("extra", sorted(set(EXTRAS) - TOOLS))
    def test_every_extra_is_there_in_a_development_environment(self, extra):
        """`make install` brings all but the tools of integrations, in versions that pyproject.toml accepts."""
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


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def kernels(wheel: Path) -> dict[str, bytes]:
    return {name: held for name, held in contents(wheel).items() if "/kernel-" in name}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build an archive of a source tree; gives its path."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed; `make install` brings it")

    def run(kind, source=ROOT, target=None):
        folder = tmp_path_factory.mktemp("dist")
        environment = {name: value for name, value in os.environ.items() if name != "FENESTRA_TARGET"}
        if target:
            environment["FENESTRA_TARGET"] = target
        command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
        subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True, timeout=1000)
        (archive,) = folder.iterdir()
        return archive

    return run


@pytest.fixture(scope="module")
def pure(build):
    return build("wheel", target="pure")


@pytest.fixture(scope="module")
def native(build):
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        pytest.skip("there is no C compiler")
    return build("wheel")


@pytest.fixture(scope="module")
def sdist(build):
    return build("sdist")


@pytest.mark.wheel
class TestWheels:
    """What an archive holds and where it lands, built from this tree into a folder of its own."""

    def test_a_wheel_holds_the_rooms_the_models_and_the_marker_of_its_types(self, pure):
        assert pure.name == f"fenestra_ner-{VERSION}-py3-none-any.whl"
        held = contents(pure)
        for room in ("app", "model", "training"):
            ours = [path for path in (ROOT / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
            for path in ours:
                if not path.name.startswith("kernel-"):
                    assert held[f"fenestra/{path.relative_to(ROOT)}"] == path.read_bytes()
        for name, folder in bundled_models().items():
            for path in folder.iterdir():
                assert held[f"fenestra/data/models/{name}/{path.name}"] == path.read_bytes()
        assert "fenestra/py.typed" in held
        assert not kernels(pure)

    def test_the_wheel_of_this_machine_is_of_its_platform_and_holds_its_kernel(self, native):
        assert not native.name.endswith("-any.whl")
        assert "fenestra/model/engine/kernel-any" in {name.rpartition(".")[0] for name in kernels(native)}

    def test_beside_a_project_with_rooms_of_the_same_names_nothing_but_fenestra_is_installed(self, native, tmp_path):
        """As an adopter has it: a FastAPI project with its own `app/`, and a `model.py`."""
        site, project = tmp_path / "site", tmp_path / "project"
        for name in ("app/__init__.py", "training/__init__.py", "model.py"):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text("THEIRS = True\n", encoding="utf-8")
        install = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--no-index",
            "--target",
            str(site),
            str(native),
        ]
        subprocess.run(install, check=True, capture_output=True, timeout=300)
        dist_info = f"fenestra_ner-{VERSION}.dist-info"
        assert {path.name for path in site.iterdir()} == {"fenestra", dist_info, "bin"}
        assert [path.name for path in (site / "bin").iterdir()] == ["fenestra"]
        code = (
            "import fenestra, app, model, training\n"
            "assert app.THEIRS and model.THEIRS and training.THEIRS\n"
            "print(fenestra.__file__)"
        )
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(site)},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.stdout.strip() == str(site / "fenestra" / "__init__.py")

    def test_the_source_archive_holds_everything_once(self, sdist):
        with tarfile.open(sdist) as archive:
            files = [member for member in archive.getmembers() if member.isfile() and member.size]
            sums = [hashlib.sha256(archive.extractfile(member).read()).hexdigest() for member in files]
            assert all(member.isfile() for member in archive.getmembers()), "a link would lead out of the archive"
        assert len(set(sums)) == len(sums)
        top = {member.name.split("/")[1] for member in files}
        assert top == {
            "fenestra",
            "data",
            "pyproject.toml",
            "PKG-INFO",
            "README.md",
            "LICENSE",
            "CHANGELOG.md",
            ".gitignore",
        }

    def test_a_wheel_of_the_source_archive_is_the_wheel_of_the_tree(self, sdist, pure, build, tmp_path):
        with tarfile.open(sdist) as archive:
            archive.extractall(tmp_path, filter="data")
        (source,) = tmp_path.iterdir()
        assert contents(build("wheel", source, "pure")) == contents(pure)

    def test_a_platform_that_is_not_known_is_refused_by_name(self, build):
        with pytest.raises(subprocess.CalledProcessError) as failure:
            build("wheel", target="amiga")
        assert b"FENESTRA_TARGET=amiga: expected pure or one of linux-x86_64, " in failure.value.stderr

    @pytest.mark.parametrize("target", CROSS)
    def test_a_wheel_of_another_platform_holds_its_libraries_and_the_tree_keeps_its_own(self, build, target):
        if importlib.util.find_spec("ziglang") is None:
            pytest.skip("ziglang is not installed; `make install` brings it")
        before = {path: path.read_bytes() for path in (ROOT / "model").glob("*/kernel-*")}
        wheel = build("wheel", target=target)
        tag, magic = CROSS[target]
        assert wheel.name.endswith(f"-py3-none-{tag}.whl")
        libraries = kernels(wheel)
        assert len(libraries) == (4 if target.endswith("x86_64") else 1)
        assert all(library.startswith(magic) for library in libraries.values())
        assert {path: path.read_bytes() for path in (ROOT / "model").glob("*/kernel-*")} == before


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

    @pytest.fixture
    def installed_by(self, tmp_path):
        """Run a verb where no program does anything but be noted; gives what pip was told to install."""
        for name in ("Makefile", "pyproject.toml", "fenestra/hatch_build.py", "model/engine/sources.py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
        (tmp_path / ".venv" / "bin").mkdir(parents=True)
        for name in ("python", "fenestra", "ruff", "mypy", "lint-imports"):
            program = tmp_path / ".venv" / "bin" / name
            program.write_text('#!/bin/sh\necho "$0 $@" >> calls\n', encoding="utf-8")
            program.chmod(0o755)

        def run(verb, *variables):
            (tmp_path / "calls").write_text("", encoding="utf-8")
            make("-C", str(tmp_path), verb, "CI=", *variables)
            return re.findall(r"-m pip install .*-e (\S+)$", (tmp_path / "calls").read_text("utf-8"), re.MULTILINE)

        return run

    @pytest.mark.parametrize(
        ("verb", "installed"),
        [("bench", "."), ("serve", ".[serve]"), ("train", ".[train]"), ("check", ".[dev]"), ("test", ".[dev]")],
    )
    def test_a_verb_installs_what_it_needs_and_no_more(self, installed_by, verb, installed):
        """A fresh machine answers sooner, and cannot come to lean on torch by accident."""
        assert installed_by(verb) == [installed]

    @pytest.mark.parametrize(
        ("first", "enough_for"), [("serve", "bench"), ("train", "bench"), ("install", "bench serve train check")]
    )
    def test_a_verb_that_needs_less_than_is_there_installs_nothing(self, installed_by, first, enough_for):
        assert installed_by(first)
        assert [installed_by(verb) for verb in (first, *enough_for.split())] == [[]] * (1 + len(enough_for.split()))

    @pytest.mark.parametrize("extra", ["serve", "train", "dev"])
    def test_a_newcomer_can_leave_the_tools_of_developers_out(self, installed_by, extra):
        assert installed_by("install", f"EXTRA={extra}") == [f".[{extra}]"]
        assert installed_by("install", f"EXTRA={extra}") == []

    def test_serving_and_training_add_to_each_other(self, installed_by):
        assert [installed_by(verb) for verb in ("serve", "train", "serve", "train")] == [
            [".[serve]"],
            [".[train]"],
            [],
            [],
        ]

    def test_every_platform_of_the_wheels_is_one_that_the_build_knows(self):
        build = (ROOT / "fenestra" / "hatch_build.py").read_text(encoding="utf-8")
        assert [*re.findall(r'^    "(\S+)": Target\(', build, re.MULTILINE)] == list(CROSS)
        assert ["pure", *CROSS] == WHEELS

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
        assert self.services["api"]["ports"] == ["${BIND:-127.0.0.1}:${PORT:-8000}:8000"]

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
