"""A run that was killed goes on: no line lost or doubled, and nothing of another run is mixed in."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from fenestra.cli import tag as tagging
from fenestra.cli.bulk.writing import Wanted
from fenestra.cli.tag import tag_files
from fenestra.model.errors import DataError, InputError, StorageError

LETTERS = [f"Anna Berg number {number} met Tom Kerr in Oslo.\n" for number in range(60)]
GOES_ON = "going on with what an earlier run has left"


class Stop(Exception):
    """Ends a run."""


@pytest.fixture
def stop_after(monkeypatch):
    """Let the work end at a unit; gives a list of what was tagged."""
    real, tagged = tagging.tag_chunk, []

    def start(count):
        tagged.clear()

        def tag_chunk(tagger, job, chunk, between):
            if len(tagged) == count:
                raise Stop
            tagged.append(chunk.data)
            return real(tagger, job, chunk, between)

        monkeypatch.setattr(tagging, "tag_chunk", tag_chunk)
        return tagged

    return start


@pytest.fixture
def run(english, tmp_path):
    """Tag a.txt, or what is named, to a file; gives what was noted."""

    def start(*names, **options):
        notes = []
        names = names or ("a.txt",)
        options = {"output": tmp_path / "out", "note": notes.append, **options}
        try:
            tag_files(english, [str(tmp_path / name) for name in names], **options)
        except Stop:
            notes.append("stopped")
        return [note for note in notes if not note.startswith("what is finished is kept")]

    return start


@pytest.fixture
def expected(english, tmp_path):
    """What a run writes that nothing has disturbed."""

    def start(**options):
        tag_files(english, [str(tmp_path / "a.txt")], output=tmp_path / "whole", **options)
        found = (tmp_path / "whole").read_bytes()
        (tmp_path / "whole").unlink()
        return found

    return start


@pytest.fixture(autouse=True)
def _small(small_units, tmp_path):
    (tmp_path / "a.txt").write_text("".join(LETTERS))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_goes_on_with_the_units_that_are_missing(run, stop_after, expected, tmp_path, workers):
    whole = expected()
    stop_after(5)
    assert run() == ["stopped"]
    assert not (tmp_path / "out").exists()
    tagged = stop_after(10_000)
    assert run(workers=workers, method="fork" if sys.platform == "linux" else None) == [GOES_ON]
    assert (tmp_path / "out").read_bytes() == whole
    if workers == 1:
        lines = b"".join(tagged).decode().splitlines(keepends=True)
        assert lines == LETTERS[-len(lines) :]
        assert len(lines) < len(LETTERS) - 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "out"]


def test_it_may_be_stopped_again_and_again(run, stop_after, expected, tmp_path):
    whole, times = expected(), 0
    while not (tmp_path / "out").exists():
        stop_after(2)
        run()
        times += 1
    assert times > 4
    assert (tmp_path / "out").read_bytes() == whole


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"output_format": "conll"}, "options"),
        ({"wanted": Wanted(frozenset(["PER"]))}, "options"),
        ({"wanted": Wanted(None, 0.9)}, "options"),
        ({"entities_key": "found"}, "options"),
        ({"max_bytes": 1000}, "options"),
        ({"unit": "paragraph"}, "options"),
    ],
)
def test_with_other_options_it_says_so_and_starts_over(run, stop_after, expected, tmp_path, options, what):
    whole = expected(**options)
    stop_after(5)
    run()
    tagged = stop_after(10_000)
    assert run(**options) == [f"what an earlier run left was made with other {what}; starting over"]
    assert b"".join(tagged).decode() == "".join(LETTERS)
    assert (tmp_path / "out").read_bytes() == whole


@pytest.mark.parametrize(
    ("attribute", "other", "what"), [("version", "0" * 12, "another model"), ("cache_numbers", "int8", "other options")]
)
def test_with_another_model_it_says_so_and_starts_over(
    english, run, stop_after, expected, tmp_path, monkeypatch, attribute, other, what
):
    whole = expected()
    stop_after(5)
    monkeypatch.setattr(english, attribute, other)
    run()
    monkeypatch.undo()
    tagged = stop_after(10_000)
    assert run() == [f"what an earlier run left was made with {what}; starting over"]
    assert (tmp_path / "out").read_bytes() == whole
    assert isinstance(tagged, list)


@pytest.mark.parametrize("line", [0, 30, 59])
def test_lines_that_changed_meanwhile_are_tagged_anew(run, stop_after, expected, tmp_path, line):
    stop_after(12)
    run()
    changed = [*LETTERS]
    changed[line] = "Mary Shelley lived in Geneva.\n"
    (tmp_path / "a.txt").write_text("".join(changed))
    stop_after(10_000)
    run()
    assert (tmp_path / "out").read_bytes() == expected()


def test_a_file_that_grew_or_was_joined_by_another_is_no_mixture(english, run, stop_after, tmp_path):
    stop_after(12)
    run()
    (tmp_path / "0.txt").write_text("Oslo\n")
    stop_after(10_000)
    run("0.txt", "a.txt")
    tag_files(english, [str(tmp_path / "0.txt"), str(tmp_path / "a.txt")], output=tmp_path / "whole")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_file_that_was_only_touched_goes_on(run, stop_after, tmp_path):
    stop_after(5)
    run()
    os.utime(tmp_path / "a.txt", (1, 1))
    stop_after(10_000)
    assert run() == [GOES_ON]


@pytest.mark.parametrize("damage", ["cut", "emptied", "garbled", "gone", "swapped"])
def test_what_is_damaged_on_disk_is_tagged_anew(run, stop_after, expected, tmp_path, damage):
    whole = expected()
    stop_after(6)
    run()
    first, second = sorted(tmp_path.glob(".out.parts/*/0*"))[:2]
    data = first.read_bytes()
    if damage == "gone":
        first.unlink()
    elif damage == "swapped":
        first.write_bytes(second.read_bytes())
    else:
        first.write_bytes({"cut": data[:-5], "emptied": b"", "garbled": b"[1]\n" + data}[damage])
    stop_after(10_000)
    run()
    assert (tmp_path / "out").read_bytes() == whole


def test_drafts_that_were_left_are_in_nobodys_way(run, stop_after, expected, tmp_path):
    whole = expected()
    stop_after(6)
    run()
    (folder,) = [path for path in (tmp_path / ".out.parts").iterdir() if path.is_dir()]
    (folder / f".00000007.{os.getpid()}").write_text("half")
    stop_after(10_000)
    run()
    assert (tmp_path / "out").read_bytes() == whole


def test_a_bad_line_keeps_what_came_before_it_until_it_is_mended(english, tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": line}) for line in LETTERS]
    path.write_text("\n".join([*lines[:40], "{", *lines[40:]]))
    notes = []
    with pytest.raises(DataError, match=r"a\.jsonl:41: not JSON"):
        tag_files(english, [str(path)], output=tmp_path / "out", note=notes.append)
    assert len(notes) == 1
    path.write_text("\n".join([*lines[:40], "", *lines[40:]]))
    tag_files(english, [str(path)], output=tmp_path / "out", note=notes.append)
    assert notes[1:] == [GOES_ON]
    tag_files(english, [str(path)], output=tmp_path / "whole")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


def test_what_went_on_after_bad_lines_is_refused_where_they_are_not_wanted(english, tmp_path, stop_after):
    path = tmp_path / "a.jsonl"
    path.write_text("{\n" + "\n".join(json.dumps({"text": line}) for line in LETTERS))
    stop_after(5)
    with pytest.raises(Stop):
        tag_files(english, [str(path)], output=tmp_path / "out", bad_lines=tmp_path / "bad")
    stop_after(10_000)
    with pytest.raises(DataError, match=r"a\.jsonl:1: not JSON"):
        tag_files(english, [str(path)], output=tmp_path / "out")
    assert tag_files(english, [str(path)], output=tmp_path / "out", bad_lines=tmp_path / "bad") == 1
    assert json.loads((tmp_path / "bad").read_text())["line"] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="nothing keeps runs apart there")
def test_two_runs_do_not_write_the_same_output(english, run, stop_after, tmp_path, monkeypatch):
    import fcntl

    monkeypatch.setattr("fenestra.cli.bulk.resume._LOCK_SECONDS", 0.2)
    stop_after(3)
    run()
    with (tmp_path / ".out.parts" / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another run is writing the same output"):
            tag_files(english, [str(tmp_path / "a.txt")], output=tmp_path / "out")
    stop_after(10_000)
    assert run() == [GOES_ON]


def test_a_folder_goes_on_with_the_files_that_are_missing(english, stop_after, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.txt").write_text("".join(LETTERS[number * 7 : number * 7 + 7]))
    tag_files(english, [str(folder)], output_folder=tmp_path / "whole")
    tagged = stop_after(9)
    with pytest.raises(Stop):
        tag_files(english, [str(folder)], output_folder=tmp_path / "out")
    there = sorted(path.name for path in (tmp_path / "out").glob("*.jsonl"))
    assert 0 < len(there) < 8
    first = len(tagged)
    tagged = stop_after(10_000)
    (tmp_path / "out" / there[0]).unlink()  # somebody took one away meanwhile
    tag_files(english, [str(folder)], output_folder=tmp_path / "out")
    assert len(tagged) < first * 3
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert not (tmp_path / "out" / ".fenestra.parts").exists()


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write anywhere")
def test_an_output_that_cannot_be_written_is_refused_before_the_work(english, tmp_path, stop_after):
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(0o444)
    tagged = stop_after(10_000)
    with pytest.raises(StorageError, match="denied"):
        tag_files(english, [str(tmp_path / "a.txt")], output=tmp_path / "out")
    assert tagged == []


def finished_units(folder):
    return len(list(folder.glob(".out.parts/*/0*")))


def wait_for(condition, seconds=240):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("workers", [[1, 2, 1], [2, 2, 3]])
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(large, process, tmp_path, workers):
    path, expected = large
    rng = random.Random(sum(workers))
    for count in workers:
        before = finished_units(tmp_path)
        started = process(path, "-o", tmp_path / "out", "--workers", count)
        wait_for(lambda: finished_units(tmp_path) > before or started.poll() is not None)  # noqa: B023
        time.sleep(rng.uniform(0, 0.3))
        started.kill()
        started.wait()
        if (tmp_path / "out").exists():  # complete or not there
            assert (tmp_path / "out").read_bytes() == expected.read_bytes()
    last = process(path, "-o", tmp_path / "out", "--workers", 2)
    _, err = last.communicate(timeout=300)
    assert last.returncode == 0, err
    assert (tmp_path / "out").read_bytes() == expected.read_bytes()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.txt", "out"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_workers_of_a_run_that_is_killed_end_too(large, process, tmp_path):
    started = process(large[0], "-o", tmp_path / "out", "--workers", 2)
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    wait_for(lambda: len(children.read_text().split()) == 2)
    found = [Path("/proc") / pid for pid in children.read_text().split()]
    started.kill()
    started.wait()
    wait_for(lambda: not any(path.exists() and "Z" not in (path / "stat").read_text() for path in found), 20)


def test_an_interrupted_run_keeps_what_is_finished(large, process, tmp_path):
    path, expected = large
    started = process(path, "-o", tmp_path / "out", "--workers", 2)
    wait_for(lambda: finished_units(tmp_path) > 0)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=300)
    assert started.returncode == 130
    assert err.decode().splitlines()[-2:] == [
        f"fenestra: what is finished is kept in {tmp_path / '.out.parts'}: the same command goes on from there",
        "fenestra: interrupted",
    ]
    again = process(path, "-o", tmp_path / "out", "--workers", 2)
    _, err = again.communicate(timeout=300)
    assert b"fenestra: going on with what an earlier run has left\n" in err
    assert (tmp_path / "out").read_bytes() == expected.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of the system")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_line_and_keeps_what_is_finished(large, process, tmp_path, workers):
    import resource

    path, expected = large
    size = expected.stat().st_size // 2  # units fit, the file that they are joined to does not
    started = process(
        path, "-o", tmp_path / "out", "--workers", workers,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    _, err = started.communicate(timeout=300)
    assert started.returncode == 1
    assert err.decode().splitlines()[-1].startswith(f"fenestra: {tmp_path / 'out'}: File too large; needed ")
    assert not (tmp_path / "out").exists()
    again = process(path, "-o", tmp_path / "out", "--workers", workers)
    _, err = again.communicate(timeout=300)
    assert b"fenestra: going on with what an earlier run has left\n" in err
    assert b"tagged 0 texts" in err
    assert (tmp_path / "out").read_bytes() == expected.read_bytes()


@pytest.mark.usefixtures("small_units")
def test_texts_of_another_script_are_told_though_an_earlier_run_tagged_them(run, stop_after, tmp_path):
    russian = "Анна Соколова переехала из Казани во Владивосток.\n"
    (tmp_path / "a.txt").write_text(russian * 20 + "".join(LETTERS))
    whole = run(output=tmp_path / "whole")
    tagged = stop_after(3)
    run()
    assert tagged
    stop_after(10**6)
    assert run() == [GOES_ON, *whole]
    assert whole[0].startswith("20 texts are mostly Cyrillic")
