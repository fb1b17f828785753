"""The table of integrations: its rows, its texts, and what one command makes of what the modules print."""

import sys

import pytest

from benchmarks.integrations import __main__ as table
from benchmarks.integrations import rows
from benchmarks.integrations.rows import Row, lines_of, some_texts


def test_a_row_is_a_line_of_the_table():
    row = Row("DuckDB", "2.0", "`SELECT`", 40_000, True, "+1 %", 58)
    assert str(row) == "| DuckDB | 2.0 | `SELECT` | 40,000 | yes | +1 % | 58 |"
    assert str(row).count("|") == rows.HEADER.splitlines()[0].count("|")


def test_lines_are_those_that_are_not_empty():
    one, both = lines_of("benchmarks/integrations/rows.py"), lines_of("benchmarks/integrations")
    source = (rows.ROOT / "benchmarks" / "integrations" / "rows.py").read_text(encoding="utf-8")
    assert one == len([line for line in source.splitlines() if line.strip()])
    assert both > one


def test_texts_are_of_the_sample_where_there_is_no_collection(monkeypatch, capsys):
    monkeypatch.setattr(rows, "english", lambda *_: "no collection")
    texts = some_texts(50, words=7)
    assert "no collection; taking data/sample/train.conll" in capsys.readouterr().out
    assert len(texts) == len(set(texts)) == 50
    assert {len(text.split(" ")) for text in texts} == {7}


class TestTheCommand:
    @pytest.fixture
    def printed(self, tmp_path, monkeypatch):
        """Makes what each module prints, and with which code it ends."""

        def module(name, text, code=0):
            script = tmp_path / name
            script.write_text(f"#!{sys.executable}\nprint({text!r})\nraise SystemExit({code})\n")
            script.chmod(0o755)

        monkeypatch.setattr(table, "interpreter", lambda name: tmp_path / name)
        return module

    def run(self, monkeypatch, capsys, *words):
        monkeypatch.setattr(sys, "argv", ["table", *words])
        return table.main(), capsys.readouterr()

    def test_rows_of_all_modules_that_are_installed_are_joined(self, printed, monkeypatch, capsys, tmp_path):
        printed("dataframes", "plain 1.7 s\n| DuckDB | yes |\n| Polars | yes |")
        printed("mcp", "| MCP | yes |")
        code, told = self.run(monkeypatch, capsys, "--output", str(tmp_path / "table.md"))
        assert (code, told.out) == (0, f"{rows.HEADER}\n| DuckDB | yes |\n| Polars | yes |\n| MCP | yes |\n")
        assert (tmp_path / "table.md").read_text() == told.out
        assert "spark: not installed; make test-integrations INTEGRATIONS=spark\n" in told.err

    @pytest.mark.parametrize(("text", "code"), [("| MCP | NO |", 0), ("| MCP | yes |", 1), ("nothing", 0)])
    def test_it_fails_with_a_module_and_where_entities_differ(self, printed, monkeypatch, capsys, text, code):
        printed("dataframes", "| DuckDB | yes |")
        printed("mcp", text, code)
        assert self.run(monkeypatch, capsys)[0] == 1

    def test_it_fails_where_nothing_is_installed(self, monkeypatch, capsys, tmp_path):
        monkeypatch.setattr(table, "interpreter", lambda name: tmp_path / name)
        assert self.run(monkeypatch, capsys, "mcp")[0] == 1

    def test_a_name_that_there_is_not_is_told(self, monkeypatch, capsys):
        with pytest.raises(SystemExit):
            self.run(monkeypatch, capsys, "excel")
        assert "excel: expected names of " in capsys.readouterr().err
