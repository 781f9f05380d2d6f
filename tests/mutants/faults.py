# Copyright: (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list: what is done wrong, where, and which tests are to notice."""

from __future__ import annotations

from dataclasses import dataclass

DECIDING = "plugins/module_utils/deciding"
DOING = "plugins/module_utils/doing"

MODEL = "tests/model"
NO_ANSWER = "tests/integration/test_no_answer.py"
POWER = "tests/integration/test_power_loss.py"
REPAIR = "tests/integration/test_repair.py"


@dataclass(frozen=True)
class Mutant:
    """One deliberate fault: in *file*, *old* (which is there once) becomes *new*; one of *tests* must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def put_into(self, text: str) -> str:
        """Return the text of the file with the fault."""
        return text.replace(self.old, self.new)


MUTANTS = (
    Mutant(
        "the marker goes before its squashfs",
        f"{DECIDING}/planner.py",
        "            steps += self._hide(image.path) + self._deliver(image.squashfs)\n"
        "            new_markers = list(image.markers)\n",
        "            new_markers = list(image.markers)\n"
        "            steps += [step for entry in new_markers for step in self._deliver(entry)]\n"
        "            steps += self._hide(image.path) + self._deliver(image.squashfs)\n"
        "            new_markers = []\n",
        (MODEL,),
    ),
    Mutant(
        "content is not flushed to disk",
        f"{DECIDING}/planner.py",
        "return [send, Check(entry), Flush(entry), Publish(entry)]",
        "return [send, Check(entry), Publish(entry)]",
        (MODEL,),
    ),
    Mutant(
        "renames are not flushed to disk",
        f"{DOING}/caching_server.py",
        "        self._sftp.flush(posixpath.dirname(self._full(path)))",
        "        pass",
        (POWER,),
    ),
    Mutant(
        "a file is renamed before it is hashed",
        f"{DECIDING}/planner.py",
        "return [send, Check(entry), Flush(entry), Publish(entry)]",
        "return [send, Flush(entry), Publish(entry), Check(entry)]",
        (MODEL,),
    ),
    Mutant(
        "what arrived is not compared",
        f"{DECIDING}/planner.py",
        "return [send, Check(entry), Flush(entry), Publish(entry)]",
        "return [send, Flush(entry), Publish(entry)]",
        (MODEL,),
    ),
    Mutant(
        "the closure is not looked at again before the marker",
        f"{DOING}/sync_run.py",
        "            self._confirm(server, step)\n",
        "",
        (MODEL,),
    ),
    Mutant(
        "the marker of a replaced squashfs is not withdrawn",
        f"{DECIDING}/planner.py",
        "            steps += self._hide(image.path) + self._deliver(image.squashfs)\n",
        "            steps += self._deliver(image.squashfs)\n",
        (MODEL,),
    ),
    Mutant(
        "the markers of a replaced kernel are not withdrawn",
        f"{DECIDING}/planner.py",
        'steps.append(self._withdraw(promise, f"{kernel_directory(version)} is about to change"))',
        "pass",
        (MODEL,),
    ),
    Mutant(
        "a marker whose squashfs is lost stays visible",
        f"{DECIDING}/planner.py",
        "        self._withdraw_broken()\n",
        "",
        (REPAIR, "tests/integration/test_obstacles.py"),
    ),
    Mutant(
        "a file that no client can read counts as published",
        f"{DECIDING}/planner.py",
        "        return there is not None and there.closed and self._fits(entry)\n",
        "        return False\n",
        (REPAIR,),
    ),
    Mutant(
        "a file that changes while it is sent is not noticed",
        f"{DOING}/source_tree.py",
        "        if not same:\n",
        "        if False:\n",
        ("tests/integration/test_changing_source.py",),
    ),
    Mutant(
        "rsync writes under the final name",
        f"{DOING}/rsync_transport.py",
        "        incoming = self._area.incoming(entry.path)\n",
        '        incoming = f"{self._dest}/{entry.path}"\n',
        ("tests/integration/test_disk_full.py", POWER),
    ),
    Mutant(
        "the basis is updated in place",
        f"{DOING}/rsync_transport.py",
        """        return self._run(entry, has_basis), used

""",
        """        if used:
            self._sftp.hard_link(f"{self._dest}/{used}", self._area.incoming(entry.path))
        command, self.command = self.command, lambda *given: ["rsync", "--inplace", *command(*given)[1:]]
        return self._run(entry, has_basis), used

""",
        ("tests/integration/test_lines.py", POWER, "tests/integration/test_forced_command.py"),
    ),
    Mutant(
        "the lock is not taken",
        f"{DOING}/caching_server.py",
        "            lock.acquire()\n",
        "            pass\n",
        ("tests/integration/test_locks.py",),
    ),
    Mutant(
        "a sync writes through a symlink that it finds",
        f"{DECIDING}/planner.py",
        "            if entry is not None and entry.kind == SYMLINK:\n",
        "            if entry is None:\n",
        ("tests/integration/test_obstacles.py",),
    ),
    Mutant(
        "the reserve of the disk is used up",
        f"{DOING}/caching_server.py",
        "RESERVE = 64 * 1024 * 1024",
        "RESERVE = 0",
        ("tests/integration/test_disk_full.py",),
    ),
    Mutant(
        "an unknown host key is taken for a known one",
        f"{DOING}/session.py",
        '"true": paramiko.RejectPolicy',
        '"true": paramiko.MissingHostKeyPolicy',
        ("tests/integration/test_access.py",),
    ),
    Mutant(
        "an error is taken for absence",
        f"{DOING}/sftp.py",
        "            found = _translate(self._client.lstat, os.fsencode(path))\n        except FileNotFoundError:\n",
        "            found = _translate(self._client.lstat, os.fsencode(path))\n        except Exception:\n",
        (NO_ANSWER,),
    ),
    Mutant(
        "a line without an answer is taken for damage",
        f"{DOING}/caching_server.py",
        "                raise trouble from error  # no answer is no difference\n",
        "                pass\n",
        (NO_ANSWER,),
    ),
    Mutant(
        "a run whose controller is gone goes on",
        f"{DOING}/lifeline.py",
        "                os.kill(os.getpid(), signal.SIGTERM)\n",
        "",
        ("tests/integration/test_lifeline.py",),
    ),
    Mutant(
        "files are removed although the marker that promises them stays",
        f"{DECIDING}/planner.py",
        "            if not staying:\n",
        "            if True:\n",
        ("tests/unit/plugins", MODEL),
    ),
    Mutant(
        "what lies outside the selection is removed, too",
        f"{DECIDING}/planner.py",
        "            and self._is_chosen(path)\n            and path not in ours\n",
        "            and path not in ours\n",
        ("tests/integration/test_removal.py",),
    ),
)
