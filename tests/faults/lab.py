# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage: a controller, a netboot server, and lanes of one caching server each, in networks of their own.

Every lane has its own assets tree on the one netboot server, its own line, and its own machines that boot there. So
many lanes can be in trouble at once, and none is to feel the trouble of another.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.lab import images
from tests.lab.client import Violation
from tests.lab.fleet import CHECKOUT
from tests.lab.ledger import Ledger, MarkerError, closure_of, fingerprint, visible_files
from tests.lab.namespaces import (
    NAMES,
    Host,
    Line,
    add_network,
    assert_in_network,
    command,
    enter_network,
    network_id,
)
from tests.lab.process import STANDARD_PATH, LabError
from tests.lab.sshd import ClientKey
from tests.lab.strange_disk import Quirks, StrangeDisk, folded
from tests.lab.supervise import descendants
from tests.lab.tree import AssetsTree
from tests.lab.web import AssetsWeb

from .machine import BootingMachine
from .witness import Witness

MIB = 1024 * 1024
SITE_DISK = 192 * MIB  # the module keeps 64 MiB of it free
SERVER, CONTROLLER = "server", "controller"
DEST = "/srv/netboot/assets"
WORK_AREA = ".netboot-sync"
CODE = "/srv/netboot/code"  # the collection, as it was when the laboratory was started
MODULE = "ansible_collections.netboot.syncer.plugins.modules.sync_assets"
SET_ASIDE = "ansible_collections.netboot.syncer.plugins.modules.withdraw_assets"
EXCLUDE = ["local/**"]
# files of the caching server itself: beside the tree, and where no run may touch them in the tree
CANARIES = ("canary", "assets.old/canary", "assets-2/prod/canary.squashfs", "assets/local/canary", "assets/.canary")
# ansible-runner as a program of its own; AWX calls the same function.
RUNNER = """
import os, sys
import ansible_runner
data, playbook, inventory = sys.argv[1:]
job = ansible_runner.run(
    private_data_dir=data,
    playbook=f"netboot.syncer.{playbook}",
    inventory=inventory,
    settings={"pexpect_timeout": 1},
    cancel_callback=lambda: os.path.exists(f"{data}/cancel"),
)
print(job.status)
sys.exit(0 if job.status == "successful" else 3)
"""
STRANGE = Quirks(folds=True, time_step=2)  # the file system of the last lane
QUIET_WITHIN = 10.0  # seconds after a kill, until nothing of the run is left anywhere


class CurrentLedger(Ledger):
    """A ledger that names as markers what there is to ask for: at the netboot server or at the site, now or lately."""

    def __init__(self, root: Path, site: Path, *, name: Callable[[str], str] = str) -> None:
        super().__init__(root, name=name)
        self.site = site
        self._asked: dict[str, float] = {}

    def markers(self) -> dict[str, str]:
        """See Ledger; without those that are gone from both sides for a minute."""
        now, found, present = time.monotonic(), super().markers(), self.present()
        for path in found:
            if path in present or (self.site / path).exists():
                self._asked[path] = now
        return {path: squashfs for path, squashfs in found.items() if now - self._asked.get(path, 0.0) < 60}


@dataclass(frozen=True)
class Ended:
    """How a run ended: ``status`` is negative for a signal, ``result`` what the module returned, if it did."""

    status: int
    result: Mapping[str, Any]
    output: str

    @property
    def good(self) -> bool:
        """Whether the run says that all went well."""
        return self.status == 0 and not self.result.get("failures") and not self.result.get("failed")

    @property
    def words(self) -> str:
        """What the run reports, in a line."""
        if self.good:
            return "ok"
        if self.result.get("msg"):
            return str(self.result["msg"])
        if self.status < 0 or self.status > 128:
            return f"ended by signal {-self.status if self.status < 0 else self.status - 128}"
        return (self.output.strip().splitlines() or [f"status {self.status}"])[-1]


