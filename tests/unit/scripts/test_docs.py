# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site covers every message, playbook and state of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.module_utils import states

from scripts import docs, messages


def test_every_message_of_the_code_is_explained_and_no_other() -> None:
    explained = [message for entries in messages.explained().values() for message in entries]
    told = messages.told()
    assert not (missing := sorted(set(told) - set(explained))), f"{messages.MEANINGS} has no entry for {missing}"
    assert not (gone := sorted(set(explained) - set(told))), f"{messages.MEANINGS} explains what no code says: {gone}"


def test_the_page_has_what_the_run_says_and_what_it_means() -> None:
    entry = messages.page().split("``the host key of … is not known…``", 1)[1].split("``", 1)[0]
    assert "onboard.yml" in entry
    assert "netboot\\_sync\\_host\\_key\\_checking to accept-new" in entry


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("'plain'", ["plain"]),
        ("f'{a} is no {b!r}'", ["… is no …"]),
        ("'one' if x else 'two'", ["one", "two"]),
        ("f'{a}' + ' tail'", ["… tail"]),
        ("words", []),
    ],
)
def test_texts_of_an_expression(code: str, texts: list[str]) -> None:
    assert list(messages.texts_of(ast.parse(code, mode="eval").body)) == texts


def test_every_playbook_is_in_the_reference_with_what_it_does() -> None:
    page = docs.playbooks_page()
    for path in Path("playbooks").glob("*.yml"):
        assert (f"## {path.stem}\n" in page) == (path.name not in docs.INTERNAL)


def test_links_of_documents_lead_somewhere_in_the_site() -> None:
    there = {path.relative_to(docs.SITE) for path in docs.SITE.rglob("*.md")} | set(docs.pages())
    made = {Path("troubleshooting.md"), Path("reference/states.md"), Path("reference/playbooks.md")}
    for path in docs.pages():
        if path.suffix != ".md" or path.parent != Path():
            continue
        links = re.findall(r"\]\(([^)#:]+\.md)[)#]", docs.in_the_site(path.read_text(encoding="utf-8")))
        assert not [link for link in links if Path(link) not in there | made], path


def test_the_comment_of_a_playbook_is_set_as_what_it_is() -> None:
    comment = ["One of -e netboot_x='a/*'. With --limit, see docs/x.md:", "  ansible-playbook a --limit b", "The rest."]
    assert docs.prose(comment) == [
        "One of `-e netboot_x='a/*'`. With `--limit`, see `docs/x.md`:",
        "",
        "    ansible-playbook a --limit b",
        "",
        "The rest.",
    ]


def test_every_state_is_in_the_reference() -> None:
    for name in states.BY_NAME:
        assert f"| `{name}` |" in docs.states_page()


def test_the_picture_of_the_rooms_becomes_one_for_graphviz() -> None:
    page = docs.MERMAID.sub(docs.dot, Path("ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert "run -> caching_server;" in page
    assert "mermaid" not in page
