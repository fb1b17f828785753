"""What the documents say is there is there, and what they show is what happens."""

import ast
import doctest
import inspect
import json
import re
import tomllib

import pytest

import fenestra
from fenestra.cli.main import main
from tests.conftest import ROOT
from tests.pages import type_in

DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "model" / "README.md", ROOT / "data" / "README.md"]
)
LECTURE = (ROOT / "docs" / "lecture.md").read_text(encoding="utf-8")
TUNING = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODEL = (ROOT / "model" / "README.md").read_text(encoding="utf-8")
INDEX = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_document_names_exist(document):
    text = document.read_text(encoding="utf-8")
    named = set(
        re.findall(
            r"`((?:app|fenestra|model|training|tests|benchmarks|docs|data)/[\w./-]+\.(?:py|c|h|md|toml|html|conll))",
            text,
        )
    )
    named |= set(re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text))
    beside = [name for name in named if not (ROOT / name).exists() and not (document.parent / name).exists()]
    assert beside == []


@pytest.mark.parametrize(
    "folder", ["app", "benchmarks", "deploy", "fenestra/cli", "fenestra/integrations", "model", "training"]
)
def test_files_that_comments_name_exist(folder):
    lost = {}
    for path in (ROOT / folder).rglob("*.*"):
        if path.suffix in {".py", ".c", ".h", ".toml", ".yaml", ".js", ".css", ".html"}:
            text = path.read_text(encoding="utf-8")
            named = re.findall(
                r"\b(?:app|benchmarks|docs|fenestra|model|tests|training)/[\w/]+\.(?:py|c|h|md|toml)\b", text
            )
            lost[path.name] = [name for name in named if not (ROOT / name).exists()]
    assert lost
    assert [entry for entry in lost.items() if entry[1]] == []


def test_every_test_that_the_lecture_table_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", LECTURE)
    assert len(named) > 15
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()] == []


def test_every_setting_that_the_lecture_table_names_exists():
    from fenestra.training.config import dump_config, load_config

    config = dump_config(load_config(ROOT / "training" / "configs" / "lecture.toml"))
    named = re.findall(r"`(training|vectors|model|data)\.(\w+)`", LECTURE)
    assert len(named) > 8
    assert [f"{section}.{key}" for section, key in named if key not in config[section]] == []


def test_the_space_that_the_page_on_tuning_shows_can_be_searched(tmp_path):
    from fenestra.training.config import load_config
    from fenestra.training.tune.space import load_space, standing

    (tmp_path / "space.toml").write_text(re.search(r"```toml\n(.+?)```", TUNING, re.DOTALL)[1], encoding="utf-8")
    job = load_config(ROOT / "training" / "configs" / "sample.toml")
    found = load_space(tmp_path / "space.toml", job)
    assert found.holds(standing(job, found))


def test_the_page_on_tuning_tells_of_every_field_of_the_study_with_its_default():
    from dataclasses import asdict

    from fenestra.training.tune.space import StudyConfig

    told = dict(re.findall(r"^\| `(\w+)` \| (?:`(.+?)`|.+?) \|", TUNING, re.MULTILINE))
    defaults = asdict(StudyConfig())
    assert set(told) == set(defaults)
    shown = {name: str(value).removesuffix(".0") for name, value in defaults.items() if name != "seeds"}
    assert {name: told[name].strip('"') for name in shown} == shown


def test_what_the_page_on_comparing_types_into_python_gives_what_it_shows():
    type_in((ROOT / "docs" / "compare.md").read_text(encoding="utf-8"), "compare.md")


# ── examples ──


def modules_with_examples():
    for folder in ("app", "docs", "fenestra", "model", "training"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE):
                parts = path.relative_to(ROOT).with_suffix("").parts
                package = () if folder in ("docs", "fenestra") else ("fenestra",)
                yield ".".join((*package, *parts)).removesuffix(".__init__")


@pytest.mark.parametrize("name", [*modules_with_examples()])
def test_the_examples_in_docstrings_hold(name):
    module = pytest.importorskip(name, exc_type=ImportError)  # of a tool that is not installed
    assert doctest.testmod(module).failed == 0


# ── the front page ──


