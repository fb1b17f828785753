"""Formulas as MathML, which browsers draw by themselves: no script, no font from elsewhere."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator


def _inline(writer: HTML5Translator, node) -> None:  # noqa: ANN001 - docutils' own
    writer.body.append(convert(node.astext()))
    raise SkipNode


def _display(writer: HTML5Translator, node) -> None:  # noqa: ANN001
    number = get_node_equation_number(writer, node) if node["number"] else ""
    label = f'<span class="eqno">({number})</span>' if number else ""
    writer.body.append(f'<div class="math">{label}{convert(node.astext(), display="block")}</div>\n')
    raise SkipNode


def add_renderer(app: Sphinx) -> None:
    """Tell Sphinx of the renderer, as ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
