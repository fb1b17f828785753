"""Where the tool of an integration is not installed, importing what needs it says how to get it."""

import importlib
import sys

import pytest

from fenestra.extras import missing


@pytest.mark.parametrize(
    ("module", "tool", "extra"),
    [
        ("duckdb", "duckdb", "duckdb"),
        ("polars", "polars", "polars"),
        ("spark", "pyspark", "spark"),
        ("mcp.tools", "mcp", "mcp"),
    ],
)
def test_a_tool_that_is_missing_is_named_with_its_extra(module, tool, extra, monkeypatch):
    for name in [name for name in sys.modules if name == tool or name.startswith(f"{tool}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"fenestra.integrations.{module}", raising=False)
    monkeypatch.setitem(sys.modules, tool, None)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(f"fenestra.integrations.{module}")
    way = f"pip install 'fenestra-ner[{extra}]', or in the source folder: pip install '.[{extra}]'"
    assert str(caught.value).startswith(tool)
    assert str(caught.value).endswith(f" is not installed: {way}")


def test_a_module_of_ours_that_is_missing_is_another_matter():
    error = ModuleNotFoundError("No module named 'fenestra.gone'", name="fenestra.gone")
    with pytest.raises(ModuleNotFoundError) as caught:
        missing("duckdb", error)
    assert caught.value is error
