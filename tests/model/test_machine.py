"""How much memory a table may take where nobody says."""

import pytest

from fenestra.model.engine import machine


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Where the system says what it has; a file that is not written is not there."""
    names = ("meminfo", "max", "current", "limit", "usage")
    paths = {name: tmp_path / name for name in names}
    monkeypatch.setattr(machine, "_MEMINFO", paths["meminfo"])
    monkeypatch.setattr(machine, "_LIMITS", ((paths["max"], paths["current"]), (paths["limit"], paths["usage"])))
    return paths


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"meminfo": "MemTotal: 9 kB\nMemAvailable: 4000000 kB\n"}, 4000000 * 1024 / 16e6),
        ({"meminfo": "MemAvailable: 100 kB\n"}, 32),
        ({"meminfo": "MemAvailable: 99000000 kB\n"}, 512),
        ({"meminfo": "MemAvailable: 99000000 kB\n", "max": "3200000000\n", "current": "1600000000\n"}, 100),
        ({"meminfo": "MemAvailable: 99000000 kB\n", "limit": "3200000000", "usage": "1600000000"}, 100),
        ({"meminfo": "MemAvailable: 99000000 kB\n", "max": "max\n", "current": "1600000000\n"}, 512),
        ({"meminfo": "MemAvailable: 99000000 kB\n", "max": "1000", "current": "2000"}, 32),
    ],
    ids=["a sixteenth", "at least", "at most", "container", "container of old", "no limit", "limit exceeded"],
)
def test_a_cache_takes_a_share_of_what_is_left(told, expected, files):
    for name, text in told.items():
        files[name].write_text(text)
    assert machine.usual_cache_mb() == pytest.approx(expected)


def test_where_no_file_tells_the_memory_of_the_machine_counts(files, monkeypatch):
    monkeypatch.setattr(machine.os, "sysconf", {"SC_PHYS_PAGES": 1_000_000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert machine.usual_cache_mb() == pytest.approx(128)
    monkeypatch.setattr(machine.os, "sysconf", lambda name: int("none"))
    assert machine.usual_cache_mb() == 96
