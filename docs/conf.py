"""How Sphinx builds the documentation; every warning is an error (see the Makefile)."""

from wattmark import __version__

project = "Wattmark"
project_copyright = "the Wattmark authors"
author = "the Wattmark authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True}

html_theme = "furo"
html_title = f"Wattmark {version}"
html_static_path = ["_static"]
pygments_style = "tango"
pygments_dark_style = "monokai"
