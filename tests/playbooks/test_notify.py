# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary of status.yml, sent by the real modules to a mail server and a web server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.netboot.syncer.plugins.action.status_notify import WAYS, secrets

from tests.lab.fleet import CHECKOUT, Fleet, PlaybookRun, SiteSpec
from tests.lab.runs import IMAGE
from tests.playbooks.receivers import Hook, Mail, mail_server, web_hook

COLLECTIONS = CHECKOUT / ".cache" / "collections"
GENERAL = COLLECTIONS / "ansible_collections" / "community" / "general" / "plugins" / "modules"
PASSWORD = "kXq-tief-7731"  # noqa: S105  # not a secret: it goes to a server of the test
TOKEN = "T0QvN9-hook-token"  # noqa: S105

pytestmark = pytest.mark.timeout(300)
general = pytest.mark.skipif(not GENERAL.is_dir(), reason="./dev short fetches the collection community.general")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path / "fleet", [SiteSpec("bern"), SiteSpec("chur")]) as found:
        found.tree.add_kernel()
        found.tree.add_image(IMAGE)
        yield found


@pytest.fixture
def mail() -> Iterator[Mail]:
    with mail_server() as found:
        yield found


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_hook() as found:
        yield found


def by_mail(mail: Mail, **more: Any) -> dict[str, Any]:
    options = {
        "host": "127.0.0.1",
        "port": mail.port,
        "secure": "never",
        "username": "netboot",
        "password": PASSWORD,
        "from": "netboot@example.org",
        "to": ["operators@example.org"],
    }
    return {"netboot_status_summary_mail": {**options, **more}}


def by_hook(hook: Hook, **more: Any) -> dict[str, Any]:
    return {"netboot_status_summary_webhook": {"url": f"http://127.0.0.1:{hook.port}/hooks/{TOKEN}", **more}}


def look(fleet: Fleet, variables: dict[str, Any], *args: str, collections: str = f":{COLLECTIONS}") -> PlaybookRun:
    file = fleet.directory / "summary.yml"
    directory = str(fleet.directory / "status")
    file.write_text(yaml.safe_dump({"netboot_status_directory": directory, **variables}), encoding="utf-8")
    environment = {"ANSIBLE_COLLECTIONS_PATH": f"{CHECKOUT}/.collections{collections}"}
    return fleet.run_playbook("status.yml", "-e", f"@{file}", *args, env=environment)


def flat(run: PlaybookRun) -> str:
    return " ".join(run.output.split())


@general
def test_somebody_is_told_where_a_site_needs_a_look(fleet: Fleet, mail: Mail, hook: Hook) -> None:
    variables = {**by_mail(mail), **by_hook(hook)}
    assert look(fleet, variables).status == 0
    assert (mail.messages, hook.posts) == ([], [])  # both lack an image, but not for long enough yet

    fleet.sites["chur"].server.stop()
    checked = look(fleet, variables, "--check")
    assert checked.status == 0, checked.output
    assert (mail.messages, hook.posts) == ([], [])

    run = look(fleet, variables, "-vvv")
    assert run.status == 0, run.output
    (message,) = mail.messages
    assert message["Subject"] == "netboot: 1 of 2 sites needs a look"
    assert message["Auto-Submitted"] == "auto-generated"
    assert (mail.to, mail.logins) == ([["operators@example.org"]], [("netboot", PASSWORD)])
    body = message.get_body()
    assert body is not None
    text = body.get_content().strip() + "\n"
    assert text.startswith("1 of 2 sites needs a look.\n\nUnreachable:\n- chur, seen last ")
    assert "refused the connection" in text
    assert "The others: 1 behind." in text
    assert hook.posts == [(f"/hooks/{TOKEN}", {"text": text})]
    assert PASSWORD not in run.output
    assert TOKEN not in run.output


@general
def test_only_what_is_new_is_told(fleet: Fleet, mail: Mail) -> None:
    variables = {**by_mail(mail), "netboot_status_summary": "changed"}
    subjects = ["netboot: 1 of 2 sites needs a look", "netboot: 2 sites: 2 behind; none needs a look"]
    assert look(fleet, variables).status == 0
    fleet.sites["chur"].server.stop()
    for _time in range(2):
        assert look(fleet, variables).status == 0
        assert [one["Subject"] for one in mail.messages] == subjects[:1]
    fleet.sites["chur"].server.start()
    for _time in range(2):
        assert look(fleet, variables).status == 0
        assert [one["Subject"] for one in mail.messages] == subjects


