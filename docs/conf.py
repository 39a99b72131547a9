"""Sphinx configuration: MyST Markdown, furo, every warning an error (tools/docs.sh)."""

from agent import __version__

project = "Doorstile"
author = "The Doorstile maintainers"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.githubpages"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Doorstile {release}"
