"""What is written to stay is there whole, and for whom it is meant."""

import stat

import pytest

from fenestra.model.errors import StorageError
from fenestra.model.storage import replace_durably


def test_a_file_is_put_in_the_place_of_another_one_for_those_who_may_read_it(tmp_path):
    path = tmp_path / "notes.txt"
    replace_durably(path, b"one")
    replace_durably(path, b"two", mode=0o600)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_a_draft_that_a_killed_process_left_is_gone_with_the_next_one(tmp_path):
    (tmp_path / "notes.txt.new").write_bytes(b"half of a secr")
    replace_durably(tmp_path / "notes.txt", b"one")
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_where_the_disk_refuses_the_file_before_stays(tmp_path):
    path = tmp_path / "folder"
    (path / "inner").mkdir(parents=True)
    with pytest.raises(StorageError, match="folder: "):
        replace_durably(path, b"one")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
