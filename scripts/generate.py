# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate what Ansible wants repeated about options: documentation, argument specs, defaults; ``--check`` compares."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.netboot.syncer.plugins.module_utils.options import ARGUMENTS, BY_NAME, OPTIONS, Option

from scripts import rooms
from scripts.entry_points import ENTRY_POINTS

ROLE = Path("roles/netboot_sync")
ARCHITECTURE = Path("ARCHITECTURE.md")
GALAXY = Path("galaxy.yml")
MAINTAINERS = Path("maintainers.yml")
MADE = "# Made by ./dev generate out of plugins/module_utils/options.py."
WIDTH = 120
# What a module needs to know about the assets tree on the host that it runs on.
TREE = ("src", "marker_names", "pointers")
AUTHOR = "Netboot Syncer contributors (@netboot-syncer)"
MARKUP = re.compile(r"\b[CVOMI]\(([^()]*(?:\([^()]*\)[^()]*)*)\)")


class Dumper(yaml.SafeDumper):
    """Indents lists, as yamllint requires."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Never indentless."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Repeat duplicates instead of using aliases: people read it."""
        return True


def variables() -> list[Option]:
    """The options that the role has a variable for."""
    return [option for option in OPTIONS if option.variable_name]


def role_text(text: str) -> str:
    """A paragraph in which options are called by their variables."""

    def name(found: re.Match[str]) -> str:
        option = BY_NAME.get(found.group(1))
        return f"C({option.variable_name})" if option and option.variable_name else found.group(0)

    return re.sub(r"\bO\((\w+)\)", name, text)


def spec_of(option: Option) -> dict[str, Any]:
    """An option in the argument specs of the role. A path is one on the source, so it is not expanded here."""
    found: dict[str, Any] = {"description": [role_text(text) for text in option.paragraphs], **option.spec()}
    found.pop("no_log", None)
    if option.type == "path":
        found["type"] = "str"
    if option.name == "host_key_checking":  # YAML reads true as a boolean
        found.update(type="raw", default=True)
        del found["choices"]
    if not option.module and option.type == "str":
        found.pop("default", None)  # a template
    if option.version_added:
        found["version_added"] = option.version_added
    return found


def argument_specs() -> str:
    """The role's meta/argument_specs.yml."""
    specs = {}
    for name, point in ENTRY_POINTS.items():
        shared = [option for option in variables() if point.shared is None or option.name in point.shared]
        specs[name] = {
            "short_description": point.short_description,
            "version_added": "1.0.0",
            "description": point.description,
            "author": [AUTHOR],
            "options": {**point.own, **{option.variable_name: spec_of(option) for option in shared}},
        }
    text = yaml.dump({"argument_specs": specs}, Dumper=Dumper, sort_keys=False, width=WIDTH - 10, allow_unicode=True)
    return f"---\n{MADE}\n{text}"


def defaults() -> str:
    """The role's defaults/main.yml; a variable without a default appears as a comment."""
    lines = ["---", MADE, "# All that is to be known of each: ansible-doc -t role netboot.syncer.netboot_sync"]
    for option in variables():
        lines.append("")
        for text in option.paragraphs[:1]:
            plain = MARKUP.sub(r"\1", role_text(text))
            lines += textwrap.wrap(plain, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        spec = spec_of(option)
        value = option.plain_default if not option.module else spec.get("default")
        if value is None:
            lines += [f"# {line}" for line in (f"{option.variable_name}:{option.example}").splitlines()]
        else:
            lines += yaml.dump({option.variable_name: value}, Dumper=Dumper, width=WIDTH, sort_keys=False).splitlines()
    return "\n".join(lines) + "\n"


def fragment() -> str:
    """The documentation fragment of the modules; tools read it without running it, so the text is literal."""
    header = "\n".join(Path(__file__).read_text(encoding="utf-8").splitlines()[:3])
    return (
        f'{header}\n{MADE}\n"""The documentation of the options that modules share."""\n\n'
        "from __future__ import annotations\n\n\n"
        'class ModuleDocFragment:\n    """All options of sync_assets; TREE are those that others share with it."""\n'
        f"{_attribute('DOCUMENTATION', ARGUMENTS)}{_attribute('TREE', TREE)}"
    )


def _attribute(name: str, options: Iterable[str]) -> str:
    found = {"options": {option: BY_NAME[option].documentation() for option in options}}
    text = yaml.dump(found, Dumper=Dumper, sort_keys=False, width=WIDTH - 20, allow_unicode=True)
    return f'\n    {name} = r"""\n{text}"""\n'


def architecture() -> str:
    """The overview for developers, with the picture of the rooms."""
    begin, end = "<!-- rooms -->", "<!-- /rooms -->"
    before, _begin, rest = ARCHITECTURE.read_text(encoding="utf-8").partition(begin)
    return f"{before}{begin}\n```mermaid\n{rooms.picture()}\n```\n{end}{rest.partition(end)[2]}"


def galaxy() -> str:
    """The description of the collection, with the links from maintainers.yml."""
    begin, end = "# <links>", "# </links>"
    before, _begin, rest = GALAXY.read_text(encoding="utf-8").partition(begin)
    note, _line, rest = rest.partition("\n")
    links: dict[str, str] = yaml.safe_load(MAINTAINERS.read_text(encoding="utf-8"))
    lines = "".join(f"{name}: {address}\n" for name, address in links.items())
    return f"{before}{begin}{note}\n{lines}{end}{rest.partition(end)[2]}"


FILES = {
    GALAXY: galaxy,
    Path("plugins/doc_fragments/sync_options.py"): fragment,
    ROLE / "meta" / "argument_specs.yml": argument_specs,
    ROLE / "defaults" / "main.yml": defaults,
    ARCHITECTURE: architecture,
}


def stale() -> list[Path]:
    """The files that differ from what would be generated."""
    return [path for path, make in FILES.items() if path.read_text(encoding="utf-8") != make()]


def main() -> int:
    """Write, or compare."""
    found = stale()
    if "--check" in sys.argv[1:]:
        for path in found:
            sys.stdout.write(f"{path}: it is not what the source says: run ./dev generate\n")
        return 1 if found else 0
    for path in found:
        path.write_text(FILES[path](), encoding="utf-8")
        sys.stdout.write(f"{path}: written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
