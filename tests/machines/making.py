# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a newcomer's mistakes, each with a context manager that yields arguments for the command line."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml

from .fleet import NETBOOT, Fleet

SITE = "cache-berlin"
SOURCES = "etc/apt/sources.list"
Made = contextlib.AbstractContextManager[Sequence[str]]


def given(*words: str) -> Callable[[Fleet], Made]:
    """A mistake that is only on the command line."""
    return lambda _fleet: contextlib.nullcontext(words)


def host(name: str = SITE, **variables: object) -> Callable[[Fleet], Made]:
    """A mistake in a machine's variables in the inventory."""

    @contextlib.contextmanager
    def make(fleet: Fleet) -> Iterator[Sequence[str]]:
        place = fleet.inventory / "host_vars" / f"{name}.yml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(yaml.safe_dump(variables), "utf-8")
        yield ()
        place.unlink()

    return make


@contextlib.contextmanager
def changed(path: Path, text: str | None) -> Iterator[None]:
    """Give a file other content for a while, or remove it if *text* is None."""
    before = path.read_text("utf-8") if path.exists() else None
    for content in (text, before):
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(content, "utf-8")
        if content is text:
            yield


@contextlib.contextmanager
def home_directory(fleet: Fleet) -> Iterator[Sequence[str]]:
    """Somebody's home directory is configured as the tree."""
    machine = fleet.sites[SITE]
    machine.run("useradd", "--create-home", "ann")
    yield ("-e", "netboot_sync_dest=/home/ann")
    machine.run("userdel", "--remove", "ann")


@contextlib.contextmanager
def no_sudo(fleet: Fleet) -> Iterator[Sequence[str]]:
    """A login that is not root, on a machine without sudo."""
    machine = fleet.sites[SITE]
    machine.run("useradd", "--create-home", "ann")
    machine.run("cp", "-r", "/root/.ssh", "/home/ann/.ssh")
    machine.run("chown", "-R", "ann:ann", "/home/ann/.ssh")
    with host(ansible_user="ann")(fleet):
        yield ()
    machine.run("userdel", "--remove", "ann")


@contextlib.contextmanager
def misspelt_group(fleet: Fleet) -> Iterator[Sequence[str]]:
    """The group of the caching servers has another name."""
    place = fleet.inventory / "hosts.yml"
    with changed(place, place.read_text("utf-8").replace("caching_servers", "cachingservers")):
        yield ()


@contextlib.contextmanager
def no_netboot_server(fleet: Fleet) -> Iterator[Sequence[str]]:
    """The group of the netboot server has another name."""
    place = fleet.inventory / "hosts.yml"
    with changed(place, place.read_text("utf-8").replace("netboot_server", "netbootserver")):
        yield ()


@contextlib.contextmanager
def unknown_host_key(fleet: Fleet) -> Iterator[Sequence[str]]:
    """Nobody has logged in to the site yet."""
    known = fleet.known_hosts.read_text("ascii").splitlines(keepends=True)
    rest = "".join(line for line in known if not line.startswith(f"{fleet.sites[SITE].address} "))
    with changed(fleet.known_hosts, rest):
        yield ()


@contextlib.contextmanager
def changed_host_key(fleet: Fleet) -> Iterator[Sequence[str]]:
    """The site's host keys are not the known ones."""
    known = fleet.known_hosts.read_text("ascii").splitlines(keepends=True)
    ours, other = (fleet.machines[name].address for name in (SITE, NETBOOT))
    others = "".join(line.replace(other, ours) for line in known if line.startswith(f"{other} "))
    with changed(fleet.known_hosts, "".join(line for line in known if not line.startswith(f"{ours} ")) + others):
        yield ()


@contextlib.contextmanager
def no_packages(fleet: Fleet) -> Iterator[Sequence[str]]:
    """No mirror can be reached from the site."""
    with changed(fleet.sites[SITE].root / SOURCES, "deb [trusted=yes] http://127.0.0.1:9/debian stable main\n"):
        yield ()


@contextlib.contextmanager
def no_disk(fleet: Fleet) -> Iterator[Sequence[str]]:
    """The site's data disk was not mounted."""
    with changed(fleet.sites[SITE].root / "etc" / "fstab", "LABEL=images /srv/netboot ext4 defaults 0 2\n"):
        yield ()


@contextlib.contextmanager
def no_disk_at_all(fleet: Fleet) -> Iterator[Sequence[str]]:
    """The netboot server's disk with the images was not mounted."""
    with changed(fleet.netboot.root / "etc" / "fstab", "LABEL=images /srv/netboot/assets ext4 defaults 0 2\n"):
        yield ()


@contextlib.contextmanager
def another_web_server(fleet: Fleet) -> Iterator[Sequence[str]]:
    """Another program serves port 80 there."""
    machine = fleet.sites[SITE]
    machine.run("systemctl", "stop", "nginx")
    machine.run("systemd-run", "--quiet", "--unit=other", "python3", "-m", "http.server", "80")
    deadline = time.monotonic() + 30
    while not machine.answers(80) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield ()
    machine.run("systemctl", "stop", "other")
    machine.run("systemctl", "start", "nginx")


@contextlib.contextmanager
def another_site_of_nginx(fleet: Fleet) -> Iterator[Sequence[str]]:
    """Another nginx site is the default server for all names at port 80."""
    other = fleet.sites[SITE].root / "etc" / "nginx" / "conf.d" / "intranet.conf"
    with changed(other, "server { listen 80 default_server; }\n"):
        yield ("-e", "netboot_caching_server_web_marker_required=true")


@contextlib.contextmanager
def allowed_users(fleet: Fleet) -> Iterator[Sequence[str]]:
    """Only some users may log in to the site."""
    with changed(fleet.sites[SITE].root / "etc" / "ssh" / "sshd_config.d" / "site.conf", "AllowUsers root ann\n"):
        yield ()


@contextlib.contextmanager
def keys_elsewhere(fleet: Fleet) -> Iterator[Sequence[str]]:
    """The site's sshd reads all users' keys from one directory outside their homes."""
    place = fleet.sites[SITE].root / "etc" / "ssh" / "sshd_config.d" / "site.conf"
    with changed(place, "AuthorizedKeysFile /etc/ssh/keys/%u\n"):
        yield ()


@contextlib.contextmanager
def no_images(fleet: Fleet) -> Iterator[Sequence[str]]:
    """Nothing was put into the tree."""
    tree = fleet.tree.root
    aside = tree.rename(tree.with_name("aside"))
    tree.mkdir()
    yield ()
    tree.rmdir()
    aside.rename(tree)


@contextlib.contextmanager
def is_the_netboot_server(fleet: Fleet) -> Iterator[Sequence[str]]:
    """The site has the netboot server's address."""
    with host(ansible_host=fleet.netboot.address)(fleet):
        yield ()
