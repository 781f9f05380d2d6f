# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known hosts: exactly the given keys, under the names that the sync uses; all other lines stay untouched."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from ansible_collections.netboot.syncer.plugins.plugin_utils.known_hosts import host_field, replace

from tests.lab.process import find_program


def key(number: int, kind: str = "ssh-ed25519") -> str:
    blob = len(kind).to_bytes(4, "big") + kind.encode() + number.to_bytes(36, "big")
    return f"{kind} {base64.b64encode(blob).decode()}"


OLD, NEW, OTHER, RSA = key(1), key(2), key(3), key(4, "ssh-rsa")
SITE = "192.0.2.10"


@pytest.mark.parametrize(
    ("before", "keys", "after"),
    [
        pytest.param("", [NEW], f"{SITE} {NEW}\n", id="the first"),
        pytest.param(f"{SITE} {NEW}\n", [f"{NEW} root@cache"], f"{SITE} {NEW}\n", id="there already"),
        pytest.param(f"{SITE} {OLD}\n", [NEW], f"{SITE} {NEW}\n", id="reinstalled"),
        pytest.param(f"{SITE} {NEW}\n{SITE} {RSA}\n", [NEW], f"{SITE} {NEW}\n", id="a type that is no longer there"),
        pytest.param(f"{SITE} {OLD}\n", [], "", id="taken away"),
        pytest.param(f"other {OLD}\n", [NEW], f"other {OLD}\n{SITE} {NEW}\n", id="another host's stays"),
        pytest.param(f"{SITE}0 {OLD}\n", [], f"{SITE}0 {OLD}\n", id="a longer name"),
        pytest.param(f"other,{SITE} {OLD} c\n", [NEW], f"other {OLD} c\n{SITE} {NEW}\n", id="of two names one"),
        pytest.param(f"{SITE} {NEW}\n{SITE} {NEW}\n", [NEW], f"{SITE} {NEW}\n", id="twice"),
        pytest.param(
            f"@revoked {SITE} {OLD}\n# {SITE} {OLD}\n\n", [], f"@revoked {SITE} {OLD}\n# {SITE} {OLD}\n\n", id="no keys"
        ),
        pytest.param(f"[{SITE}]:2222 {OLD}\n", [], f"[{SITE}]:2222 {OLD}\n", id="another port"),
        pytest.param(f"{SITE} {OLD}", [OLD], f"{SITE} {OLD}\n", id="a last line that has no end"),
        pytest.param("|1|no|base64 x y\n", [], "|1|no|base64 x y\n", id="a broken hash"),
    ],
)
def test_exactly_these_keys(before: str, keys: list[str], after: str) -> None:
    assert replace(before, {SITE: keys}) == after
    assert replace(after, {SITE: keys}) == after


def test_all_hosts_of_a_run_at_once() -> None:
    text = replace(f"a {OLD}\nb {OTHER}\n", {"a": [NEW], "b": [OTHER], "c": [RSA]})
    assert text.splitlines() == [f"b {OTHER}", f"a {NEW}", f"c {RSA}"]


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        ("192.0.2.10", None, "192.0.2.10"),
        ("192.0.2.10", "22", "192.0.2.10"),
        ("Cache.Example", 2222, "[cache.example]:2222"),
        ("2001:db8::1", 22, "2001:db8::1"),
        ("2001:db8::1", 2222, "[2001:db8::1]:2222"),
    ],
)
def test_names_are_those_that_openssh_looks_for(
    tmp_path: Path, address: str, port: int | str | None, name: str
) -> None:
    assert host_field(address, port) == name
    file = tmp_path / "known_hosts"
    file.write_text(replace("", {name: [NEW]}), "ascii")
    keygen = find_program("ssh-keygen", "openssh-client")
    assert subprocess.run([keygen, "-F", name, "-f", str(file)], capture_output=True, check=False).returncode == 0


def test_hashed_names_are_found(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{SITE} {OLD}\nother {OTHER}\n[{SITE}]:2222 {RSA}\n", "ascii")
    keygen = find_program("ssh-keygen", "openssh-client")
    subprocess.run([keygen, "-H", "-f", str(file)], check=True, capture_output=True)
    hashed = file.read_text("ascii")
    assert SITE not in hashed
    text = replace(hashed, {SITE: [NEW], f"[{SITE}]:2222": []})
    assert text.splitlines() == [hashed.splitlines()[1], f"{SITE} {NEW}"]


@pytest.mark.parametrize(
    "line",
    ["", "ssh-ed25519", "ssh-ed25519 ????", "ssh-rsa " + NEW.split()[1], "cat: /etc/ssh/x: No such file"],
    ids=["empty", "one word", "no base64", "another type", "an error"],
)
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a public key"):
        replace("", {SITE: [line]})