def test_what_the_readme_types_into_python_gives_what_it_shows():
    type_in(README, "README.md")


def test_programs_of_the_readme_call_what_exists_with_arguments_that_it_takes():
    programs = [snippet for snippet in SNIPPETS if not snippet.startswith(">>>")]
    calls = [
        call
        for program in programs
        for call in ast.walk(ast.parse(program))
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("fenestra.")
    ]
    assert calls
    for call in calls:
        function = getattr(fenestra, ast.unparse(call.func).removeprefix("fenestra."))
        inspect.signature(function).bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})


def test_the_answer_that_the_readme_shows_is_the_answer():
    (shown,) = re.findall(r"^```json\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    answer = json.loads(shown)
    (asked,) = {json.loads(body)["text"] for body in re.findall(r"-d '(\{\"text\".*\})'", README)}
    tagger = fenestra.load(answer["model"]["name"])
    assert answer["model"]["version"] == tagger.version
    (result,) = answer["results"]
    found = tagger(asked).to_dicts()
    scores = [entity.pop("score") for entity in found]
    assert [entity.pop("score") for entity in result["entities"]] == pytest.approx(scores, abs=1e-4)
    assert result["entities"] == found


def test_the_readme_tells_of_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (table,) = re.findall(r"^\| extra \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(project["optional-dependencies"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_verbs_that_a_document_shows_exist(document):
    """Of the command and of make, where a line of a document is a command."""
    text = document.read_text(encoding="utf-8")
    shown = set(re.findall(r"^(?:    |\$ (?:.*\| )?|`)fenestra (\w[\w-]*)", text, re.MULTILINE))
    assert [verb for verb in shown if main([verb, "--help"]) != 0] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    made = set(re.findall(r"^(?:    |\$ (?:\w+=\S+ )*)make ([\w-]+)", text, re.MULTILINE))
    assert [verb for verb in made if f"\n{verb}:" not in makefile] == []


# ── the maps ──


def test_every_file_of_the_model_has_its_line_in_the_map_of_the_room():
    room = ROOT / "model"
    files = {path.relative_to(room).as_posix() for suffix in ("py", "c", "h") for path in room.rglob(f"*.{suffix}")}
    listed = re.findall(r"`([\w/]+\.(?:py|c|h))`", "\n".join(re.findall(r"^\| (`.*?) \|", MODEL, re.MULTILINE)))
    assert sorted(listed) == sorted(file for file in files if not file.endswith("__init__.py"))


def test_every_document_is_in_the_index():
    targets = re.findall(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)", INDEX)
    linked = {(ROOT / "docs" / target).resolve() for target in targets}
    cards = [*ROOT.glob("data/*/README.md"), *ROOT.glob("data/models/*/README.md")]
    assert {path.resolve() for path in [*DOCUMENTS, *cards]} - {ROOT / "docs" / "index.md"} == linked


def test_every_letter_of_a_shape_is_in_the_glossary_once():
    """Letters of names such as ``log_TK``, in what is compiled and in what is not."""
    (table,) = re.findall(r"^## Letters\n(.*?)^## ", GLOSSARY, re.MULTILINE | re.DOTALL)
    explained = re.findall(r"^\| `([A-Z])` \|", table, re.MULTILINE)
    assert len(set(explained)) == len(explained)
    used = set()
    for room in ("model", "training"):
        for path in (ROOT / room).rglob("*.py"):
            nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
            names = {node.id for node in nodes if isinstance(node, ast.Name)}
            names |= {node.arg for node in nodes if isinstance(node, ast.arg)}
            names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            used |= {letter for name in names for letter in axes(name)}
        for path in (ROOT / room).rglob("*.c"):
            used |= {letter for name in re.findall(r"\b[a-z]\w*\b", path.read_text("utf-8")) for letter in axes(name)}
    assert sorted(used - set(explained)) == []


def axes(name):
    """The letters that a name of lower-case words ends in."""
    match = re.fullmatch(r"_?[a-z][a-z0-9]*(?:_[a-z0-9]+)*_([A-Z0-9]{1,4})", name)
    return re.findall(r"[A-Z]", match[1]) if match and not name.startswith("bit_") else []
