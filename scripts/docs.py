"""Lay out the source of the documentation site: pages written by hand, and those that are generated from the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.netboot.syncer.plugins.module_utils import states

from scripts import messages

SITE = Path("docs/docsite")
PLAYBOOKS = Path("playbooks")
# Imported by the others, and no playbook of its own.
INTERNAL = {"fleet.yml"}
CONTENTS = re.compile(r"^\.\. contents::\n(?: +.*\n)*", re.MULTILINE)
# In the comments of playbooks: options, variables with their values, files.
LITERAL = re.compile(
    r"(?<![\w/`-])(?:-e netboot_\w+=\S+?(?=[,.;:]?(?:\s|$))|--[a-z][a-z-]*|netboot_\w+(?:=\w+)?"
    r"|(?:\w+/)+\w+\.(?:md|yml)|[A-Z]+_[A-Z_]+)"
)
LABEL = re.compile(r"^(    )((\w+)_(module|filter|inventory|role))$", re.MULTILINE)
MERMAID = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)


def pages() -> list[Path]:
    """The documents of the checkout that become pages of the site unchanged, and what they embed."""
    found = [Path(name) for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    found += [
        Path(name)
        for name in ("CODE_OF_CONDUCT.md", "MAINTAINERS.md", "SECURITY.md", "RELIABILITY.md", "PERFORMANCE.md")
    ]
    found += [path for path in Path("docs").rglob("*") if path.is_file() and SITE not in path.parents]
    return sorted(found + list(Path("roles").glob("*/README.md")))


def dot(found: re.Match[str]) -> str:
    """A picture of the rooms for Graphviz: the subset of mermaid's language that ``scripts/rooms.py`` writes."""
    lines = ["```{graphviz}", ":alt: The rooms of the code, and what each imports.", "digraph rooms {"]
    lines.append('  node [fontname="sans-serif" fontsize=11 shape=box style="rounded,filled" fillcolor="#eef4fb"]')
    for line in found.group(1).splitlines():
        text = line.strip()
        if text.startswith("subgraph"):
            lines.append("  { rank=same;")
        elif text == "end":
            lines.append("  }")
        elif "-->" in text:
            lines.append(f"  {text.replace('-->', '->')};")
        elif text and not text.startswith("graph"):
            lines.append(f"  {text.partition('[')[0]};")
    return "\n".join([*lines, "}", "```"])


def states_page() -> str:
    """The states of images and files, as the code has them, and what it calls them where."""
    lines = ["# States", "", "The states of images and files after a run. The texts are those of the code.", ""]
    lines += ["| state | in a line | with `--check` | column of the table |", "|---|---|---|---|"]
    for state in states.IN_A_LINE:
        rare = ", only where there is any" if state.rare else ""
        lines.append(f"| `{state.name}` | {state.done} | {state.would} | `{state.column}`{rare} |")
    explained = ", ".join(f"`{state.name}`" for state in states.IN_A_LINE if state.explained)
    lines += ["", f"Each reason for {explained} is given below the table. [](/concepts.md) explains them.", ""]
    return "\n".join(lines)


def prose(comment: list[str]) -> list[str]:
    """A comment as Markdown: indented lines are commands, and literals elsewhere are marked as such."""
    lines: list[str] = []
    for line in comment:
        command = line.startswith("  ")
        if lines and line and command is not lines[-1].startswith("  ") and lines[-1]:
            lines.append("")
        lines.append(f"    {line.strip()}" if command else LITERAL.sub(r"`\g<0>`", line))
    return lines


def playbook(path: Path) -> list[str]:
    """A playbook: its first comment, the names of its plays, its tags."""
    text = path.read_text(encoding="utf-8").removeprefix("---\n")
    head = [
        line.removeprefix("#").removeprefix(" ") for line in text.split("\n- ", 1)[0].splitlines() if line[:1] == "#"
    ]
    if not head:
        raise SystemExit(f"{path}: it has no comment at its head that says what it does")
    plays: list[dict[str, Any]] = yaml.safe_load(text)
    lines = [
        f"## {path.stem}",
        "",
        f"    ansible-playbook netboot.syncer.{path.stem} -i hosts.yml",
        "",
        *prose(head),
        "",
    ]
    lines += ["Its plays, in order:", ""]
    for number, play in enumerate(plays, 1):
        imported = play.get("ansible.builtin.import_playbook", "")
        tags = play.get("tags", [])
        told = f" (`{imported}`)" if imported else ""
        told += f" — tag `{', '.join([tags] if isinstance(tags, str) else tags)}`" if tags else ""
        lines.append(f"{number}. {play['name']}{told}")
    return [*lines, ""]


def playbooks_page() -> str:
    """All playbooks, generated from their content."""
    lines = ["# Playbooks", "", "All take `--limit`, `--check`, `--diff` and `-e`. `netboot_fleet` names the group", ""]
    lines[2] += " that they work on (`caching_servers`)."
    for path in sorted(PLAYBOOKS.glob("*.yml")):
        if path.name not in INTERNAL:
            lines += playbook(path)
    return "\n".join(lines)


def in_the_site(text: str) -> str:
    """Return a document with its links to the site's own pages as they are there: at its root."""
    return text.replace(f"]({SITE}/", "](")


def lay_out(stage: Path) -> None:
    """Rebuild the source of the site."""
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(SITE, stage)
    for path in pages():
        (stage / path).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = in_the_site(path.read_text(encoding="utf-8"))
            (stage / path).write_text(MERMAID.sub(dot, text), encoding="utf-8")
        else:
            shutil.copy(path, stage / path)
    (stage / "reference" / "states.md").write_text(states_page(), encoding="utf-8")
    (stage / "reference" / "playbooks.md").write_text(playbooks_page(), encoding="utf-8")
    (stage / "troubleshooting.md").write_text(messages.page(), encoding="utf-8")
    collection = stage / "reference" / "collection"
    collection.mkdir()
    command = ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"]
    subprocess.run([*command, "--dest-dir", str(collection), "netboot.syncer"], check=True)
    # The theme shows the contents of a page at its side.
    for path in collection.glob("*.rst"):
        text = path.read_text(encoding="utf-8")
        text = CONTENTS.sub("", text)
        if path.stem == "index":
            # The full title, which begins with the collection's name, is too long for the side of a page.
            text = LABEL.sub(r"\1\3 (\4) <\2>", text).replace(" -- ", " \N{EN DASH} ")
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
