"""`fenestra try`: texts typed or piped, entities in colour or in brackets, and why a word has its tag."""

import io
import os
import select
import subprocess
import sys
import time

import pytest

import fenestra
from fenestra.cli.drawing import hundredths
from fenestra.cli.main import main
from tests.conftest import ROOT

pty = pytest.importorskip("pty", reason="terminals of this kind are not on Windows")
TEXT = "Ada Lovelace moved from London to join Siemens in Munich."
LAUNCH = "import sys; from fenestra.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def talk(monkeypatch, capsys):
    """Pipe lines to the verb; gives the exit code, the lines of standard output and those of standard error."""

    def run(*lines, model="english"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        code = main(["try", "--model", model])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


def test_piped_texts_have_their_entities_in_brackets(talk):
    code, out, err = talk(TEXT, "", "Nobody is here.")
    assert (code, err) == (0, [])
    assert out == [
        "[Ada Lovelace PER 0.92] moved from [London LOC 0.94] to join [Siemens ORG 0.81] in [Munich LOC 0.93].",
        "Nobody is here.",
    ]


def test_a_question_is_answered_with_the_figures_of_the_explanation(talk):
    code, (_, head, *rows), err = talk(TEXT, "?siemens")
    assert (code, err) == (0, [])
    assert head.startswith("Siemens is B-ORG, 0.87; ")
    found = fenestra.load("english").explain(TEXT, 7)
    told = [float(row.replace("█", "").replace("░", "").partition("  (")[0].split()[-1]) for row in rows]
    parts = [*(share.share for share in found.shares), found.bias, found.document]
    assert told[:-1] == pytest.approx(parts, abs=0.01)
    assert told[-1] == round(found.logit, 2)
    assert round(sum(told[:-1]), 2) == told[-1]


def test_another_model_can_be_asked_for(talk):
    code, out, err = talk(":model russian", "Анна Соколова живёт в Казани.")
    assert (code, err) == (0, [])
    assert out[0].startswith("russian ")
    assert out[1].startswith("[Анна Соколова PER ")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([TEXT, "?Muniich"], "did you mean Munich?"),
        (["?Ada"], "there is no text yet"),
        ([":model rusian"], "did you mean russian?"),
    ],
)
def test_what_cannot_be_answered_is_said_and_the_rest_goes_on(talk, lines, said):
    code, out, (line,) = talk(*lines, "London")
    assert code == 2
    assert said in line
    assert out[-1].startswith("[London")


def test_a_text_in_another_script_is_said(talk):
    _, _, (line,) = talk("Анна Соколова живёт в Казани.")
    assert line.endswith("mostly Cyrillic, and this model reads Latin script (en); :model russian reads Cyrillic")


def test_control_characters_do_not_reach_the_terminal(talk):
    _, (line,), _ = talk("Oslo \x1b[31m and \x07 Bergen")
    assert "\x1b" not in line
    assert "\x07" not in line


def test_rounded_shares_add_up_to_the_rounded_sum():
    assert hundredths([1.004, 1.004, 1.004]) == [101, 100, 100]
    assert hundredths([-0.005, 0.012]) == [0, 1]
    assert hundredths([]) == []


def terminal(text, **environment):
    """What a terminal shows when someone types a text and Ctrl-D."""
    leader, follower = pty.openpty()
    variables = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, "try"], cwd=ROOT, stdin=follower, stdout=follower, stderr=follower,
        env={**variables, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(follower)
    shown, typed, until = b"", False, time.monotonic() + 60
    try:
        while time.monotonic() < until and select.select([leader], [], [], 60)[0]:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # Linux says so at the end
                break
            shown += piece
            if not piece:
                break
            if not typed and "› ".encode() in shown:
                os.write(leader, text.encode() + b"\n")
                typed = True
            elif typed and b"LOC 0." in shown:
                os.write(leader, b"\x04")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    return shown.decode(errors="replace")


def test_on_a_terminal_entities_have_colours_and_ctrl_d_ends():
    shown = terminal("London")
    assert "english" in shown
    assert "m London LOC 0." in shown
    assert "\x1b[48;5;" in shown


def test_no_color_is_respected():
    shown = terminal("London", NO_COLOR="1")
    assert "[London LOC 0." in shown
    assert "\x1b[48;5;" not in shown
