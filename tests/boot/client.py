# Copyright (c) 2026, Netboot Syncer contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One client: QEMU without KVM, in a network of the lab. Its serial console shows everything that it does."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

from tests.lab.namespaces import NAMES
from tests.lab.process import LabError, find_program

PATIENCE = 400.0  # seconds that a client may take for any step, even on a busy machine
MEMORY = 768  # MB

_ESCAPES = re.compile(rb"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[c7-9]|[\r\x00]")


class Client:
    """A client that is switched on when it is created, and off by :meth:`stop`.

    :arg network: the network namespace of the tap device *tap*.
    :arg uefi: use OVMF, whose own PXE loads iPXE by TFTP; otherwise a BIOS and a network card with iPXE as its ROM.
    """

    def __init__(
        self, directory: Path, *, network: str, tap: str, mac: str, uefi: bool = False, memory: int = MEMORY
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.console_file = directory / "console"
        program = find_program("qemu-system-x86_64", "qemu-system-x86")
        into = ["nsenter", f"--net={NAMES / network}", "nice", "-n", "10"]
        command = [program, "-accel", "tcg", "-machine", "pc", "-m", str(memory), "-no-reboot", "-nographic"]
        command += ["-monitor", "none", "-serial", "stdio"]
        command += ["-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no"]
        command += ["-device", f"virtio-net-pci,netdev=n,mac={mac},bootindex=1" + (",romfile=" if uefi else "")]
        if uefi:
            variables = directory / "variables.fd"
            shutil.copy("/usr/share/OVMF/OVMF_VARS.fd", variables)
            command += ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd"]
            command += ["-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
        self._text = b""
        self._changed = threading.Condition()
        # the whole lab lives in a process tree that ends with it, so this needs no supervision
        self.process = subprocess.Popen(
            [*into, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self._reader = threading.Thread(target=self._read, name=f"console {mac}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.console_file.open("wb") as file:
            while data := self.process.stdout.read(65536):
                file.write(data)
                file.flush()
                with self._changed:
                    self._text += data
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def console(self) -> str:
        """Its console output so far, without escape sequences."""
        with self._changed:
            return _ESCAPES.sub(b"", self._text).decode("ascii", "replace")

    def wait_for(self, pattern: str, *, after: int = 0, patience: float = PATIENCE) -> re.Match[str]:
        """Wait until the console shows a pattern beyond *after* characters. Raises LabError if it never does."""
        deadline = time.monotonic() + patience
        while True:
            found = re.compile(pattern).search(self.console, after)
            if found:
                return found
            ended = not self._reader.is_alive()
            if ended or time.monotonic() > deadline:
                last = " | ".join(self.console.strip().splitlines()[-12:])
                why = "it ended" if ended else f"{patience:.0f} s went by"
                raise LabError(f"the client did not say {pattern!r}, {why}: {last}")
            with self._changed:
                self._changed.wait(0.5)

    def press(self, keys: bytes) -> None:
        """Type on its console."""
        assert self.process.stdin is not None
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def stop(self) -> None:
        """Switch it off."""
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.stop()
