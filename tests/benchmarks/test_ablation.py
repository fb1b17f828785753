"""The ablation: its rows are jobs, and its table says what they differ by."""

from pathlib import Path

import pytest

from benchmarks.ablation import Figures, Row, command, rows_of, table
from fenestra.training.config import differences, dump_config, load_config
from tests.conftest import ROOT

RECIPE = ROOT / "training" / "configs" / "conll2003.toml"
ROWS = rows_of(ROOT / "benchmarks" / "ablation.toml")


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_is_a_job_of_its_own(row):
    _, _, _, _, config, *changes, seed, _, _, _ = command(str(RECIPE), row, 7, Path("out"), [])
    assert (config, seed) == (str(RECIPE), "seed=7")
    job, whole = (dump_config(load_config(RECIPE, overrides)) for overrides in (changes, []))
    assert bool(differences(whole, job)) == (row.name != "all")


def test_rows_come_with_what_they_are_compared_with():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {row.beside for row in ROWS} == {"all", "plain"}
    assert names.index("all") < names.index("without topic") < names.index("plain") < names.index("plain with topic")


def test_an_unknown_key_is_refused(tmp_path):
    (tmp_path / "parts.toml").write_text("[plain]\n[parts.x]\nwithin = {}\n")
    with pytest.raises(ValueError, match="within"):
        rows_of(tmp_path / "parts.toml")


def test_the_table_has_means_spreads_and_differences():
    rows = [Row("all", {}, "all"), Row("without x", {}, "all")]
    found = {"all": [Figures(94, 91, 97, 85), Figures(95, 92, 98, 86)], "without x": [Figures(93, 91, 96, 84)]}
    assert table(rows, found).split("\n")[2:] == [
        "| all | 94.50 (94.00 – 95.00) |  | 91.50 (91.00 – 92.00) |  | 97.50 | 85.50 |",
        "| without x | 93.00 (93.00 – 93.00) | -1.50 | 91.00 (91.00 – 91.00) | -0.50 | 96.00 | 84.00 |",
    ]
