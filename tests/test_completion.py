"""What a Tab gives: asked of the real shells, as far as they are installed."""

import os
import shutil
import subprocess
import sys

import pytest

from fenestra.cli.completion import SHELLS
from tests.conftest import ROOT

pytest.importorskip("argcomplete", reason="needs the extra `completion`")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with files to be completed, and the command on the path."""
    folder = tmp_path_factory.mktemp("completion")
    for name in ("notes.txt", "job.toml", "bin/fenestra", "nets/manifest.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    launch = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
    (folder / "bin" / "fenestra").write_text(f"{launch}from fenestra.cli.main import main\nsys.exit(main())\n")
    (folder / "bin" / "fenestra").chmod(0o755)
    return folder


def ask(shell, script, place):
    """What a shell prints for a script."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(place)}
    command = [shell, *(["-f"] if shell == "zsh" else []), "-c", script]
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, check=True, timeout=60
    ).stdout.decode()  # fmt: skip


BASH = """\
eval "$(fenestra completion bash)"
complete_line() {
    COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMPREPLY=()
    read -ra COMP_WORDS <<< "$1"
    [[ $1 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _python_argcomplete fenestra "${COMP_WORDS[COMP_CWORD]}" ""
    printf '%s|' "${COMPREPLY[@]}"; echo
}
"""

LINES = {
    "fenestra ta": ["tag"],
    "fenestra data ": ["fetch", "check", "convert", "split"],
    "fenestra tag --output-f": ["--output-folder", "--output-format"],
    "fenestra tag --output-format ": ["conll", "jsonl"],
    "fenestra tag --model rus": ["russian"],
    "fenestra serve --model ": ["bin/", "english", "nets/", "russian"],
    "fenestra tag no": ["notes.txt"],
    "fenestra tag --labels PER,": ["PER,LOC", "PER,ORG"],
    "fenestra train jo": ["job.toml"],
    "fenestra train job.toml training.epo": ["training.epochs="],
    "fenestra data fetch conll": ["conll2003"],
    "fenestra completion f": ["fish"],
}


def test_a_tab_in_bash_completes(place):
    script = BASH + "".join(f'complete_line "{line}"\n' for line in LINES)
    given = [sorted(word.strip() for word in line.split("|")[:-1]) for line in ask("bash", script, place).splitlines()]
    assert dict(zip(LINES, given, strict=True)) == {line: sorted(words) for line, words in LINES.items()}


def test_a_tab_in_fish_completes(place):
    script = "fenestra completion fish | source\ncomplete -C 'fenestra ta'\ncomplete -C 'fenestra tag --model rus'\n"
    assert [line.split("\t")[0].strip() for line in ask("fish", script, place).splitlines()] == ["tag", "russian"]


def test_zsh_takes_its_script(place):
    script = 'autoload -U compinit; compinit -u\neval "$(fenestra completion zsh)"\nprint ${_comps[fenestra]}\n'
    assert ask("zsh", script, place).split() == ["_python_argcomplete"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script(shell, place):
    script = f"fenestra completion {shell}"
    assert "_ARGCOMPLETE" in ask("sh", script, place)
