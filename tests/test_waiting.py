"""A wait of more than a second shows on a terminal, and nowhere else."""

import io
import time
import types

import pytest

from fenestra.cli import shell, waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


def put(monkeypatch, stream):
    """Let a stream be standard error; pytest would put its own there again between a fixture and its test."""
    for module in (waiting, shell):
        monkeypatch.setattr(module, "sys", types.SimpleNamespace(stderr=stream))


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal, and patience for a hundredth of a second."""
    stream = Terminal()
    put(monkeypatch, stream)
    monkeypatch.setattr(waiting, "_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "_STEP_SECONDS", 0.01)
    return stream


def until_shown(stream, text):
    for _ in range(1000):
        if text in stream.getvalue():
            return
        time.sleep(0.01)
    raise AssertionError(stream.getvalue())


def screen(stream):
    """What stands on the line in the end."""
    return stream.getvalue().rpartition("\x1b[K")[2]


def test_a_wait_is_shown_and_gone_when_it_is_over(terminal):
    with waiting.waiting("reading vectors"):
        until_shown(terminal, "reading vectors … 0 s")
    assert screen(terminal) == ""


def test_the_next_wait_takes_the_place_of_the_one_before(terminal):
    with waiting.waiting("reading") as wait:
        until_shown(terminal, "reading …")
        wait.begin("scoring")
        until_shown(terminal, "scoring …")
        assert screen(terminal).startswith("scoring")
        wait.end()
        assert screen(terminal) == ""


def test_a_message_meanwhile_has_a_line_of_its_own(terminal):
    with waiting.waiting("reading"):
        until_shown(terminal, "reading …")
        shell.complain("odd", code=0)
    assert "\r\x1b[Kfenestra: odd\n" in terminal.getvalue()


def test_a_wait_that_fails_is_over_too(terminal):
    def fail():
        until_shown(terminal, "reading …")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), waiting.waiting("reading"):
        fail()
    assert screen(terminal) == ""


def test_what_is_over_at_once_shows_nothing(terminal, monkeypatch):
    monkeypatch.setattr(waiting, "_PATIENCE_SECONDS", 60)
    with waiting.waiting("reading"):
        pass
    assert terminal.getvalue() == ""


def test_where_there_is_no_terminal_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(waiting, "_PATIENCE_SECONDS", 0.001)
    stream = io.StringIO()
    put(monkeypatch, stream)
    with waiting.waiting("reading") as wait:
        assert wait._counter is None
        time.sleep(0.02)
    assert stream.getvalue() == ""
