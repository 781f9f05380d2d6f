# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes that newcomers make, each made for real: the playbook must answer with one line that helps."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml

from tests.lab.process import LabError

from .fleet import NETBOOT, Fleet, Run
from .making import (
    SITE,
    Made,
    allowed_users,
    another_site_of_nginx,
    another_web_server,
    changed_host_key,
    given,
    home_directory,
    host,
    is_the_netboot_server,
    keys_elsewhere,
    misspelt_group,
    no_disk,
    no_disk_at_all,
    no_images,
    no_netboot_server,
    no_packages,
    no_sudo,
    unknown_host_key,
)
from .packages import Base

BARE, WITH_PYTHON, ONBOARDED = range(3)


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One of the mistakes.

    :arg what: what was wrong, in the words of the documentation.
    :arg when: the state of the machines at that time: ``BARE``, ``WITH_PYTHON`` or ``ONBOARDED``.
    :arg make: makes it, yields arguments for the command line, and undoes it.
    :arg said: what the line must contain: the machine, the problem, what to do.
    """

    what: str
    when: int
    make: Callable[[Fleet], Made]
    said: tuple[str, ...]
    playbook: str = "onboard.yml"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a mistake: the line that the playbook ended with, and what is wrong with it, if anything."""

    line: str
    wrong: str = ""


LOGIN = (f"{SITE}: Ansible cannot log in there: ",)
MISTAKES = {
    "wrong-user": Mistake(
        "the wrong user", BARE, host(ansible_user="admin"), (*LOGIN, "Set ansible_user", "ssh admin@10.")
    ),
    "no-sudo": Mistake(
        "neither root nor sudo", BARE, no_sudo, (f"{SITE}: preparing it needs root there (", "sudo", "Log in as root")
    ),
    "wrong-name": Mistake(
        "a host name that does not resolve",
        BARE,
        host(ansible_host="berlin.invalid"),
        (*LOGIN, "nobody knows that name", "Set ansible_host"),
    ),
    "closed-port": Mistake(
        "a port where nothing listens", BARE, host(ansible_port=2222), (*LOGIN, "port 2222", "ansible_port")
    ),
    "nobody-there": Mistake(
        "an address that is not in use",
        BARE,
        host(ansible_host="10.86.0.99"),
        (*LOGIN, "10.86.0.99", "Is it switched on"),
    ),
    "netboot-server-away": Mistake(
        "the wrong user for the netboot server",
        BARE,
        host(NETBOOT, ansible_user="admin"),
        (f"{NETBOOT}: Ansible cannot log in there: ", "ssh admin@10."),
    ),
    "unknown-host-key": Mistake(
        "a host key that is not known yet", BARE, unknown_host_key, (*LOGIN, "is not known yet", "Log in once with ssh")
    ),
    "changed-host-key": Mistake(
        "a changed host key",
        BARE,
        changed_host_key,
        (*LOGIN, "is not the one that is known", "ssh-keygen -R '10."),
    ),
    "misspelt-group": Mistake(
        "a misspelt group",
        BARE,
        misspelt_group,
        ("no host of the inventory is in caching_servers", "netboot_fleet"),
    ),
    "no-netboot-server": Mistake(
        "no host in the group netboot_server",
        BARE,
        no_netboot_server,
        (f"{SITE}: no netboot server is named", "Put it into the group"),
    ),
    "same-address": Mistake(
        "a site with the netboot server's address",
        BARE,
        is_the_netboot_server,
        (f"{SITE}: 10.", f"is {NETBOOT} itself", "Set ansible_host"),
    ),
    "no-mirror-for-python": Mistake(
        "no Python, and no mirror can be reached",
        BARE,
        no_packages,
        (f"{SITE}: Python cannot be installed (", "127.0.0.1", "Mend there"),
    ),
    "no-mirror": Mistake(
        "no mirror can be reached",
        WITH_PYTHON,
        no_packages,
        (f"{SITE}: bubblewrap, nginx, rsync cannot be installed (", "Mend there"),
    ),
    "no-images": Mistake("the netboot server's tree is empty", ONBOARDED, no_images, ("/srv/netboot/assets", "empty")),
    "home-directory": Mistake(
        "the destination is a home directory",
        ONBOARDED,
        home_directory,
        (f"{SITE}: /home/ann", "home directory of ann", "Set netboot_sync_dest"),
    ),
    "no-disk": Mistake(
        "the disk for the images is not mounted",
        ONBOARDED,
        no_disk,
        (f"{SITE}: /srv/netboot/assets is to be on /srv/netboot", "mount /srv/netboot"),
    ),
    "no-disk-on-the-netboot-server": Mistake(
        "the disk with the images is not mounted",
        ONBOARDED,
        no_disk_at_all,
        (f"{NETBOOT}: /srv/netboot/assets is to be on", "mount /srv/netboot/assets"),
    ),
    "no-key": Mistake(
        "the private key is not where the inventory says",
        ONBOARDED,
        given("-e", "netboot_sync_private_key_file=/etc/netboot/sync.pem"),
        (f"{SITE}: {NETBOOT} has no private key at /etc/netboot/sync.pem", "Set netboot_server_key_file"),
    ),
    "second-web-server": Mistake(
        "another web server has port 80",
        ONBOARDED,
        another_web_server,
        (f"{SITE}: port 80 is taken by python3", "Stop and disable that"),
    ),
    "second-site": Mistake(
        "another site in nginx has port 80",
        ONBOARDED,
        another_site_of_nginx,
        (
            f"{SITE}: nginx does not take /etc/nginx/conf.d/netboot-caching-server.conf",
            "duplicate default server",
            "remove that",
        ),
    ),
    "allow-users": Mistake(
        "sshd lets in only some",
        ONBOARDED,
        allowed_users,
        (f"{SITE}: its sshd lets in only root, ann", "Add netboot there"),
    ),
    "keys-elsewhere": Mistake(
        "sshd looks for keys elsewhere",
        ONBOARDED,
        keys_elsewhere,
        (f"{SITE}: its sshd looks for keys in /etc/ssh/keys/%u", "Add .ssh/authorized_keys"),
    ),
    "no-limit": Mistake(
        "all sites are to be taken out",
        ONBOARDED,
        given(),
        ("all 1 caching servers", "--limit"),
        playbook="offboard.yml",
    ),
}


