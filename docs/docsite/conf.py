# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site. ./dev docs lays its source out in .cache/docs/source and builds it from there."""

from __future__ import annotations

import pathlib
import zlib

project = "netboot.syncer"
copyright = "Netboot Syncer contributors"  # noqa: A001
extensions = [
    "myst_parser",
    "sphinx.ext.graphviz",
    "sphinx.ext.intersphinx",
    "sphinx_antsibull_ext",
    "sphinx_copybutton",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
root_doc = "index"
nitpicky = True
graphviz_output_format = "svg"

# Quotes, but no dashes: two hyphens begin an option.
smartquotes_action = "qe"

html_theme = "furo"
html_title = "netboot.syncer"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}


def _labels_of_ansible() -> str:
    """Write an inventory of the little of Ansible's own documentation that is used, so that no network is needed."""
    here = pathlib.Path(__file__).parent
    lines = [line for line in (here / "ansible-labels.txt").read_text().splitlines() if line and line[0] != "#"]
    parts = (line.split(" ", 3) for line in lines)
    body = "".join(f"{name} std:{kind} -1 {page} {title}\n" for kind, name, page, title in parts)
    made = here / "ansible-labels.inv"
    made.write_bytes(
        b"# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n"
        b"# The remainder of this file is compressed using zlib.\n" + zlib.compress(body.encode())
    )
    return str(made)


intersphinx_mapping = {"ansible": ("https://docs.ansible.com/ansible/latest", _labels_of_ansible())}
