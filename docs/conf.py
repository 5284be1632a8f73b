"""How Sphinx builds the documentation; every warning is an error (see the Makefile)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml

from wattmark import __version__

sys.path.insert(0, str(Path(__file__).parent))
import make_options  # beside this file

project = "Wattmark"
project_copyright = "the Wattmark authors"
author = "the Wattmark authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 90
autodoc_default_options = {"members": True}

html_theme = "furo"
html_title = f"Wattmark {version}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_math_renderer = "mathml"
pygments_style = "tango"
pygments_dark_style = "monokai"


def _inline_math(writer: Any, node: nodes.Element) -> None:
    writer.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block_math(writer: Any, node: nodes.Element) -> None:
    writer.body.append(f"<div>{latex2mathml.tex2mathml(node.astext(), as_block=True)}</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Formulas as MathML: pages fetch no script from elsewhere and can be read offline. The options' page is made first."""
    app.connect("builder-inited", lambda _: make_options.write())
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline_math, None), block_renderers=(_block_math, None)
    )
