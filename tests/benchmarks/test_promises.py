"""The page of promises is what its commands said."""

import re

from benchmarks import promises
from benchmarks.promises import PAGE, PROMISES, Promise, read_rows, run, write_rows


def test_the_page_has_rows_of_promises_with_the_commands_that_gave_them():
    rows = read_rows(PAGE)
    assert rows
    for name in rows:
        promise = PROMISES[name]
        assert f"`python -m benchmarks.{promise.command.partition(' {}')[0]}" in rows[name]
        assert re.search(r"\| \d{4}-\d\d-\d\d, \d+ × .+ \|$", rows[name])


def test_a_row_is_what_the_command_printed():
    row, kept = run("x", Promise("counts", "promises --help", 0, 0, r"--long +.*"), 1)
    assert kept
    assert "--long in full length" in row
    assert "| yes |" in row


def test_a_command_that_fails_breaks_its_promise():
    row, kept = run("x", Promise("counts", "promises --nonsense", 0, 0, "figure"), 1)
    assert not kept
    assert "**no**" in row
    assert "unrecognized arguments" in row


def test_rows_that_are_not_run_again_stay(tmp_path):
    page = tmp_path / "promises.md"
    first, second = list(PROMISES)[:2]
    write_rows(page, {second: f"| {second} | b |", first: f"| {first} | a |"})
    rows = read_rows(page)
    assert list(rows) == [first, second]
    assert rows[second] == f"| {second} | b |"
    assert promises.machine()
