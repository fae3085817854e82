"""How Sphinx builds the site: ``sphinx-build -W docs site``, or ``nox -s docs``. Nothing is fetched from elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import lrpfast

sys.path.insert(0, str(Path(__file__).parent))

project = "lrpfast"
author = "the lrpfast authors"
release = version = lrpfast.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generate"]
exclude_patterns = ["examples/*.py"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "none"  # docstrings name types together with shapes and units
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False
default_role = "py:obj"

html_theme = "furo"
html_title = "lrpfast"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