class Newcomer:
    """Somebody with a netboot server and a site, who makes one mistake after the other."""

    def __init__(self, base: Base, directory: Path) -> None:
        self.fleet = Fleet(base, directory, {SITE: 0})

    def all(self, names: Sequence[str] = ()) -> Iterator[tuple[str, Outcome]]:
        """Make all mistakes, or those that are named, and yield the name and the outcome of each."""
        self.fleet.up()
        self.fleet.tree.add_kernel()
        self.fleet.tree.add_image("prod/21-04-10-gnome-master-9c41d0b")
        stage = BARE
        for name, mistake in MISTAKES.items():
            if names and name not in names:
                continue
            while stage < mistake.when:
                stage += 1
                self._go_on(stage)
            with mistake.make(self.fleet) as words:
                run = self.fleet.play(mistake.playbook, *words)
            yield name, judged(mistake, run)

    def _go_on(self, stage: int) -> None:
        if stage == WITH_PYTHON:
            for machine in self.fleet.machines.values():
                machine.bring_python()
        else:
            run = self.fleet.play("onboard.yml")
            if run.status != 0:
                raise LabError(f"onboard.yml ended with {run.status}\n{run.output[-6000:]}")

    def end(self) -> None:
        """Switch everything off."""
        self.fleet.down()


def judged(mistake: Mistake, run: Run) -> Outcome:
    """Judge whether a run ended with one line that helps."""
    told = messages(run.output)
    wrong = []
    if run.status == 0:
        wrong.append("the run ended well")
    if "Traceback" in run.output:
        wrong.append("there is a traceback")
    fitting = [line for line in told if all(piece in line for piece in mistake.said)]
    if not fitting:
        wrong.append(f"no line has all of {mistake.said}; there are {told}")
    if any("\n" in line for line in fitting):
        wrong.append("it is more than one line")
    if len(told) != 1:
        wrong.append(f"{len(told)} failures are told: {told}")
    if wrong:
        wrong.append(run.output[-4000:])
    return Outcome((fitting or ["?"])[0], "\n".join(wrong))


def messages(output: str) -> list[str]:
    """The messages of failed tasks, each once; the whole result, if it has more than a message."""
    found = []
    for block in re.findall(r"^(?:fatal|failed): \[.*?FAILED! => ?\n((?: .*\n|\n)*)", output, re.MULTILINE):
        result = yaml.safe_load(block)
        plain = set(result) <= {"msg", "changed", "assertion", "evaluated_to"}
        text = str(result["msg"]) if plain else block
        if text not in found:
            found.append(text)
    return found