def test_always_with_a_body_of_ones_own(fleet: Fleet, hook: Hook) -> None:
    assert fleet.run_playbook("sync.yml").status == 0
    body = {"content": "netboot: @SUMMARY@", "silent": True}
    variables = {**by_hook(hook, body=body), "netboot_status_summary": "always"}
    run = look(fleet, variables, collections="")
    assert run.status == 0, run.output
    assert hook.posts == [(f"/hooks/{TOKEN}", {"content": "netboot: All 2 sites are up to date.\n", "silent": True})]


@general
def test_to_a_chat(fleet: Fleet, hook: Hook) -> None:
    chat = {"url": f"http://127.0.0.1:{hook.port}", "api_key": TOKEN, "channel": "netboot"}
    variables = {"netboot_status_summary_mattermost": chat, "netboot_status_summary": "always"}
    run = look(fleet, variables, "-vvv")
    assert run.status == 0, run.output
    ((path, body),) = hook.posts
    assert (path, body["channel"]) == (f"/hooks/{TOKEN}", "netboot")
    assert body["text"].startswith("2 sites: 2 behind")
    assert TOKEN not in run.output


@general
def test_who_cannot_be_told_is_named_and_the_others_are_told(fleet: Fleet, mail: Mail, hook: Hook) -> None:
    hook.status = 403
    variables = {**by_mail(mail), **by_hook(hook), "netboot_status_summary": "always"}
    run = look(fleet, variables, "-vvv")
    assert run.status == 2
    assert "netboot_status_summary_webhook: localhost could not send the summary (Status code was 403" in flat(run)
    assert len(mail.messages) == 1
    assert TOKEN not in run.output
    # Everything else was written.
    status = json.loads((fleet.directory / "status" / "status.json").read_text(encoding="utf-8"))
    assert status["sites"].keys() == fleet.sites.keys()


@general
def test_a_receiver_who_is_refused_is_a_failure(fleet: Fleet, mail: Mail) -> None:
    mail.refused = {"nobody@example.org"}
    variables = by_mail(mail, to=["operators@example.org", "nobody@example.org"])
    run = look(fleet, {**variables, "netboot_status_summary": "always"})
    assert run.status == 2
    assert mail.to == [["operators@example.org"]]
    assert "nobody@example.org" in flat(run)


def test_without_the_collection_one_line_tells_the_remedy(fleet: Fleet, mail: Mail) -> None:
    run = look(fleet, {**by_mail(mail), "netboot_status_summary": "always"}, collections="")
    assert run.status == 2
    assert (
        "netboot_status_summary_mail: the collection community.general, which has community.general.mail, is not"
        " installed where Ansible runs. Install it: ansible-galaxy collection install community.general"
    ) in flat(run)
    assert mail.messages == []


def test_without_a_receiver_nothing_is_wanted(fleet: Fleet) -> None:
    run = look(fleet, {"netboot_status_summary": "always"}, collections="")
    assert run.status == 0, run.output
    assert not (fleet.directory / "status" / "told.json").exists()


@general
@pytest.mark.parametrize("way", [name for name, way in WAYS.items() if way.module.startswith("community.general.")])
def test_each_module_knows_what_it_is_given(way: str) -> None:
    """Chat services run elsewhere and cannot be tried here, but the options of their modules are checked."""
    file = GENERAL / f"{WAYS[way].module.rpartition('.')[2]}.py"
    options = yaml.safe_load(file.read_text(encoding="utf-8").partition('DOCUMENTATION = r"""')[2].partition('"""')[0])
    assert WAYS[way].given("subject", "text").keys() <= options["options"].keys()


def test_what_is_a_secret() -> None:
    found = secrets(
        {
            "url": "https://hook:pass@hooks.example.org/services/T0/B0AAA?key=abcdef",
            "to": ["me@example.org"],
            "port": 25,
        }
    )
    assert {"B0AAA", "abcdef", "hook:pass@hooks.example.org", "services"} <= found
    assert not found & {"me@example.org", "T0", "hooks.example.org"}
    assert secrets({"headers": {"Authorization": "Bearer abcdefg"}}) == {"Bearer abcdefg"}
