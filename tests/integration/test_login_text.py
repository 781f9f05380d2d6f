# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the login of a caching server's user prints or refuses on its own, apart from what the sync asks it for."""

from __future__ import annotations

import pytest

from tests.lab.fleet import Fleet, SiteSpec
from tests.lab.runs import IMAGE, NEXT, SITE, add_large_image, complaint, is_delivered, prepare, sync

SFTP = "case $SSH_ORIGINAL_COMMAND in internal-sftp) exec /usr/lib/openssh/sftp-server ;; esac;"


def forced(text: str, *, sftp: bool = True) -> SiteSpec:
    """Return a site whose key runs this; SFTP stays unaffected, unless *sftp* is false."""
    text = ((SFTP if sftp else "") + text).replace("\\", "\\\\").replace('"', '\\"')
    return SiteSpec(SITE, key_options=f'command="{text}"')


TALKATIVE = [
    pytest.param(forced('echo Welcome; eval "$SSH_ORIGINAL_COMMAND"'), id="before"),
    pytest.param(forced('eval "$SSH_ORIGINAL_COMMAND"; echo "Have a nice day"'), id="after"),
    pytest.param(forced('printf Welcome; eval "$SSH_ORIGINAL_COMMAND"'), id="no-newline"),
    pytest.param(
        forced('(while sleep 0.01; do echo tick; done) & sleep 0.1; eval "$SSH_ORIGINAL_COMMAND"; kill $!'),
        id="meanwhile",  # and before, or it could not be noticed beforehand
    ),
    pytest.param(forced('seq 20000; eval "$SSH_ORIGINAL_COMMAND"'), id="long"),
]


@pytest.mark.parametrize("spec", TALKATIVE, indirect=True)
def test_text_of_the_login_is_ignored(fleet: Fleet) -> None:
    """The lock, the hashes and the join work as without it; if rsync cannot cope with the text, SFTP is used."""
    image = add_large_image(fleet.tree, NEXT, size=1_000_000)
    run = sync(fleet)
    assert run.attempts == 1
    assert is_delivered(fleet, image)
    assert run.images[image.path].verified
    assert (fleet.sites[SITE].assets / ".netboot-sync" / "lock").is_file()  # the kernel's: a lease would be gone
    assert sync(fleet, verify=True).actions == []


def test_text_of_a_bashrc_is_told_where_rsync_was_wanted(fleet: Fleet) -> None:
    (fleet.sites[SITE].server.directory / "home" / ".bashrc").write_text("echo Welcome to Munich\n", encoding="utf-8")
    image = add_large_image(fleet.tree, NEXT, size=1_000_000)
    line = complaint(prepare(fleet, transport="rsync"), fleet.sites[SITE].ssh.address)
    assert "the login of that user prints text (Welcome to Munich), which rsync cannot take" in line
    run = sync(fleet)
    assert run.transport == "sftp"
    assert "prints text (Welcome to Munich)" in "".join(run.warnings)
    assert is_delivered(fleet, image)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(
            forced("echo 'Password change required but no TTY available.' >&2; exit 1", sftp=False),
            "Password change required but no TTY available.",
            id="expired-password",
        ),
        pytest.param(
            SiteSpec(SITE, key_options='command="/usr/sbin/nologin"'),
            "This account is currently not available.",
            id="nologin",
        ),
        pytest.param(forced('echo Welcome; eval "$SSH_ORIGINAL_COMMAND"', sftp=False), "(Welcome", id="bashrc"),
    ],
    indirect=["spec"],
)
def test_why_there_is_no_sftp_is_told_in_the_servers_words(fleet: Fleet, said: str) -> None:
    line = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert said in line
    assert "Enable it in sshd_config" not in line


@pytest.mark.parametrize("spec", [forced("yes Welcome")], indirect=True, ids=["yes"])
def test_login_that_prints_without_end(fleet: Fleet) -> None:
    line = complaint(prepare(fleet), fleet.sites[SITE].ssh.address)
    assert "prints text without end" in line


@pytest.mark.parametrize("spec", [forced("/usr/sbin/nologin")], indirect=True, ids=["nologin"])
def test_why_there_is_no_shell_is_told_in_its_words(fleet: Fleet) -> None:
    run = sync(fleet)
    assert "There is no shell for that user: This account is currently not available." in "".join(run.warnings)
    assert is_delivered(fleet, fleet.tree.image(IMAGE))


NAS = (
    "case $SSH_ORIGINAL_COMMAND in internal-sftp)"
    " exec unshare -m sh -c 'mount --bind {assets}/../home {assets} && exec /usr/lib/openssh/sftp-server' ;; esac;"
    'eval \\"$SSH_ORIGINAL_COMMAND\\"'
)


@pytest.mark.root
@pytest.mark.parametrize("spec", [SiteSpec(SITE, key_options=f'command="{NAS}"')], indirect=True, ids=["nas"])
def test_sftp_that_shows_other_files_than_the_shell(fleet: Fleet) -> None:
    """As on a NAS: the kernel's lock and the hashes would be those of another directory."""
    run = sync(fleet)
    assert run.transport == "sftp"
    assert "its shell does not see the files that SFTP shows" in "".join(run.warnings)
    assert run.images[f"{IMAGE}.squashfs"].state == "published"
    assert list(fleet.sites[SITE].assets.iterdir()) == []
    line = complaint(prepare(fleet, transport="rsync"), fleet.sites[SITE].ssh.address)
    assert "its shell does not see the files that SFTP shows" in line
