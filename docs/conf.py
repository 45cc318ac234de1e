"""How Sphinx builds the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

from pallets_sphinx_themes import get_version

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "flask-abx"
author = "The flask-abx authors"
copyright = "The flask-abx authors"
release, version = get_version("flask-abx")

extensions = [
    "moves_table",
    "myst_parser",
    "pallets_sphinx_themes",
    "settings_table",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True

# Aliases of types have no page of their own, nor have names of other projects.
nitpick_ignore = [
    ("py:class", name)
    for name in (
        "Action",
        "Durability",
        "FlagValue",
        "Flask",
        "Json",
        "JsonValue",
        "Number",
        "SQLAlchemy",
        "Side",
        "UUID",
    )
]
# The build works without the network, so names of other projects have no target.
nitpick_ignore_regex = [
    (r"py:.*", rf"{package}(\..*)?")
    for package in (
        "blinker",
        "collections",
        "datetime",
        "flask",
        "flask_sqlalchemy",
        "logging",
        "pathlib",
        "pydantic",
        "sqlalchemy",
        "typing",
        "uuid",
        "werkzeug",
    )
]

smartquotes = False
html_theme = "flask"
html_static_path = ["_static"]
html_css_files = ["wrap.css"]
html_title = f"flask-abx {version}"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {
    "index": ["project.html", "localtoc.html", "searchbox.html"],
    "**": ["localtoc.html", "relations.html", "searchbox.html"],
}
