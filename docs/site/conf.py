"""Sphinx's settings for the documentation site; docs/site/build.py copies this file beside the pages."""

from typing import Any

from sphinx.application import Sphinx

from docs.site.docstrings import restructured

project = "kshot"
copyright = "the kshot maintainers, Apache-2.0"
extensions = ["myst_nb", "sphinx.ext.autodoc"]
nb_execution_mode = "off"  # the notebooks are stored with what they print; tests/journeys runs them
nb_ipywidgets_js = {}  # no load from elsewhere
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4  # `[...](../README.md#omniglot)` is checked
html_theme = "furo"
html_title = "kshot"
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
smartquotes = False  # `--skip` is no dash
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88


def docstring(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring of this package, which is plain text, into what Sphinx reads."""
    lines[:] = restructured(lines)


def skip(app: Sphinx, what: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out the fields of a NamedTuple: its signature names them, and Python writes "Alias for field number 0"."""
    return True if str(getattr(value, "__doc__", "")).startswith("Alias for field number") else None


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-skip-member", skip)