class Run:
    """A run of the module or of a playbook that was started; it is killed when the ``with`` block ends."""

    def __init__(self, host: Host, words: list[str], log: Path, *, results: Path | None = None) -> None:
        self._results = results
        self._log = log
        into = ["nsenter", f"--net={NAMES / host.network}", "chroot", str(host.root)]
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{STANDARD_PATH}",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": CODE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_CONFIG": f"{CODE}/ansible.cfg",
            "ANSIBLE_LOCALHOST_WARNING": "False",
        }
        if results is not None:
            results.unlink(missing_ok=True)
            environment |= {
                "ANSIBLE_CALLBACK_PLUGINS": f"{CODE}/callback_plugins",
                "ANSIBLE_CALLBACKS_ENABLED": "lab_results",
                "NETBOOT_LAB_RESULTS": "/" + str(results.relative_to(host.root)),
            }
        with log.open("wb") as output:
            # nsenter and chroot put the program in their own place: the process is the module's, or the controller's
            self.process = subprocess.Popen(
                [*into, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd="/",
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self.process.poll() is None

    def kill(self, *, whole_tree: bool = False) -> None:
        """SIGKILL its first process; or with all that came out of it on the same host, at once."""
        below = descendants(self.process.pid) if whole_tree else []
        for pid in [self.process.pid, *below]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self, timeout: float) -> Ended:
        """Wait for its end. Raises LabError if it takes longer than *timeout* seconds."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as exc:
            doing = "; ".join(_doing(pid) for pid in [self.process.pid, *descendants(self.process.pid)])
            self.process.send_signal(signal.SIGABRT)  # Python then writes where each of its threads is
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2.0)
            self.kill(whole_tree=True)
            self.process.wait()
            last = " | ".join(self._text()[-3000:].splitlines())
            raise LabError(f"the run {self._log.stem} did not end in {timeout:.0f} s: {doing}: {last}") from exc
        text = self._text()
        return Ended(status, self._result(text), text)

    def _text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _result(self, text: str) -> dict[str, Any]:
        if self._results is not None:
            if not self._results.exists() or not self._results.stat().st_size:
                return {}
            found = json.loads(self._results.read_text(encoding="utf-8"))
            return dict(next(iter(found.values()), {}))
        for line in reversed(text.splitlines()):
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    return dict(json.loads(line))
        return {}

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.kill(whole_tree=True)
        self.process.wait()


class Lane:
    """One caching server, the line to it, the tree that it gets, and those that watch it."""

    def __init__(self, lab: FaultLab, index: int, *, rate: int, quirks: Quirks | None = None) -> None:
        self.lab = lab
        self.name = f"cache{index}"
        self.rate = rate
        self.address = f"10.99.{index}.2"
        self.inside = f"10.99.{index}.129"  # where machines of the site find it, whatever becomes of the line
        self.violations: list[Violation] = []
        self.damaged: dict[str, str] = {}
        self.withdrawn: set[str] = set()  # markers that no client may see any more
        self.clock = False  # whether sshd runs under a clock that can be moved
        self._lock = threading.Lock()
        self._told: list[Violation] = []
        add_network(self.name)
        command("ip", "-n", self.name, "addr", "add", f"{self.inside}/32", "dev", "lo")
        self.line = Line(SERVER, f"10.99.{index}.1", self.name, self.address, device=f"to{index}")
        self.line.set_rate(rate)
        self.host = Host(lab.directory / self.name, self.name, size=SITE_DISK)
        self.assets = self.host.disk / "assets"
        self.assets.mkdir()
        self._mounts = contextlib.ExitStack()
        self.folds = quirks is not None and quirks.folds
        if quirks is not None:
            # over the name by which the host's own programs know it
            within = self.host.root / "srv" / "netboot" / "assets"
            self._mounts.enter_context(StrangeDisk(within, quirks, backing=self.assets))
            self.assets = within
        self.host_key = ClientKey.create(lab.directory / "keys" / self.name)
        self.start_sshd()
        self.host.start_nginx(self.inside, serve=DEST)
        self.tree = AssetsTree(lab.server.disk / "trees" / self.name)
        self.src = f"/srv/netboot/trees/{self.name}"
        self.workshop = lab.directory / "workshop" / self.name
        self.workshop.mkdir(parents=True)
        self._canaries = self._lay_canaries()
        self.ledger = CurrentLedger(self.tree.root, self.assets, name=folded if self.folds else str)
        self.witness = Witness(
            self.name, self.assets, self.ledger, damaged=lambda: list(self.damaged), blame=self.blame
        )
        own = {name.removeprefix("assets/"): digest for name, digest in self._canaries.items() if "assets/" in name}
        self.machine = BootingMachine(
            self.name,
            AssetsWeb(self.assets, address=self.inside, port=80),  # as a description: nginx is what answers
            self.ledger,
            network=self.name,
            address=self.inside,
            damaged=self.damaged,
            own=own,
            withdrawn=self.withdrawn,
        )
        self.machine.start()

    def close(self) -> None:
        """End all that runs for it."""
        self.host.stop_all()
        self.machine.stop()
        self.witness.stop()
        self._mounts.close()

    # -- its daemons

    def start_sshd(self, *, clock: bool = False) -> None:
        """Start its OpenSSH server, anew if it runs; see :meth:`Host.start_sshd`."""
        self.host.stop("sshd")
        self.clock = clock
        self.host.start_sshd(self.address, host_key=self.host_key.private, authorized=self.lab.key.public, clock=clock)

    def stop_sshd(self) -> None:
        """End its OpenSSH server with all sessions, by SIGKILL."""
        self.host.stop("sshd")

    def restart_nginx(self) -> None:
        """Stop and start its web server."""
        self.host.stop("nginx")
        self.host.start_nginx(self.inside, serve=DEST)

    # -- runs

    def options(self, **changes: Any) -> dict[str, Any]:
        """The module's options for this lane."""
        return {
            "src": self.src,
            "dest": DEST,
            "host": self.address,
            "user": "root",
            "private_key_file": "/srv/netboot/ssh/id_ed25519",
            "known_hosts_file": "/srv/netboot/ssh/known_hosts",
            "exclude": EXCLUDE,
            **changes,
        }

    def start_module(self, purpose: str, **options: Any) -> Run:
        """Start the module on the netboot server, in a process of its own."""
        return self._start_module(MODULE, purpose, self.options(**options))

    def withdraw(self, purpose: str, pattern: str) -> Run:
        """Withdraw images by name, as ``withdraw.yml`` does: on the netboot server, then from the caching server.

        Returns the second part; the first has ended by then.
        """
        aside = {"src": self.src, "patterns": [pattern]}
        with self._start_module(SET_ASIDE, f"{purpose}-aside", aside) as run:
            ended = run.wait(60.0)
        if ended.status != 0:
            raise LabError(f"{pattern} could not be withdrawn: {ended.words}")
        self.ledger.snapshot()
        return self.start_module(purpose, withdraw=[pattern])

    def _start_module(self, module: str, purpose: str, arguments: Mapping[str, Any]) -> Run:
        file = self.lab.server.disk / "runs" / f"{self.name}-{purpose}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), encoding="utf-8")
        words = [sys.executable, "-X", "faulthandler", "-m", module, f"/srv/netboot/runs/{file.name}"]
        return Run(self.lab.server, words, file.with_suffix(".log"))

    def start_playbook(self, purpose: str, playbook: str, **options: Any) -> Run:
        """Start a playbook for this caching server on the controller; the module then runs on the netboot server."""
        inventory, results = self._inventory(purpose, options)
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        words = [sys.executable, program, f"netboot.syncer.{playbook}", "-i", f"/srv/netboot/runs/{inventory.name}"]
        return Run(self.lab.controller, words, inventory.with_suffix(".log"), results=results)

    def start_runner(self, purpose: str, playbook: str, **options: Any) -> Run:
        """Start a playbook as AWX does where there is no container: by ansible-runner, on the controller."""
        inventory, results = self._inventory(purpose, options)
        data = inventory.with_suffix(".runner")
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        (data / "run.py").write_text(RUNNER, encoding="utf-8")
        within = f"/srv/netboot/runs/{data.name}"
        words = [sys.executable, f"{within}/run.py", within, playbook, f"/srv/netboot/runs/{inventory.name}"]
        return Run(self.lab.controller, words, inventory.with_suffix(".log"), results=results)

    def cancel_runner(self) -> None:
        """Cancel the job that :meth:`start_runner` started last."""
        for data in (self.lab.controller.disk / "runs").glob(f"{self.name}-*.runner"):
            (data / "cancel").touch()

    def _inventory(self, purpose: str, options: Mapping[str, Any]) -> tuple[Path, Path]:
        """Write an inventory for this caching server. Returns it, and where the results of its run are to go."""
        directory = self.lab.controller.disk / "runs"
        directory.mkdir(exist_ok=True)
        inventory = directory / f"{self.name}-{purpose}.yml"
        inventory.write_text(self.lab.inventory(self, options), encoding="utf-8")
        results = self.lab.controller.root / "srv" / "netboot" / "runs" / f"{self.name}-{purpose}.results.json"
        return inventory, results

    # -- who is at work for it

    def processes(self, host: Host, *words: str) -> list[int]:
        """Processes of a host whose command line has all these words in it."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    line = Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if os.readlink(f"/proc/{entry}/root") == str(host.root) and all(word in line for word in words):
                        found.append(int(entry))
        return found

    def senders(self) -> list[int]:
        """The processes of rsync on the netboot server that send to this caching server, their ssh aside."""
        return self.processes(self.lab.server, "rsync ", f" {self.address}:{DEST}")

    def receivers(self) -> list[int]:
        """The processes of rsync on the caching server."""
        return self.processes(self.host, "rsync --server")

    def lock_is_free(self) -> bool:
        """Whether nobody holds the lock of this caching server."""
        try:
            descriptor = os.open(self.assets / WORK_AREA / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def still_at_work(self) -> str:
        """What of a run is left, in words; empty when nothing is."""
        left = {
            "the lock is held": not self.lock_is_free(),
            "rsync sends": bool(self.senders()),
        }
        return ", ".join(what for what, there in left.items() if there)

    def wait_until_quiet(self) -> str:
        """Wait until nothing of a killed run is left. Returns what is left after :data:`QUIET_WITHIN`, or nothing."""
        deadline = time.monotonic() + QUIET_WITHIN
        while (left := self.still_at_work()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    # -- what it must hold

    def blame(self, violation: Violation) -> None:
        """Keep a violation."""
        with self._lock:
            if violation not in self.violations:
                self.violations.append(violation)

    def take_violations(self) -> list[Violation]:
        """All violations that are new since the last call."""
        with self._lock:
            found, self.violations = self.violations, []
        with self.machine._count:
            found += self.machine.violations
            self.machine.violations.clear()
        new = [violation for violation in found if violation not in self._told]
        self._told += new
        return new

    def _lay_canaries(self) -> dict[str, str]:
        for name in CANARIES:
            path = self.host.disk / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {self.name}\n", encoding="utf-8")
        self._outside = self._everything_outside()
        return {name: hashlib.sha256(f"{name} of {self.name}\n".encode()).hexdigest() for name in CANARIES}

    def _everything_outside(self) -> dict[str, str]:
        """All that this host has written outside the tree, by path."""
        found = {}
        for start in (self.host.written, self.host.disk, self.host.root / "tmp"):
            for directory, folders, names in os.walk(start):
                if start == self.host.disk and directory == str(start):
                    folders.remove("assets")
                # what is mounted there is this machine's own, and read-only
                folders[:] = [folder for folder in folders if not os.path.ismount(os.path.join(directory, folder))]
                for name in names + [folder for folder in folders if os.path.islink(os.path.join(directory, folder))]:
                    path = Path(directory, name)
                    with contextlib.suppress(OSError):
                        found[str(path)] = f"{path.lstat().st_mode:o} {_digest(path)}"
        return found

    def forget_repaired(self) -> None:
        """No longer excuse damage that is gone."""
        for path, digest in list(self.damaged.items()):
            if fingerprint(self.assets / path) != digest:
                del self.damaged[path]

    def look_outside(self) -> None:
        """Blame everything that was written outside the tree, and every file of others inside it that was touched."""
        found = self._everything_outside()
        for path in sorted(found.keys() | self._outside.keys()):
            if found.get(path) != self._outside.get(path):
                was, now = self._outside.get(path, "nothing"), found.get(path, "nothing")
                self.blame(Violation(self.name, "outside", path, f"was {was}, is {now}"))
        self._outside = found
        for name, digest in self._canaries.items():
            canary = self.host.disk / name
            if not canary.is_file() or _digest(canary) != digest:
                self.blame(Violation(self.name, "outside", name, "is not what the caching server had there"))

    def not_in_line(self, *, delete: bool) -> list[str]:
        """What is missing for the caching server to be in line; nothing if it is.

        That is: every image whose closure is whole on the netboot server is published, byte for byte; so is every
        kernel pointer that leads somewhere; with *delete*, nothing else is there; and the work area holds its lock,
        pieces of files that the netboot server has and the caching server has not, and nothing else.
        """
        self.ledger.snapshot()
        here = self.ledger.present()
        there = {path: _digest(self.assets / path) for path, _found in visible_files(self.assets)}
        if self.folds:
            # a client finds it under both spellings
            spelled = {folded(path): path for path in here}
            there = {spelled.get(folded(path), path): digest for path, digest in there.items()}
        problems = []
        for path in self.wanted(here):
            if path not in there:
                problems.append(f"{path} is missing")
            elif there[path] != here[path]:
                problems.append(f"{path} differs")
        if delete:
            # What has its marker still is held back, and so is not removed, whether its squashfs is there or not.
            held = {squashfs for marker, squashfs in self.ledger.markers().items() if marker in here}
            extra = sorted(path for path in there.keys() - here.keys() - held if not path.startswith("local/"))
            problems += [f"{path} is too much" for path in extra]
        area = self.assets / WORK_AREA
        left = sorted(str(path.relative_to(area)) for path in area.rglob("*")) if area.exists() else []
        kept = {"lock", *(_piece(path) for path in here if here[path] != there.get(path))}
        problems += [f"{name} is left in the work area" for name in left if name.split("/")[0] not in kept]
        return problems

    def wanted(self, here: Mapping[str, str]) -> list[str]:
        """The paths that the caching server is to hold: of images that are whole, and of kernels."""
        wanted: set[str] = set()
        for marker, squashfs in self.ledger.markers().items():
            closure = self.lab.whole_closure(self.tree.root, marker, squashfs, here)
            wanted |= {marker, *closure} if closure else set()
        wanted |= {path for path in here if path.startswith("kernels/") and here[path]}
        return sorted(wanted & here.keys())


class FaultLab:
    """Everything, on the lab's own file system *directory*; lanes work in threads that live in the server's network."""

    def __init__(self, directory: Path, *, lanes: int, rates: list[int]) -> None:
        self.directory = directory
        self.outer = network_id()
        for name in (SERVER, CONTROLLER):
            add_network(name)
        self.uplink = Line(SERVER, "10.99.0.1", CONTROLLER, "10.99.0.2", device="to0")
        self.server = Host(directory / SERVER, SERVER, size=4096 * MIB)
        self.controller = Host(directory / CONTROLLER, CONTROLLER, size=256 * MIB)
        (directory / "keys").mkdir()
        self.key = ClientKey.create(directory / "keys" / "id_ed25519")
        self.server_key = ClientKey.create(directory / "keys" / SERVER)
        for host in (self.server, self.controller):
            self._install(host)
        self.lanes = [
            # one of several has a file system that is unlike the netboot server's
            Lane(self, index + 1, rate=rates[index], quirks=STRANGE if index == lanes - 1 and lanes > 1 else None)
            for index in range(lanes)
        ]
        known = [f"{lane.address} {lane.host_key.public}\n" for lane in self.lanes]
        known.append(f"10.99.0.1 {self.server_key.public}\n")
        for host in (self.server, self.controller):
            (host.disk / "ssh" / "known_hosts").write_text("".join(known), encoding="ascii")
        self.server.start_sshd("10.99.0.1", host_key=self.server_key.private, authorized=self.key.public)

    def close(self) -> None:
        """End everything."""
        for lane in self.lanes:
            lane.close()
        for host in (self.controller, self.server):
            host.stop_all()

    def _install(self, host: Host) -> None:
        """Put the collection, the key and OpenSSH's configuration on a host that runs the module or the playbooks."""
        code = host.disk / "code"
        target = code / "ansible_collections" / "netboot" / "syncer"
        target.mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("plugins", "roles", "playbooks", "meta"):
            shutil.copytree(CHECKOUT / name, target / name, ignore=ignored)
        shutil.copy(CHECKOUT / "galaxy.yml", target)
        shutil.copytree(CHECKOUT / "tests" / "lab" / "callback_plugins", code / "callback_plugins", ignore=ignored)
        settings = [
            "[defaults]",
            f"collections_path = {CODE}",
            "forks = 50",
            "retry_files_enabled = false",
            "[ssh_connection]",
            "pipelining = True",
        ]
        (code / "ansible.cfg").write_text("\n".join(settings) + "\n", encoding="utf-8")
        ssh = host.disk / "ssh"
        ssh.mkdir(mode=0o700)
        for suffix in ("", ".pub"):
            shutil.copy(self.key.private.with_name(self.key.private.name + suffix), ssh)
        # Only these addresses, and never from an address of the machine: outside the lab, ssh then cannot even start.
        binding = "10.99.0.2" if host is self.controller else None
        lines = ["Host 10.99.*", "  StrictHostKeyChecking yes", "  BatchMode yes", "  ControlMaster no"]
        lines += [f"  BindAddress {binding}"] if binding else []
        lines += ["Host *", "  ConnectTimeout 15"]
        (host.root / "etc" / "ssh" / "ssh_config").write_text("\n".join(lines) + "\n", encoding="ascii")
        shutil.rmtree(host.root / "root" / ".ssh", ignore_errors=True)

    def inventory(self, lane: Lane, options: Mapping[str, Any]) -> str:
        """An inventory of the netboot server and one caching server, as a user would write it."""
        key, known_hosts = "/srv/netboot/ssh/id_ed25519", "/srv/netboot/ssh/known_hosts"
        ssh = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": key,
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts}",
            "ansible_python_interpreter": sys.executable,
        }
        variables: dict[str, Any] = {
            "netboot_sync_src": lane.src,
            "netboot_sync_dest": DEST,
            "netboot_sync_private_key_file": key,
            "netboot_sync_known_hosts_file": known_hosts,
            "netboot_sync_exclude": EXCLUDE,
            **{f"netboot_sync_{name}": value for name, value in options.items()},
        }
        groups = {
            "netboot_server": {"hosts": {SERVER: {"ansible_host": "10.99.0.1", **ssh}}},
            "caching_servers": {"vars": variables, "hosts": {lane.name: {"ansible_host": lane.address, **ssh}}},
        }
        return yaml.safe_dump({"all": {"children": groups}}, sort_keys=False)

    @staticmethod
    def whole_closure(root: Path, marker: str, squashfs: str, here: Mapping[str, str]) -> list[str]:
        """What a marker of the netboot server promises, if all of it is there and the squashfs is whole."""
        if marker not in here:
            return []
        try:
            closure = closure_of((root / marker).read_bytes(), squashfs)
            with (root / squashfs).open("rb") as file:
                length = images.bytes_used(file.read(48))
            whole = 0 < length <= (root / squashfs).stat().st_size
        except (MarkerError, OSError):
            return []
        return closure if whole and all(path in here for path in closure) else []

    @contextlib.contextmanager
    def work_here(self) -> Iterator[None]:
        """Let the calling thread work on the netboot server: what it starts is in the server's network."""
        enter_network(SERVER)
        assert_in_network(SERVER)
        yield


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _piece(path: str) -> str:
    """The name in the work area under which pieces of a file lie."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def _doing(pid: int) -> str:
    """What a process is, and where in the kernel each of its threads waits: for a run that does not end."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        waits = [task.joinpath("wchan").read_text(encoding="ascii") for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return f"{pid} has ended"
    return f"{words[:100]} waits in {', '.join(waits)}"
