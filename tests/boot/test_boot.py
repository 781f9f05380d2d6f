# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real boots, one with the marker and one without; the DHCP servers accept the examples; the hook alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.boot import debian, dhcp, payload
from tests.boot.__main__ import EVERY, chosen, page, parse
from tests.lab.fleet import CHECKOUT
from tests.lab.process import STANDARD_PATH
from tests.lab.web import AssetsWeb

PATH = f"{os.environ['PATH']}:{STANDARD_PATH}"
MISSING = payload.missing()


@pytest.mark.root
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(MISSING), reason=f"./dev boot installs what is missing here: {', '.join(MISSING)}")
def test_a_client_boots_from_whoever_has_the_marker(tmp_path: Path) -> None:
    seen = tmp_path / "boot.json"
    command = [sys.executable, "-m", "tests.boot", "--short", "--json", str(seen)]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = json.loads(seen.read_text(encoding="utf-8"))["cases"]
    assert {row["case"]: row["seen"] for row in rows} == {
        "published": "newest; kernel cache, initrd cache, squashfs cache",
        "no-marker": "newest; kernel server, initrd server, squashfs server",
    }


def test_a_debian_with_an_old_hook_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = tmp_path / "hook"
    hook.write_text("one")
    monkeypatch.setattr(debian, "PLACE", tmp_path)
    monkeypatch.setattr(debian, "HOOK", hook)
    (tmp_path / "root.squashfs").write_text("one that was cut short, or an old one")
    assert not debian.made()
    (tmp_path / "recipe").write_text(debian.recipe())
    assert debian.made()
    hook.write_text("another")
    assert not debian.made()


def test_the_page_has_all_cases_and_says_which_command_wrote_it() -> None:
    arguments = ["--everything", "--report", "docs/clients-tried.md"]
    cases = chosen(parse(arguments))
    assert {case.name for case, _uefi in cases} == set(EVERY)
    row = {"case": "debian", "firmware": "BIOS", "seen": "x; from cache", "right": True, "console": ["client login:"]}
    written = page([row], arguments)
    assert "`./dev boot --everything --report docs/clients-tried.md`" in written
    assert "    client login:\n" in written


def test_no_example_for_dhcp_is_left_out() -> None:
    assert {server.example for server in dhcp.SERVERS.values()} == {path.name for path in dhcp.EXAMPLES.iterdir()}


@pytest.mark.parametrize("server", dhcp.SERVERS.values(), ids=dhcp.SERVERS)
def test_the_dhcp_examples_are_taken(server: dhcp.Dhcp, tmp_path: Path) -> None:
    program = server.where()
    if program is None:
        pytest.skip(f"needs {server.program}; ./dev short fetches it where packages are Debian's")
    # some are confined to certain directories, so they get a copy
    copy = tmp_path / server.example
    shutil.copy(dhcp.EXAMPLES / server.example, copy)
    environment = {**os.environ, **dhcp.environment()}
    for text, right in ((copy.read_text(), True), (copy.read_text() + "\n}} what is this", False)):
        copy.write_text(text)
        command = [str(program), *server.tests, str(copy)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (ended.returncode == 0) is right, ended.stdout + ended.stderr


def fetch(tmp_path: Path, url: str, arguments: str) -> tuple[int, str, bytes | None]:
    """Call the hook as live-boot does. Returns its status, its output, and what it fetched."""
    busybox = shutil.which("busybox", path=PATH)
    if busybox is None:
        pytest.skip("needs busybox")
    commands = tmp_path / "bin"
    if not commands.exists():
        commands.mkdir()
        subprocess.run([busybox, "--install", "-s", str(commands)], check=True)
    (tmp_path / "cmdline").write_text(arguments + "\n")
    hook = payload.HOOK.read_text(encoding="utf-8").replace("/proc/cmdline", str(tmp_path / "cmdline"))
    (tmp_path / "hook.sh").write_text(hook)
    into = tmp_path / "fetched"
    into.unlink(missing_ok=True)
    script = f'. {tmp_path}/hook.sh\nwget "{url}" -O "{into}"\n'
    ended = subprocess.run(
        [busybox, "sh", "-c", script], capture_output=True, text=True, check=False, env={"PATH": str(commands)}
    )
    return ended.returncode, ended.stdout, into.read_bytes() if into.exists() else None


@pytest.fixture
def servers(tmp_path: Path) -> dict[str, AssetsWeb]:
    """Two web servers; each test decides what they hold."""
    return {name: AssetsWeb(tmp_path / name, address="127.0.0.1") for name in ("cache", "server")}


@pytest.mark.parametrize(
    ("cache", "server", "stated", "fetched"),
    [
        pytest.param(b"image", b"image", True, "cache", id="first-address"),
        pytest.param(b"image", b"other", False, "cache", id="no-hash-stated"),
        pytest.param(None, b"image", True, "server", id="not-there"),
        pytest.param(b"", b"image", False, "server", id="empty"),
        pytest.param(b"imagE", b"image", True, "server", id="another-hash"),
        pytest.param(b"imagE", b"imaGe", True, None, id="another-hash-everywhere"),
        pytest.param(None, None, False, None, id="nowhere"),
    ],
)
def test_the_hook(
    tmp_path: Path,
    servers: dict[str, AssetsWeb],
    cache: bytes | None,
    server: bytes | None,
    stated: bool,
    fetched: str | None,
) -> None:
    for name, content in (("cache", cache), ("server", server)):
        servers[name].root.mkdir()
        if content is not None:
            (servers[name].root / "x.squashfs").write_bytes(content)
    with servers["cache"], servers["server"]:
        first, second = (f"{servers[name].url}/x.squashfs" for name in ("cache", "server"))
        arguments = f"boot=live fetch={first} netboot_fallback={second} quiet"
        if stated:
            arguments += f" netboot_sha256={hashlib.sha256(b'image').hexdigest()}"
        status, said, found = fetch(tmp_path, first, arguments)
    assert (status, found) == ((0, {"cache": cache, "server": server}[fetched]) if fetched else (1, None)), said
    if fetched:
        assert f"netboot: fetched {servers[fetched].url}/x.squashfs" in said
